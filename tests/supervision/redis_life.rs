//! A real redis-server: ready, killed, frozen, stopped, replaced.

use std::time::Duration;

use maestro::supervisor::{Exit, State};
use redis::AsyncCommands;

use crate::house::{House, LONG, connect, info, signal, state_of, until};

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_ready_when_it_answers_as_itself() {
    let house = House::new();
    let mut redis = house.redis().await;
    let pid = redis.ready().await;
    assert_eq!(info(&house.socket(), "process_id").await, pid.to_string());
    let ready = redis.change_to(State::Ready).await;
    assert_eq!((ready.from, ready.reason.as_ref()), (State::Starting, "probe_ok"));
    let status = redis.handle.status();
    assert_eq!(
        status.facts.get("run_id"),
        Some(&info(&house.socket(), "run_id").await)
    );
    assert!(redis.handle.health().borrow().is_up());
    assert!(redis.handle.shutdown(LONG).await);
    assert_eq!(house.processes(), [] as [i32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_comes_back_with_its_data_and_the_history_tells() {
    let house = House::new();
    let redis = house.redis().await;
    let pid = redis.ready().await;
    let _: () = connect(&house.socket())
        .await
        .set("kept", "yes")
        .await
        .expect("written");
    signal(pid, "KILL");
    redis.is_ready_anew(pid).await;
    let kept: String = connect(&house.socket()).await.get("kept").await.expect("read");
    assert_eq!(kept, "yes");
    let status = redis.handle.status();
    let exit = status.last_exit().expect("remembered");
    assert_eq!(
        (exit.exit, exit.reason.as_ref(), exit.asked),
        (Exit::Signal(9), "killed", false)
    );
    assert!(
        exit.last_lines
            .iter()
            .any(|line| line.contains("ready to accept connections")),
        "{exit:?}"
    );
    assert_eq!((status.restarts_total, status.restarts_24h), (1, 1));
    assert_eq!(state_of(pid), None, "reaped");
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_is_found_ended_and_replaced() {
    let house = House::new();
    let mut redis = house.redis().await;
    let pid = redis.ready().await;
    signal(pid, "STOP");
    let found = redis.change_to(State::Degraded).await;
    let stopping = redis.change_to(State::Stopping).await;
    assert_eq!(
        (found.reason.as_ref(), stopping.reason.as_ref()),
        ("probe_timeout", "probe_timeout")
    );
    redis.is_ready_anew(pid).await;
    assert_eq!(state_of(pid), None);
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_is_stopped_politely_because_it_is_continued() {
    let house = House::new();
    let redis = house.redis().await;
    let pid = redis.ready().await;
    signal(pid, "STOP");
    until("stopped", || state_of(pid) == Some('T')).await;
    redis.handle.stop().await.expect("supervised");
    let status = redis.is(State::Stopped).await;
    assert_eq!(
        status.last_exit().map(|exit| (exit.exit, exit.asked)),
        Some((Exit::Code(0), true))
    );
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_by_the_operator_is_a_new_process_and_no_failure() {
    let house = House::new();
    let redis = house.redis().await;
    let pid = redis.ready().await;
    redis.handle.restart().await.expect("supervised");
    redis.is_ready_anew(pid).await;
    let status = redis.handle.status();
    assert_eq!((status.n, status.restarts_total, status.restarts_24h), (0, 0, 0));
    assert_eq!(house.processes().len(), 1);
    redis.handle.shutdown(Duration::from_secs(10)).await;
}
