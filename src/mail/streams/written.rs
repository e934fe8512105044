//! Is it out of the server's memory? With `appendfsync everysec` a server answers at once, but holds its log back for up
//! to two seconds while the disk is busy with the last second's: killed then, it loses what it has acknowledged. So the
//! answer to a sending waits until the log was handed to the kernel, which a killed server cannot take back.
//!
//! This is not about power cuts: that is what `appendfsync always` is for.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use redis::cmd;
use tokio::{sync::Mutex, time::sleep};

use crate::redis_link::{LinkError, RedisLink, Trouble};

/// Between two looks at a log that is held back.
const PAUSE: Duration = Duration::from_millis(5);

/// One look serves all who wait for it.
#[derive(Default)]
pub(super) struct Written {
    asked: AtomicU64,
    /// All who asked up to this one were answered.
    served: Mutex<u64>,
}

impl Written {
    /// Answers when everything the server acknowledged since the link came up for the `times`th time is out of its memory,
    /// or will never be: then it keeps no log, or does not let us know. `Lost` if the link was down since.
    pub(super) async fn wait(&self, link: &RedisLink, times: Option<u64>) -> Result<(), LinkError> {
        self.look(link).await?;
        // Another process would know nothing of what the first one held back.
        match times_up(link) == times {
            true => Ok(()),
            false => Err(LinkError::Lost(Trouble::Unreachable(
                "it was away for a moment".into(),
            ))),
        }
    }

    async fn look(&self, link: &RedisLink) -> Result<(), LinkError> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut served = self.served.lock().await;
        if *served >= mine {
            return Ok(());
        }
        let all = self.asked.load(Ordering::SeqCst);
        while held_back(link).await? {
            sleep(PAUSE).await;
        }
        *served = all;
        Ok(())
    }
}

/// How often the link has come up, if it is up.
pub(super) fn times_up(link: &RedisLink) -> Option<u64> {
    link.state().up().map(|up| up.times)
}

async fn held_back(link: &RedisLink) -> Result<bool, LinkError> {
    let mut ask = cmd("INFO");
    ask.arg("persistence");
    match link.query::<String>(&ask).await {
        Ok(info) => Ok(info
            .lines()
            .find_map(|line| line.strip_prefix("aof_buffer_length:"))
            .is_some_and(|length| length.trim() != "0")),
        Err(LinkError::Refused(Trouble::Forbidden(_)) | LinkError::Command(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
