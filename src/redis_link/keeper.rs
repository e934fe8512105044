//! Keeps the link: connects, asks whether the server can do its work, goes on asking, and says how things stand.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisResult, aio::MultiplexedConnection, cmd};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Down, Lines, LinkState, Server, Settings, Shared, Trouble, Up, trouble::LinkError};

pub(super) struct Keeper {
    shared: Arc<Shared>,
    tell: watch::Sender<LinkState>,
    times: u64,
}

/// A connection for commands, and the sign of its end.
struct Line {
    connection: MultiplexedConnection,
    ended: mpsc::UnboundedReceiver<PushInfo>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, tell: watch::Sender<LinkState>) -> Self {
        Self {
            shared,
            tell,
            times: 0,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep() => {}
        }
        self.shared.lines.store(None);
    }

    async fn keep(&mut self) {
        let mut backoff = Backoff::new(&self.shared.settings);
        loop {
            match self.connect().await {
                Ok((line, server, impaired)) => {
                    backoff.reset();
                    let trouble = self.stay_up(line, server, impaired).await;
                    self.go_down(trouble);
                }
                Err(trouble) => self.go_down(trouble),
            }
            tokio::select! {
                () = sleep(backoff.next()) => {}
                () = self.shared.doubt.notified() => {}
            }
        }
    }

    async fn connect(&self) -> Result<(Line, Server, Option<Trouble>), Trouble> {
        let settings = &self.shared.settings;
        let mut line = Line::open(settings).await?;
        let publish = plain(settings).await?;
        let inspected = timeout(settings.timings.probe, inspect(settings, &mut line.connection)).await;
        let (server, impaired) = inspected.map_err(|_| Trouble::Silent)??;
        self.shared.lines.store(Some(Arc::new(Lines {
            commands: line.connection.clone(),
            publish,
        })));
        Ok((line, server, impaired))
    }

    /// Tells that the link is up, and returns when it no longer is.
    async fn stay_up(&mut self, mut line: Line, server: Server, impaired: Option<Trouble>) -> Trouble {
        let timings = self.shared.settings.timings;
        self.times += 1;
        info!(
            server = server.name,
            version = server.version,
            run_id = server.run_id,
            "redis is there"
        );
        if let Some(trouble) = &impaired {
            warn!("redis {trouble}");
        }
        self.tell.send_replace(LinkState::Up(Up {
            since: Instant::now(),
            times: self.times,
            server,
            impaired,
        }));
        loop {
            tokio::select! {
                () = sleep(timings.probe_every) => {}
                () = self.shared.doubt.notified() => {}
                () = line.end() => return Trouble::Unreachable("the connection was closed".into()),
            }
            let probed = timeout(timings.probe, probe(&self.shared.settings, &mut line.connection)).await;
            match probed.unwrap_or(Err(Trouble::Silent)) {
                Ok(impaired) => self.say_impaired(impaired),
                Err(trouble) => return trouble,
            }
        }
    }

    fn say_impaired(&self, now: Option<Trouble>) {
        self.tell.send_if_modified(|state| {
            let LinkState::Up(up) = state else { return false };
            if up.impaired == now {
                return false;
            }
            match &now {
                Some(trouble) => warn!("redis {trouble}"),
                None => info!("redis takes writes again"),
            }
            up.impaired = now;
            true
        });
    }

    fn go_down(&self, trouble: Trouble) {
        self.shared.lines.store(None);
        self.tell.send_if_modified(|state| {
            let since = match state {
                LinkState::Down(down) if down.trouble == trouble => return false,
                LinkState::Down(down) => down.since,
                LinkState::Up(_) => Instant::now(),
            };
            warn!("redis {trouble}");
            *state = LinkState::Down(Down { since, trouble });
            true
        });
    }
}

impl Line {
    async fn open(settings: &Settings) -> Result<Self, Trouble> {
        // Unbounded in type only: nothing is subscribed to on this connection, so all it hears is its own end.
        let (hear, ended) = mpsc::unbounded_channel();
        let config = config(settings).set_push_sender(hear);
        let connection = open(settings, &config).await?;
        Ok(Self { connection, ended })
    }

    async fn end(&mut self) {
        while let Some(push) = self.ended.recv().await {
            if push.kind == PushKind::Disconnection {
                return;
            }
        }
    }
}

/// A connection that answers in time or not at all.
pub(super) async fn plain(settings: &Settings) -> Result<MultiplexedConnection, Trouble> {
    open(settings, &config(settings)).await
}

fn config(settings: &Settings) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.timings.connect))
        // Deadlines are ours, around each command.
        .set_response_timeout(None)
}

async fn open(settings: &Settings, config: &AsyncConnectionConfig) -> Result<MultiplexedConnection, Trouble> {
    let opened = settings
        .client
        .get_multiplexed_async_connection_with_config(config);
    opened.await.map_err(|error| to_trouble(&error))
}

async fn inspect(
    settings: &Settings,
    line: &mut MultiplexedConnection,
) -> Result<(Server, Option<Trouble>), Trouble> {
    let impaired = probe(settings, line).await?;
    if let Some(flags) = settings.keyspace_events {
        let set: RedisResult<()> = cmd("CONFIG")
            .arg("SET")
            .arg("notify-keyspace-events")
            .arg(flags)
            .query_async(line)
            .await;
        if let Err(error) = set {
            warn!(%error, "redis does not let us ask for keyspace events");
        }
    }
    let server = Server::ask(line).await.map_err(|error| to_trouble(&error))?;
    Ok((server, impaired))
}

/// Asks whether the server can read and write. The command counts as a write that needs memory, so a server that takes
/// none says why, but writes nothing: no key is made, nothing is logged or replicated.
async fn probe(settings: &Settings, line: &mut MultiplexedConnection) -> Result<Option<Trouble>, Trouble> {
    let answer: RedisResult<()> = cmd("SETRANGE")
        .arg(&settings.probe_key)
        .arg(0)
        .arg("")
        .query_async(line)
        .await;
    match answer {
        Ok(()) => Ok(None),
        Err(error) => match to_trouble(&error) {
            trouble if trouble.leaves_reading() => Ok(Some(trouble)),
            trouble => Err(trouble),
        },
    }
}

pub(super) fn to_trouble(error: &redis::RedisError) -> Trouble {
    match LinkError::from_redis(error) {
        LinkError::Down(trouble) | LinkError::Lost(trouble) | LinkError::Refused(trouble) => trouble,
        LinkError::Command(text) => Trouble::Unsuitable(text),
    }
}

/// Longer from try to try, and never the same for two hubs.
pub(super) struct Backoff {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(settings: &Settings) -> Self {
        let (first, last) = (settings.timings.retry_first, settings.timings.retry_last);
        Self {
            first,
            last,
            next: first,
        }
    }

    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.last);
        // Three quarters to five quarters.
        let share = f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX);
        wait.mul_f64(0.75 + share / 2.0)
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}
