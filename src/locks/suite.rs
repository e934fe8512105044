//! What must hold of leases wherever they are kept: told once, run against both.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use nix::sys::signal::Signal;

use crate::domain::Millis;
use crate::ports::{Lease, LockError, Locks};
use crate::redis_link::{
    RedisLink,
    testbed::{PATIENCE, Server},
};
use crate::shutdown::TaskGroup;

use super::{LocalLocks, RedisLocks};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(30);

/// A server, and a hub's way to it.
struct Rig {
    server: Server,
    link: RedisLink,
    tasks: TaskGroup,
}

impl Rig {
    async fn start() -> Self {
        let (server, tasks) = (Server::start(), TaskGroup::default());
        let link = RedisLink::open(server.settings(), &tasks);
        link.until_up(PATIENCE).await.expect("the link comes up");
        Self { server, link, tasks }
    }

    fn locks(&self) -> RedisLocks {
        RedisLocks::new(self.link.clone(), "maestro:")
    }

    async fn close(self) {
        assert!(self.tasks.close(PATIENCE).await, "every task ends");
    }
}

async fn on_both<F: Future<Output = ()>>(story: impl Fn(Arc<dyn Locks>) -> F) {
    story(Arc::new(LocalLocks::new(Millis(1_000)))).await;
    let rig = Rig::start().await;
    story(Arc::new(rig.locks())).await;
    rig.close().await;
}

/// Asks until the name is given: its lease lapses soon.
async fn eventually(locks: &dyn Locks, name: &str, owner: &str) -> Lease {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match locks.acquire(name, owner, LONG).await {
            Ok(lease) => return lease,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn the_first_one_wins_and_the_others_are_told_who_it_is() {
    on_both(|locks| async move {
        let won = locks.acquire("t", "anna", LONG).await.unwrap();
        let Err(LockError::Held(holder)) = locks.acquire("t", "bert", LONG).await else {
            panic!("two have it")
        };
        assert_eq!((holder.owner.as_str(), holder.fence), ("anna", won.fence));
        assert!(holder.left > LONG / 2 && holder.left <= LONG);
        assert!(!locks.release("t", "bert").await.unwrap());
        assert!(matches!(
            locks.renew("t", "bert", LONG).await,
            Err(LockError::Lost)
        ));
        assert_eq!(locks.holder("t").await.unwrap().unwrap().owner, "anna");
        assert!(locks.release("t", "anna").await.unwrap());
        assert_eq!(locks.holder("t").await.unwrap(), None);
        assert!(!locks.release("t", "anna").await.unwrap());
        let next = locks.acquire("t", "bert", LONG).await.unwrap();
        assert!(next.fence > won.fence);
    })
    .await;
}

#[tokio::test]
async fn asking_again_prolongs_and_keeps_the_fencing_number() {
    on_both(|locks| async move {
        let first = locks.acquire("t", "anna", LONG / 2).await.unwrap();
        for lease in [
            locks.acquire("t", "anna", LONG).await.unwrap(),
            locks.renew("t", "anna", LONG).await.unwrap(),
            // Never shortened.
            locks.acquire("t", "anna", SHORT).await.unwrap(),
            locks.renew("t", "anna", SHORT).await.unwrap(),
        ] {
            assert_eq!(lease.fence, first.fence);
            assert!(lease.left > LONG / 2, "{lease:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_lapsed_lease_is_anybodys_and_its_late_owner_is_told_so() {
    on_both(|locks| async move {
        let first = locks.acquire("t", "anna", SHORT).await.unwrap();
        let second = eventually(&*locks, "t", "bert").await;
        assert!(second.fence > first.fence);
        assert!(matches!(
            locks.renew("t", "anna", LONG).await,
            Err(LockError::Lost)
        ));
        assert!(!locks.release("t", "anna").await.unwrap());
        assert_eq!(locks.release_all("anna").await.unwrap(), Vec::<String>::new());
        assert_eq!(locks.holder("t").await.unwrap().unwrap().owner, "bert");
    })
    .await;
}

#[tokio::test]
async fn an_owner_that_ends_gives_back_all_of_its_own_and_nothing_else() {
    on_both(|locks| async move {
        for name in ["c", "a", "b"] {
            locks.acquire(name, "anna", LONG).await.unwrap();
        }
        locks.acquire("d", "bert", LONG).await.unwrap();
        locks.release("b", "anna").await.unwrap();
        locks.acquire("b", "bert", LONG).await.unwrap();
        assert_eq!(locks.release_all("anna").await.unwrap(), ["a", "c"]);
        assert_eq!(locks.release_all("anna").await.unwrap(), Vec::<String>::new());
        assert_eq!(locks.release_all("bert").await.unwrap(), ["b", "d"]);
    })
    .await;
}

#[tokio::test]
async fn of_two_hundred_at_once_exactly_one_wins() {
    on_both(|locks| async move {
        let owners: Vec<String> = (0..200).map(|n| format!("owner{n}")).collect();
        let answers = join_all(owners.iter().map(|owner| locks.acquire("t", owner, LONG))).await;
        let holder = locks.holder("t").await.unwrap().unwrap();
        let won = answers.iter().flatten().collect::<Vec<_>>();
        assert_eq!((won.len(), &won[0].owner), (1, &holder.owner));
        for refusal in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let LockError::Held(lease) = refusal else {
                panic!("{refusal}")
            };
            assert_eq!((&lease.owner, lease.fence), (&holder.owner, holder.fence));
        }
    })
    .await;
}

#[tokio::test]
async fn two_hubs_share_leases_and_what_has_lapsed_leaves_nothing_behind() {
    let rig = Rig::start().await;
    let other = RedisLink::open(rig.server.settings(), &rig.tasks);
    other.until_up(PATIENCE).await.expect("the link comes up");
    let (one, two) = (rig.locks(), RedisLocks::new(other, "maestro:"));
    one.acquire("t", "anna", LONG).await.unwrap();
    assert!(matches!(
        two.acquire("t", "bert", LONG).await,
        Err(LockError::Held(_))
    ));
    assert_eq!(two.release_all("anna").await.unwrap(), ["t"]);
    eventually(&two, "t", "bert").await;
    two.release_all("bert").await.unwrap();
    let keys: Vec<String> = rig.server.ask(&["KEYS", "*"]);
    assert_eq!(keys, ["maestro:fence"]);
    rig.close().await;
}

#[tokio::test]
async fn without_redis_nobody_gets_anything_and_nobody_waits_long() {
    let mut rig = Rig::start().await;
    let locks = rig.locks();
    let before = locks.acquire("t", "anna", LONG).await.unwrap();
    rig.server.signal(Signal::SIGSTOP);
    let asked = locks.acquire("u", "bert", LONG);
    let answer = tokio::time::timeout(PATIENCE, asked).await.expect("a deadline");
    assert!(matches!(answer, Err(LockError::Unavailable(_))), "{answer:?}");
    rig.server.signal(Signal::SIGCONT);
    rig.server.kill();
    rig.server.wipe();
    let answer = locks.release("t", "anna").await;
    assert!(matches!(answer, Err(LockError::Unavailable(_))), "{answer:?}");
    rig.server.restart();
    // Everything was forgotten, the fencing number too: it grows all the same.
    let after = eventually(&locks, "t", "bert").await;
    assert!(after.fence > before.fence);
    rig.close().await;
}
