//! Leases in Redis, for several hubs that share one.
//!
//! A lease is one key that lives as long as the lease: `<prefix>lock:<name>` holds `fence:owner`. Beside it is the
//! owner's list, `<prefix>locks:<owner>`, names by the time they lapse, so that what an owner holds is found without
//! looking through all keys; and the last fencing number, `<prefix>fence`. Every change is one script, so that two hubs
//! cannot get between its steps. All times are the server's.
//!
//! It never waits for a reconnect. A request whose answer was lost may have been carried out, and may still be: the
//! same owner asking again gets the same lease, and a lease that nobody knows of lapses. The scripts name keys that they
//! find in a list: one server or a replicated one, not a cluster.

use std::{sync::Arc, time::Duration};

use redis::{FromRedisValue, Script};

use crate::ports::{Lease, LockError, Locks, Pending};
use crate::redis_link::{LinkError, RedisLink};

/// KEYS: lease, owner's list, fence. ARGV: name, owner, milliseconds. Held by another: 0 and that lease.
const ACQUIRE: &str = "
local held = redis.call('GET', KEYS[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fence
if held then
  local owner
  fence, owner = string.match(held, '^(%d+):(.*)$')
  if owner ~= ARGV[2] then
    return {0, owner or '', fence or '0', redis.call('PTTL', KEYS[1])}
  end
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
  end
else
  fence = string.format('%.0f', math.max(tonumber(redis.call('GET', KEYS[3]) or '0') + 1, now))
  redis.call('SET', KEYS[1], fence .. ':' .. ARGV[2], 'NX', 'PX', ARGV[3])
  redis.call('SET', KEYS[3], fence)
end
local left = redis.call('PTTL', KEYS[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], string.format('%.0f', now + left + 1000), ARGV[1])
if redis.call('PTTL', KEYS[2]) < left + 1000 then
  redis.call('PEXPIRE', KEYS[2], left + 1000)
end
return {1, ARGV[2], fence, left}";

/// KEYS: lease, owner's list. ARGV: name, owner, milliseconds. Not held by the owner: 0.
const RENEW: &str = "
local fence, owner = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):(.*)$')
if owner ~= ARGV[2] then
  return {0, '', '0', 0}
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
local left = redis.call('PTTL', KEYS[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], string.format('%.0f', now + left + 1000), ARGV[1])
if redis.call('PTTL', KEYS[2]) < left + 1000 then
  redis.call('PEXPIRE', KEYS[2], left + 1000)
end
return {1, owner, fence, left}";

/// KEYS: lease, owner's list. ARGV: name, owner. 1 if it was the owner's.
const RELEASE: &str = "
local fence, owner = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):(.*)$')
if owner ~= ARGV[2] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1";

/// KEYS: owner's list. ARGV: what keys of leases begin with, owner. The names that were its own.
const RELEASE_ALL: &str = "
local names = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[1] .. name
  local fence, owner = string.match(redis.call('GET', key) or '', '^(%d+):(.*)$')
  if owner == ARGV[2] then
    redis.call('DEL', key)
    names[#names + 1] = name
  end
end
redis.call('DEL', KEYS[1])
return names";

/// KEYS: lease. 1 and the lease, if there is one.
const HOLDER: &str = "
local fence, owner = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):(.*)$')
if not owner then
  return {0, '', '0', 0}
end
return {1, owner, fence, redis.call('PTTL', KEYS[1])}";

/// Leases that hubs share. Clones share everything.
#[derive(Clone)]
pub struct RedisLocks {
    link: RedisLink,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    acquire: Script,
    renew: Script,
    release: Script,
    release_all: Script,
    holder: Script,
}

/// Whether it is the asker's, owner, fence, milliseconds left.
type Row = (i64, String, u64, i64);

impl RedisLocks {
    /// Over `link`; our keys begin with `prefix`.
    pub fn new(link: RedisLink, prefix: &str) -> Self {
        let scripts = Scripts {
            acquire: Script::new(ACQUIRE),
            renew: Script::new(RENEW),
            release: Script::new(RELEASE),
            release_all: Script::new(RELEASE_ALL),
            holder: Script::new(HOLDER),
        };
        Self {
            link,
            prefix: prefix.into(),
            scripts: Arc::new(scripts),
        }
    }

    fn lease_key(&self, name: &str) -> String {
        format!("{}lock:{name}", self.prefix)
    }

    fn list_key(&self, owner: &str) -> String {
        format!("{}locks:{owner}", self.prefix)
    }

    async fn ask<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        args: &[&str],
    ) -> Result<T, LockError> {
        let mut call = script.prepare_invoke();
        for key in keys {
            call.key(key);
        }
        for arg in args {
            call.arg(*arg);
        }
        let answer = self
            .link
            .run(|mut line| async move { call.invoke_async(&mut line).await });
        answer.await.map_err(unavailable)
    }
}

fn unavailable(error: LinkError) -> LockError {
    LockError::Unavailable(error.to_string().into())
}

fn milliseconds(ttl: Duration) -> String {
    ttl.as_millis().max(1).to_string()
}

fn lease((_, owner, fence, left): Row) -> Lease {
    Lease {
        owner,
        fence,
        left: Duration::from_millis(u64::try_from(left).unwrap_or(0)),
    }
}

impl Locks for RedisLocks {
    fn acquire(&self, name: &str, owner: &str, ttl: Duration) -> Pending<'_, Result<Lease, LockError>> {
        let keys = [
            self.lease_key(name),
            self.list_key(owner),
            format!("{}fence", self.prefix),
        ];
        let (name, owner, ttl) = (name.to_owned(), owner.to_owned(), milliseconds(ttl));
        Box::pin(async move {
            let row: Row = self
                .ask(&self.scripts.acquire, &keys, &[&name, &owner, &ttl])
                .await?;
            match row.0 {
                1 => Ok(lease(row)),
                _ => Err(LockError::Held(lease(row))),
            }
        })
    }

    fn renew(&self, name: &str, owner: &str, ttl: Duration) -> Pending<'_, Result<Lease, LockError>> {
        let keys = [self.lease_key(name), self.list_key(owner)];
        let (name, owner, ttl) = (name.to_owned(), owner.to_owned(), milliseconds(ttl));
        Box::pin(async move {
            let row: Row = self
                .ask(&self.scripts.renew, &keys, &[&name, &owner, &ttl])
                .await?;
            match row.0 {
                1 => Ok(lease(row)),
                _ => Err(LockError::Lost),
            }
        })
    }

    fn release(&self, name: &str, owner: &str) -> Pending<'_, Result<bool, LockError>> {
        let keys = [self.lease_key(name), self.list_key(owner)];
        let (name, owner) = (name.to_owned(), owner.to_owned());
        Box::pin(async move { self.ask(&self.scripts.release, &keys, &[&name, &owner]).await })
    }

    fn release_all(&self, owner: &str) -> Pending<'_, Result<Vec<String>, LockError>> {
        let (keys, begin, owner) = ([self.list_key(owner)], self.lease_key(""), owner.to_owned());
        Box::pin(async move {
            let mut names: Vec<String> = self
                .ask(&self.scripts.release_all, &keys, &[&begin, &owner])
                .await?;
            names.sort();
            Ok(names)
        })
    }

    fn holder(&self, name: &str) -> Pending<'_, Result<Option<Lease>, LockError>> {
        let keys = [self.lease_key(name)];
        Box::pin(async move {
            let row: Row = self.ask(&self.scripts.holder, &keys, &[]).await?;
            Ok((row.0 == 1).then(|| lease(row)))
        })
    }
}
