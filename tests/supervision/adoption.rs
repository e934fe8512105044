//! The supervisor dies of `kill -9`; the next one finds what it left.

use std::{fs, path::Path, process::Command, time::Duration};

use maestro::supervisor::{Record, State};
use redis::AsyncCommands;

use crate::{
    house::{House, LONG, Process, connect, info, state_of, until},
    program::supervisor_of,
};

fn recorded(house: &House) -> Option<Record> {
    Record::read(&house.state(), "redis").ok().flatten()
}

async fn ready_by_record(house: &House) -> i32 {
    let ready = || recorded(house).is_some_and(|r| r.status.state == State::Ready && r.status.pid.is_some());
    until("the record says ready", ready).await;
    recorded(house).and_then(|r| r.status.pid).expect("just seen")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_redis_is_adopted_by_the_next_supervisor_with_its_data() {
    let house = House::new();
    let mut first = supervisor_of(house.path());
    let pid = ready_by_record(&house).await;
    let run_id = info(&house.socket(), "run_id").await;
    let _: () = connect(&house.socket())
        .await
        .set("kept", "yes")
        .await
        .expect("written");
    first.kill();
    assert_eq!(house.processes(), [pid], "it outlives its supervisor");

    let redis = house.redis().await;
    assert_eq!(redis.ready().await, pid);
    let status = redis.handle.status();
    assert!(
        status.adopted && status.n == 0 && status.reason == "adopted",
        "{status:?}"
    );
    assert_eq!(info(&house.socket(), "run_id").await, run_id);
    assert_eq!(house.processes(), [pid], "exactly one");
    let kept: String = connect(&house.socket()).await.get("kept").await.expect("read");
    assert_eq!(kept, "yes");

    // The end of an adopted one is heard of too.
    crate::house::signal(pid, "KILL");
    let fresh = redis.is_ready_anew(pid).await;
    assert!(!redis.handle.status().adopted);
    assert_eq!(house.processes(), [fresh]);
    assert!(redis.handle.shutdown(LONG).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_redis_is_stopped_in_order() {
    let house = House::new();
    let mut first = supervisor_of(house.path());
    ready_by_record(&house).await;
    first.kill();
    let redis = house.redis().await;
    redis.ready().await;
    assert!(redis.handle.shutdown(LONG).await);
    assert_eq!(house.processes(), [] as [i32; 0]);
    let log = fs::read_to_string(house.path().join("log/redis.log")).expect("there");
    assert!(log.contains("Redis is now ready to exit"), "TERM, not KILL");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_of_another_configuration_is_replaced_and_its_data_stay() {
    let house = House::new();
    let mut first = supervisor_of(house.path());
    let pid = ready_by_record(&house).await;
    let _: () = connect(&house.socket())
        .await
        .set("kept", "yes")
        .await
        .expect("written");
    first.kill();
    let mut params = house.params();
    params.maxmemory = 64 << 20;
    let redis = house.redis_of(params).await;
    let fresh = redis.is_ready_anew(pid).await;
    assert_eq!(house.processes(), [fresh]);
    assert_eq!(info(&house.socket(), "maxmemory").await, (64 << 20).to_string());
    let kept: String = connect(&house.socket()).await.get("kept").await.expect("read");
    assert_eq!((kept.as_str(), redis.handle.status().n), ("yes", 0));
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_orphan_is_replaced() {
    let house = House::new();
    let mut first = supervisor_of(house.path());
    let pid = ready_by_record(&house).await;
    first.kill();
    crate::house::signal(pid, "STOP");
    until("stopped", || state_of(pid) == Some('T')).await;
    let redis = house.redis().await;
    let fresh = redis.is_ready_anew(pid).await;
    assert_eq!(house.processes(), [fresh]);
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_our_lock_without_being_our_child_is_waited_for_and_left_alone() {
    let house = House::new();
    fs::create_dir_all(house.state()).expect("made");
    let path = house.state().join("redis.lock");
    let mut stranger = Process::spawn(Command::new("sleep").arg("600"));
    fs::write(&path, format!("{}\n", stranger.pid())).expect("written");
    let lock = fs::File::options().write(true).open(&path).expect("opened");
    lock.try_lock().expect("free");

    let mut redis = house.redis().await;
    let blocked = redis.change_to(State::Blocked).await;
    assert_eq!(blocked.reason, "orphan_unverified");
    assert!(
        redis
            .handle
            .status()
            .remedy
            .is_some_and(|remedy| remedy.contains("lock"))
    );
    // Looked at several times meanwhile: nothing is started, nobody is harmed.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(redis.handle.status().state, State::Blocked);
    assert!(
        stranger.0.try_wait().expect("waited").is_none(),
        "never signalled"
    );
    assert!(!house.socket().exists());
    drop(lock);
    redis.ready().await;
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_and_whenever_the_supervisor_is_killed_there_is_one_redis_and_no_data_are_lost() {
    let house = House::new();
    // From before the fork to well after readiness, in uneven steps.
    for round in 0..40u64 {
        let mut supervisor = supervisor_of(house.path());
        tokio::time::sleep(Duration::from_millis(5 + round * 37 % 113)).await;
        supervisor.kill();
        let alive = house.processes();
        assert!(alive.len() <= 1, "round {round}: {alive:?}");
        if round % 8 == 7
            && let Some(pid) = alive.first()
        {
            crate::house::signal(*pid, "KILL");
        }
    }
    let redis = house.redis().await;
    let pid = redis.ready().await;
    assert_eq!(house.processes(), [pid]);
    redis.handle.shutdown(LONG).await;
    assert_eq!(house.processes(), [] as [i32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_supervisor_leaves_its_last_state_readable() {
    let house = House::new();
    let mut supervisor = supervisor_of(house.path());
    let pid = ready_by_record(&house).await;
    supervisor.kill();
    let record = recorded(&house).expect("readable");
    assert_eq!(record.supervisor_pid, supervisor.pid().cast_unsigned());
    let spawned = record.spawned.expect("known");
    assert_eq!(spawned.identity.map(|identity| identity.pid), Some(pid));
    assert_eq!(
        spawned.image.map(|image| image.path),
        Path::new("/usr/bin/redis-server").canonicalize().ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_is_free_as_soon_as_the_child_is_dead_and_not_before() {
    let house = House::new();
    let mut supervisor = supervisor_of(house.path());
    let pid = ready_by_record(&house).await;
    supervisor.kill();
    let lock = fs::File::options()
        .write(true)
        .open(house.state().join("redis.lock"))
        .expect("opened");
    assert!(lock.try_lock().is_err(), "the child holds it alone");
    crate::house::signal(pid, "KILL");
    until("released", || lock.try_lock().is_ok()).await;
}
