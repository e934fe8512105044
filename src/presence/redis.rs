//! The shared registry in Redis: `<prefix>presence:<sessionId>` = `{pid, host, startedAt}` with a time to live; hubs add
//! the `ttl` (ms) of a whole heartbeat.
//!
//! Ours are in a logical database of their own, where foreign keys with a time to live cannot delay their expiry. Agents
//! that write themselves, as the replaced server had it, use the default one; that is read as well. Nothing rests on
//! keyspace events: they come late or never. Keys are asked for by name, so foreign keys cost nothing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::{Pipeline, Value as Reply};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::domain::{Beat, Millis, SessionId};
use crate::ports::Pending;
use crate::redis_link::{LinkError, LinkState, RedisLink};
use crate::shutdown::TaskGroup;

use super::shared::{Left, Reach, Shared, SharedError, Sign};

/// Keys asked for in one command.
const CHUNK: usize = 500;
/// A time to live beyond this says nothing about now.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Heartbeats in Redis.
pub struct RedisRegistry {
    /// Where our own signs are.
    own: RedisLink,
    /// Where agents of the replaced server leave theirs.
    legacy: RedisLink,
    prefix: String,
    reach: watch::Receiver<Reach>,
}

/// A sign, in the form that agents write themselves.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stored<'a> {
    pid: Option<i32>,
    host: &'a str,
    started_at: Option<Millis>,
    ttl: u64,
}

impl RedisRegistry {
    /// Over two links to one server: `own` to the database of presence, `legacy` to the default one. `prefix` begins
    /// all keys, as in `maestro:`.
    pub fn new(own: RedisLink, legacy: RedisLink, prefix: &str, tasks: &TaskGroup) -> Self {
        let (tell, reach) = watch::channel(Reach::Away);
        let links = [own.watch(), legacy.watch()];
        tasks.spawn("presence reach", move |stop| follow(links, tell, stop));
        Self {
            own,
            legacy,
            prefix: format!("{prefix}presence:"),
            reach,
        }
    }

    fn key(&self, session: &SessionId) -> String {
        format!("{}{session}", self.prefix)
    }

    async fn read_from(&self, link: &RedisLink, sessions: &[SessionId]) -> Result<Vec<Left>, LinkError> {
        let mut found = Vec::new();
        for sessions in sessions.chunks(CHUNK) {
            let mut ask = redis::cmd("MGET");
            for session in sessions {
                ask.arg(self.key(session));
            }
            let texts: Vec<Option<Vec<u8>>> = link.query(&ask).await?;
            let there: Vec<_> = sessions
                .iter()
                .zip(texts)
                .filter_map(|(session, text)| Some((session, text?)))
                .collect();
            if there.is_empty() {
                continue;
            }
            let mut ask = Pipeline::new();
            for (session, _) in &there {
                ask.cmd("PTTL").arg(self.key(session));
            }
            let lives: Vec<i64> = link.pipeline(&ask).await?;
            let read = there.iter().zip(lives);
            found.extend(read.filter_map(|((session, text), left)| left_by(session, text, left)));
        }
        Ok(found)
    }
}

/// What a key says. One without a time to live says nothing: it would say so for ever.
fn left_by(session: &SessionId, text: &[u8], left: i64) -> Option<Left> {
    let left = Duration::from_millis(u64::try_from(left).ok()?).min(LONGEST);
    // Whatever stands there, somebody wrote it: a sign of life.
    let said: Value = serde_json::from_slice(text).unwrap_or_default();
    Some(Left {
        session: session.clone(),
        pid: said["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()),
        host: said["host"].as_str().map(str::to_owned),
        started_at: said["startedAt"].as_i64().map(Millis),
        ttl: said["ttl"]
            .as_u64()
            .map(Duration::from_millis)
            .filter(Beat::may_last),
        left,
    })
}

/// Tells whether both databases can be read, and counts the times they could anew.
async fn follow(
    [mut own, mut legacy]: [watch::Receiver<LinkState>; 2],
    tell: watch::Sender<Reach>,
    stop: CancellationToken,
) {
    loop {
        let times = |state: &LinkState| {
            // A server that takes no writes lets everybody's signs lapse: reading them would mislead.
            let up = state.up().filter(|up| up.impaired.is_none());
            up.map(|up| up.times)
        };
        let now = times(&own.borrow_and_update()).zip(times(&legacy.borrow_and_update()));
        let reach = now.map_or(Reach::Away, |(own, legacy)| Reach::Readable(own + legacy));
        tell.send_if_modified(|told| std::mem::replace(told, reach) != reach);
        tokio::select! {
            () = stop.cancelled() => return,
            changed = own.changed() => if changed.is_err() { return },
            changed = legacy.changed() => if changed.is_err() { return },
        }
    }
}

fn failed(error: LinkError) -> SharedError {
    SharedError(Arc::from(error.to_string()))
}

impl Shared for RedisRegistry {
    fn reach(&self) -> watch::Receiver<Reach> {
        self.reach.clone()
    }

    fn read(&self, sessions: Vec<SessionId>) -> Pending<'_, Result<Vec<Left>, SharedError>> {
        Box::pin(async move {
            let (own, legacy) = tokio::try_join!(
                self.read_from(&self.own, &sessions),
                self.read_from(&self.legacy, &sessions)
            )
            .map_err(failed)?;
            // Of two signs of one agent the one that is believed longer counts.
            let mut newest: HashMap<SessionId, Left> = HashMap::new();
            for left in own.into_iter().chain(legacy) {
                match newest.get(&left.session) {
                    Some(other) if other.left >= left.left => {}
                    _ => drop(newest.insert(left.session.clone(), left)),
                }
            }
            Ok(newest.into_values().collect())
        })
    }

    fn write(&self, signs: Vec<Sign>) -> Pending<'_, Result<(), SharedError>> {
        Box::pin(async move {
            let mut write = Pipeline::new();
            for sign in &signs {
                let stored = Stored {
                    pid: sign.pid,
                    host: &sign.host,
                    started_at: sign.started_at,
                    ttl: u64::try_from(sign.ttl.as_millis()).unwrap_or(u64::MAX),
                };
                let text = serde_json::to_string(&stored).unwrap_or_default(); // texts and numbers: always written
                let left = u64::try_from(sign.left.as_millis()).unwrap_or(u64::MAX).max(1);
                let key = self.key(&sign.session);
                write.cmd("SET").arg(key).arg(text).arg("PX").arg(left).ignore();
            }
            self.own.pipeline::<Reply>(&write).await.map(drop).map_err(failed)
        })
    }

    fn remove(&self, session: SessionId) -> Pending<'_, Result<(), SharedError>> {
        Box::pin(async move {
            let mut remove = redis::cmd("DEL");
            remove.arg(self.key(&session));
            let (own, legacy) = (self.own.query::<i64>(&remove), self.legacy.query::<i64>(&remove));
            tokio::try_join!(own, legacy).map(drop).map_err(failed)
        })
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;

    use crate::redis_link::testbed::{PATIENCE, Server};

    use super::*;

    fn open(server: &Server, tasks: &TaskGroup) -> RedisRegistry {
        let own = RedisLink::open(server.settings().database(1), tasks);
        let legacy = RedisLink::open(server.settings(), tasks);
        RedisRegistry::new(own, legacy, "maestro:", tasks)
    }

    async fn until(registry: &RedisRegistry, wanted: impl Fn(Reach) -> bool) -> Reach {
        let mut reach = registry.reach();
        let told = tokio::time::timeout(PATIENCE, reach.wait_for(|reach| wanted(*reach))).await;
        *told.expect("in time").expect("still followed")
    }

    async fn readable(registry: &RedisRegistry) -> Reach {
        until(registry, |reach| reach != Reach::Away).await
    }

    fn session(id: &str) -> SessionId {
        SessionId::parse(id).expect("an id")
    }

    fn sign(id: &str) -> Sign {
        Sign {
            session: session(id),
            pid: Some(40),
            host: "here".into(),
            started_at: Some(Millis(17)),
            ttl: Duration::from_secs(40),
            left: Duration::from_secs(30),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_one_hub_leaves_another_reads_and_what_agents_write_themselves_too() {
        let (server, tasks) = (Server::start(), TaskGroup::default());
        let registry = open(&server, &tasks);
        readable(&registry).await;
        registry.write(vec![sign("a"), sign("b")]).await.expect("written");
        let legacy = r#"{"pid":41,"host":"far","startedAt":18}"#;
        let _: () = server.ask(&["SET", "maestro:presence:c", legacy, "EX", "15"]);
        let _: () = server.ask(&["SET", "maestro:presence:d", "not json", "EX", "15"]);
        let _: () = server.ask(&["SET", "maestro:presence:forever", legacy]);
        let asked = ["a", "b", "c", "d", "forever", "never"].map(session).to_vec();
        let mut found = registry.read(asked.clone()).await.expect("read");
        found.sort_by(|a, b| a.session.cmp(&b.session));
        let ids: Vec<_> = found.iter().map(|left| left.session.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c", "d"]);
        assert_eq!((found[0].pid, found[0].host.as_deref()), (Some(40), Some("here")));
        assert!(found[0].left > Duration::from_secs(20) && found[0].left <= Duration::from_secs(30));
        assert_eq!((found[2].pid, found[2].started_at), (Some(41), Some(Millis(18))));
        assert!(found[2].left <= Duration::from_secs(15));
        let ttls: Vec<_> = found.iter().map(|left| left.ttl).collect();
        let said = Some(Duration::from_secs(40));
        assert_eq!(ttls, [said, said, None, None]);
        registry.remove(session("a")).await.expect("removed");
        registry.remove(session("c")).await.expect("removed");
        assert_eq!(registry.read(asked).await.expect("read").len(), 2);
        assert!(tasks.close(PATIENCE).await);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_was_killed_or_stopped_is_away_and_is_another_time_readable_after() {
        let (mut server, tasks) = (Server::start(), TaskGroup::default());
        let registry = open(&server, &tasks);
        let mut last = readable(&registry).await;
        for stopped in [false, true] {
            match stopped {
                true => server.signal(Signal::SIGSTOP),
                false => server.kill(),
            }
            until(&registry, |reach| reach == Reach::Away).await;
            assert!(registry.read(vec![session("a")]).await.is_err());
            match stopped {
                true => server.signal(Signal::SIGCONT),
                false => server.restart(),
            }
            let now = readable(&registry).await;
            assert_ne!(now, last, "stopped: {stopped}");
            last = now;
        }
        assert!(tasks.close(PATIENCE).await);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_hundred_thousand_foreign_keys_delay_nothing() {
        let (server, tasks) = (Server::start(), TaskGroup::default());
        let registry = open(&server, &tasks);
        readable(&registry).await;
        let fill = "for n = 1, 100000 do redis.call('SET', 'foreign:' .. n, 'x', 'EX', 3600) end";
        let _: () = server.ask(&["EVAL", fill, "0"]);
        let mut brief = sign("a");
        brief.left = Duration::from_millis(300);
        // While it was being filled it answered nobody; the link may have to come up again.
        let deadline = std::time::Instant::now() + PATIENCE;
        while registry.write(vec![brief.clone()]).await.is_err() {
            assert!(std::time::Instant::now() < deadline, "it answers again");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let sessions: Vec<_> = (0..10_000).map(|n| session(&format!("s{n}"))).collect();
        let began = std::time::Instant::now();
        if registry.read(sessions).await.is_ok() {
            println!(
                "asking for 10,000 sessions beside 100,000 foreign keys: {:?}",
                began.elapsed()
            );
        }
        while !registry
            .read(vec![session("a")])
            .await
            .is_ok_and(|left| left.is_empty())
        {
            assert!(
                std::time::Instant::now() < deadline,
                "a key that is over is not read any more"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(tasks.close(PATIENCE).await);
    }
}
