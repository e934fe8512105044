//! Which hubs keep their mail here: who leaves while others stay must not take theirs along.

use redis::cmd;

use crate::ports::MailError;

use super::{StreamMailbox, unavailable};

impl StreamMailbox {
    /// This hub keeps its mail here from now on.
    pub async fn settle_in(&self, hub: &str) -> Result<(), MailError> {
        self.hubs("SADD", &[hub]).await.map(|_: i64| ())
    }

    /// It no longer does.
    pub async fn move_out(&self, hub: &str) -> Result<(), MailError> {
        self.hubs("SREM", &[hub]).await.map(|_: i64| ())
    }

    /// True if another hub does, too.
    pub async fn is_shared(&self, hub: &str) -> Result<bool, MailError> {
        let hubs: Vec<String> = self.hubs("SMEMBERS", &[]).await?;
        Ok(hubs.iter().any(|other| other != hub))
    }

    async fn hubs<T: redis::FromRedisValue>(&self, command: &str, words: &[&str]) -> Result<T, MailError> {
        let mut command = cmd(command);
        command.arg(self.key("this:hubs"));
        for word in words {
            command.arg(*word);
        }
        self.shared.link.query(&command).await.map_err(unavailable)
    }
}
