//! Who answers: asked once per connection, as far as our user may know.

use std::{
    collections::HashMap,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use redis::{RedisResult, aio::MultiplexedConnection, cmd};

/// A server, as it describes itself.
#[derive(Clone, Debug)]
pub struct Server {
    /// Names the process: another one after every restart. Empty if we may not know.
    pub run_id: String,
    /// `redis` or `valkey`.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// Its process, for servers of this machine.
    pub process_id: Option<u32>,
    /// Which keyspace events it sends; `None` if we may not know.
    pub keyspace_events: Option<String>,
    clock: ServerClock,
}

#[derive(Clone, Copy, Debug)]
struct ServerClock {
    millis: i64,
    at: Instant,
}

impl Server {
    /// The server's own wall clock, estimated, in milliseconds since 1970.
    pub fn now_millis(&self) -> i64 {
        let since = self.clock.at.elapsed().as_millis();
        self.clock
            .millis
            .saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }

    /// Asks. What our user may not know is left empty; only a lost connection is an error.
    pub(super) async fn ask(line: &mut MultiplexedConnection) -> RedisResult<Self> {
        let info: String = allowed(cmd("INFO").arg("server").query_async(line).await)?.unwrap_or_default();
        let field = |name: &str| field(&info, name).unwrap_or_default().to_owned();
        let events: Option<HashMap<String, String>> = allowed(
            cmd("CONFIG")
                .arg("GET")
                .arg("notify-keyspace-events")
                .query_async(line)
                .await,
        )?;
        let (name, version) = match field("valkey_version") {
            valkey if !valkey.is_empty() => ("valkey", valkey),
            _ => ("redis", field("redis_version")),
        };
        Ok(Self {
            run_id: field("run_id"),
            name: name.into(),
            version,
            process_id: field("process_id").parse().ok(),
            keyspace_events: events.and_then(|found| found.into_values().next()),
            clock: clock(line).await?,
        })
    }
}

/// The answer, or nothing if the server does not let us have it.
fn allowed<T>(answer: RedisResult<T>) -> RedisResult<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.code(), Some("NOPERM" | "ERR")) => Ok(None),
        Err(error) => Err(error),
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

async fn clock(line: &mut MultiplexedConnection) -> RedisResult<ServerClock> {
    let asked = Instant::now();
    let answer: Option<(i64, i64)> = allowed(cmd("TIME").query_async(line).await)?;
    let millis = match answer {
        Some((seconds, micros)) => seconds.saturating_mul(1000).saturating_add(micros / 1000),
        // Taken for a clock like ours.
        None => {
            let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(ours.as_millis()).unwrap_or(i64::MAX)
        }
    };
    // It was read somewhere between the question and the answer.
    let at = asked + asked.elapsed() / 2;
    Ok(ServerClock { millis, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_info_is_found_by_its_whole_name() {
        let info = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n";
        assert_eq!(field(info, "run_id"), Some("abc"));
        assert_eq!(field(info, "run"), None);
    }
}
