//! A connection for commands that block at the server, which would hold up every other command on a shared one.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, aio::MultiplexedConnection};
use tokio::{sync::watch, time::timeout};

use super::{LinkError, LinkState, Shared, Trouble, keeper, trouble::lost};

/// How much longer than the server promised to block we wait for its answer.
const MARGIN: Duration = Duration::from_secs(2);

/// One that blocks. Its connection is opened with the first read, and again after it was lost.
pub struct Reader {
    shared: Arc<Shared>,
    state: watch::Receiver<LinkState>,
    line: Option<(u64, MultiplexedConnection)>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, state: watch::Receiver<LinkState>) -> Self {
        Self {
            shared,
            state,
            line: None,
        }
    }

    /// Runs a command that the server answers within `block`. Dropping the future closes the connection with it.
    pub async fn read<T: FromRedisValue>(&mut self, command: &Cmd, block: Duration) -> Result<T, LinkError> {
        let (times, mut line) = self.line().await?;
        let answer = match timeout(block + MARGIN, command.query_async(&mut line)).await {
            Ok(Ok(value)) => {
                self.line = Some((times, line));
                return Ok(value);
            }
            Ok(Err(error)) => LinkError::from_redis(&error),
            Err(_) => LinkError::Lost(Trouble::Silent),
        };
        if lost(&answer) {
            self.shared.doubt.notify_one();
        }
        Err(answer)
    }

    /// The connection, taken out: one that an answer did not come back on is not used again.
    async fn line(&mut self) -> Result<(u64, MultiplexedConnection), LinkError> {
        let state = self.state.borrow().clone();
        let Some(up) = state.up() else {
            return Err(LinkError::Down(state.trouble()));
        };
        match self.line.take() {
            Some((times, line)) if times == up.times => Ok((times, line)),
            _ => {
                let line = keeper::plain(&self.shared.settings)
                    .await
                    .map_err(LinkError::Down)?;
                Ok((up.times, line))
            }
        }
    }
}
