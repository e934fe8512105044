//! The one way to Redis: up since when, or down and why; told to everybody by one watch channel.
//!
//! One keeper task connects, asks whether the server can do its work, and goes on asking. Commands go through a handle
//! that never waits for a reconnect: while the link is down they fail at once, and every one has a deadline. Commands,
//! publishing, each subscription and each blocking reader have connections of their own, so that none delays another.
//!
//! It deliberately does not: start or stop a server, retry anybody's command, or know what is kept in Redis.

mod keeper;
mod reader;
mod server;
mod settings;
mod state;
mod subscribe;
#[cfg(test)]
pub mod testbed;
#[cfg(test)]
mod tests;
mod trouble;

pub use reader::Reader;
pub use server::Server;
pub use settings::{Settings, SettingsError, Timings};
pub use state::{Down, LinkState, Up};
pub use subscribe::{Heard, Subscription, Topics};
pub use trouble::{LinkError, Trouble};

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use redis::{Cmd, FromRedisValue, Pipeline, RedisResult, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use crate::shutdown::TaskGroup;

use keeper::Keeper;
use trouble::lost;

/// The link. Clones share it.
#[derive(Clone)]
pub struct RedisLink {
    shared: Arc<Shared>,
    state: watch::Receiver<LinkState>,
}

struct Shared {
    settings: Settings,
    lines: ArcSwapOption<Lines>,
    doubt: Notify,
    tasks: TaskGroup,
}

/// The connections of one time the link is up.
struct Lines {
    commands: MultiplexedConnection,
    publish: MultiplexedConnection,
}

impl RedisLink {
    /// Begins to connect, and goes on until `tasks` is stopped. Does not wait: see [`watch`](Self::watch).
    pub fn open(settings: Settings, tasks: &TaskGroup) -> Self {
        let shared = Arc::new(Shared {
            settings,
            lines: ArcSwapOption::empty(),
            doubt: Notify::new(),
            tasks: tasks.clone(),
        });
        let (tell, state) = watch::channel(LinkState::unknown());
        let keeper = Keeper::new(shared.clone(), tell);
        tasks.spawn("redis link", |stop| keeper.run(stop));
        Self { shared, state }
    }

    /// How things stand.
    pub fn state(&self) -> LinkState {
        self.state.borrow().clone()
    }

    /// Tells how things stand, now and at every change.
    pub fn watch(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Somebody knows that the server was just started, stopped or replaced: look at once, not at the next turn.
    pub fn look_now(&self) {
        self.shared.doubt.notify_one();
    }

    /// Waits until the link is up, at most `limit`.
    pub async fn until_up(&self, limit: Duration) -> Option<Up> {
        let mut state = self.state.clone();
        let up = timeout(limit, state.wait_for(|state| state.up().is_some())).await;
        up.ok()?.ok()?.up().cloned()
    }

    /// Runs one command.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, LinkError> {
        self.run(|mut line| async move { command.query_async(&mut line).await })
            .await
    }

    /// Runs a pipeline. An empty one has an empty answer.
    pub async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, LinkError> {
        if pipeline.is_empty() {
            let nothing = redis::from_redis_value(Value::Array(Vec::new()));
            return nothing.map_err(|error| LinkError::Command(error.to_string().into()));
        }
        self.run(|mut line| async move { pipeline.query_async(&mut line).await })
            .await
    }

    /// Runs `work` on the connection for commands, within the deadline of a command.
    pub async fn run<T, F>(&self, work: impl FnOnce(MultiplexedConnection) -> F) -> Result<T, LinkError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let lines = self.lines()?;
        self.judge(work(lines.commands.clone())).await
    }

    /// Publishes, and says how many heard it. Never delayed by commands.
    pub async fn publish(&self, channel: &str, payload: &[u8]) -> Result<u64, LinkError> {
        let mut line = self.lines()?.publish.clone();
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(payload);
        self.judge(command.query_async(&mut line)).await
    }

    /// Hears `topics` from now until the subscription is dropped, across losses of the connection.
    pub fn subscribe(&self, topics: Topics) -> Subscription {
        Subscription::open(self.shared.clone(), self.state.clone(), topics)
    }

    /// A connection of its own for commands that block.
    pub fn reader(&self) -> Reader {
        Reader::new(self.shared.clone(), self.state.clone())
    }

    fn lines(&self) -> Result<Arc<Lines>, LinkError> {
        self.shared
            .lines
            .load_full()
            .ok_or_else(|| LinkError::Down(self.state().trouble()))
    }

    async fn judge<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> Result<T, LinkError> {
        let answer = match timeout(self.shared.settings.timings.command, answer).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => LinkError::from_redis(&error),
            Err(_) => LinkError::Lost(Trouble::Silent),
        };
        if lost(&answer) {
            self.shared.doubt.notify_one();
        }
        Err(answer)
    }
}
