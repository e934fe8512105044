//! A real redis-server where something is wrong: an intruder, a bad place, a missing program, damaged data.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use maestro::{
    children::{Fsync, Redis, Tcp},
    supervisor::State,
};
use redis::AsyncCommands;

use crate::house::{House, LONG, Process, Supervised, connect, info, signal, until};

fn rogue(house: &House) -> Process {
    let dir = house.path().join("elsewhere");
    fs::create_dir_all(&dir).expect("made");
    fs::create_dir_all(house.path().join("run")).expect("made");
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--dir"]).arg(dir);
    Process::spawn(command.arg("--unixsocket").arg(house.socket()))
}

async fn answers_as(house: &House, pid: i32) {
    let deadline = std::time::Instant::now() + LONG;
    while !house.socket().exists() || info(&house.socket(), "process_id").await != pid.to_string() {
        assert!(
            std::time::Instant::now() < deadline,
            "the intruder does not answer"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_server_on_our_socket_is_never_pushed_aside() {
    let house = House::new();
    let mut intruder = rogue(&house);
    answers_as(&house, intruder.pid()).await;
    let mut redis = house.redis().await;
    assert_eq!(redis.change_to(State::Blocked).await.reason, "foreign_redis");
    let remedy = redis.handle.status().remedy.expect("told");
    assert!(
        remedy.contains(&format!("process {}", intruder.pid())),
        "{remedy}"
    );
    answers_as(&house, intruder.pid()).await;
    intruder.kill();
    redis.ready().await;
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intruder_that_takes_the_socket_of_a_running_redis_is_noticed() {
    let house = House::new();
    let mut redis = house.redis().await;
    let pid = redis.ready().await;
    let _: () = connect(&house.socket())
        .await
        .set("kept", "yes")
        .await
        .expect("written");
    let mut intruder = rogue(&house);
    answers_as(&house, intruder.pid()).await;
    assert_eq!(redis.change_to(State::Stopping).await.reason, "foreign_redis");
    assert_eq!(redis.change_to(State::Blocked).await.reason, "foreign_redis");
    assert!(!redis.handle.health().borrow().is_up());
    answers_as(&house, intruder.pid()).await;
    let written: Option<String> = connect(&house.socket()).await.get("kept").await.expect("read");
    assert_eq!(written, None, "nothing of ours went there");
    intruder.kill();
    redis.is_ready_anew(pid).await;
    let kept: String = connect(&house.socket()).await.get("kept").await.expect("read");
    assert_eq!(kept, "yes");
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_none_blocks_until_it_is_one() {
    let house = House::new();
    fs::write(house.path().join("run"), "a file").expect("written");
    let mut redis = house.redis().await;
    assert_eq!(redis.change_to(State::Blocked).await.reason, "dir_unwritable");
    assert!(
        redis
            .handle
            .status()
            .remedy
            .is_some_and(|remedy| remedy.contains("run"))
    );
    fs::remove_file(house.path().join("run")).expect("removed");
    redis.ready().await;
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_is_started_once_it_is_installed_and_found_again_after_an_upgrade() {
    let house = House::new();
    let bin = house.path().join("bin");
    fs::create_dir(&bin).expect("made");
    let mut params = house.params();
    params.search_path = Some(bin.clone().into_os_string());
    let mut redis = house.redis_of(params).await;
    assert_eq!(redis.change_to(State::Blocked).await.reason, "binary_missing");
    assert!(
        redis
            .handle
            .status()
            .remedy
            .is_some_and(|remedy| remedy.contains("install"))
    );
    symlink("/usr/bin/redis-server", bin.join("redis-server")).expect("installed");
    let pid = redis.ready().await;
    // The upgrade replaces the program under the running one, by another name.
    fs::remove_file(bin.join("redis-server")).expect("removed");
    fs::copy("/usr/bin/redis-server", bin.join("valkey-server")).expect("installed");
    signal(pid, "KILL");
    let fresh = redis.is_ready_anew(pid).await;
    let exe = fs::read_link(format!("/proc/{fresh}/exe")).expect("alive");
    assert_eq!(exe, bin.join("valkey-server"));
    redis.handle.shutdown(LONG).await;
}

/// Writes a hundred keys and stops; returns the file that holds them.
async fn written_and_stopped(house: &House) -> PathBuf {
    let redis = house.redis().await;
    redis.ready().await;
    let mut connection = connect(&house.socket()).await;
    for i in 0..100 {
        let _: () = connection.set(format!("key{i}"), i).await.expect("written");
    }
    assert!(redis.handle.shutdown(LONG).await);
    house
        .state()
        .join("redis/appendonlydir/appendonly.aof.1.incr.aof")
}

async fn keys(house: &House) -> i64 {
    redis::cmd("DBSIZE")
        .query_async(&mut connect(&house.socket()).await)
        .await
        .expect("answered")
}

fn copies(house: &House) -> usize {
    let entries = fs::read_dir(house.state().join("redis"))
        .expect("readable")
        .flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("damaged-"))
        .count()
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(path).expect("there");
    file.write_all(bytes).expect("written");
}

async fn restarted(house: &House) -> Supervised {
    let redis = house.redis().await;
    redis.ready().await;
    redis
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_end_of_the_data_costs_one_write_and_no_repair() {
    let house = House::new();
    let aof = written_and_stopped(&house).await;
    let file = OpenOptions::new().write(true).open(&aof).expect("there");
    file.set_len(file.metadata().expect("there").len() - 3)
        .expect("cut");
    let redis = restarted(&house).await;
    assert_eq!((keys(&house).await, copies(&house)), (99, 0));
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_at_the_end_of_the_data_is_copied_aside_and_repaired_once() {
    for garbage in [&b"garbage\r\n*nonsense\r\n"[..], &[0u8; 4_096]] {
        let house = House::new();
        let aof = written_and_stopped(&house).await;
        append(&aof, garbage);
        let redis = restarted(&house).await;
        assert_eq!((keys(&house).await, copies(&house)), (100, 1));
        let status = redis.handle.status();
        assert_eq!(
            status.last_exit().map(|exit| exit.reason.as_ref()),
            Some("data_corrupt")
        );
        redis.handle.shutdown(LONG).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_beyond_repair_block_until_somebody_does_something_about_them() {
    let house = House::new();
    let aof = written_and_stopped(&house).await;
    // The manifest names a file whose header is no header: there is nothing to cut off.
    fs::write(
        aof.with_file_name("appendonly.aof.1.base.rdb"),
        "not a dump at all",
    )
    .expect("damaged");
    let mut redis = house.redis().await;
    assert_eq!(redis.change_to(State::Blocked).await.reason, "data_corrupt");
    let remedy = redis.handle.status().remedy.expect("told");
    assert!(remedy.contains("damaged-"), "{remedy}");
    fs::remove_dir_all(house.state().join("redis/appendonlydir")).expect("moved away");
    redis.ready().await;
    redis.handle.shutdown(LONG).await;
}

/// A small disk, if we may make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: &Path) -> Option<SmallDisk> {
        fs::create_dir_all(path).expect("made");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=20m", "tmpfs"])
            .arg(path)
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| SmallDisk(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Writes until redis refuses or ends.
async fn fill(house: &House) {
    let mut connection = connect(&house.socket()).await;
    let value = "x".repeat(100_000);
    for i in 0..1_000 {
        if connection
            .set::<_, _, ()>(format!("big{i}"), &value)
            .await
            .is_err()
        {
            return;
        }
    }
    panic!("the disk was never full");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_degrades_redis_without_killing_it_and_room_repairs_it() {
    let house = House::new();
    let Some(_disk) = SmallDisk::at(&house.state()) else {
        eprintln!("skipped: no small disk can be mounted here (needs root)");
        return;
    };
    let mut redis = house.redis().await;
    let pid = redis.ready().await;
    fs::write(house.state().join("filler"), vec![0u8; 10 << 20]).expect("written");
    fill(&house).await;
    assert_eq!(redis.change_to(State::Degraded).await.reason, "disk_full");
    fs::remove_file(house.state().join("filler")).expect("removed");
    assert_eq!(redis.ready().await, pid, "the same process");
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_ends_of_a_full_disk_is_started_when_there_is_room() {
    let house = House::new();
    let Some(_disk) = SmallDisk::at(&house.state()) else {
        eprintln!("skipped: no small disk can be mounted here (needs root)");
        return;
    };
    let mut params = house.params();
    params.fsync = Fsync::Always;
    let mut redis = house.redis_of(params).await;
    let pid = redis.ready().await;
    fs::write(house.state().join("filler"), vec![0u8; 14 << 20]).expect("written");
    fill(&house).await;
    let blocked = redis.change_to(State::Blocked).await;
    assert_eq!(blocked.reason, "disk_full", "{:#?}", redis.handle.status());
    fs::remove_file(house.state().join("filler")).expect("removed");
    redis.is_ready_anew(pid).await;
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_port_agents_reach_presence_and_nothing_else() {
    let house = House::new();
    // Taken for a moment to find a free one.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port")
        .port();
    let mut params = house.params();
    params.tcp = Some(Tcp { port });
    let passwords = Redis::new(params.clone()).expect("valid");
    let redis = house.redis_of(params).await;
    redis.ready().await;
    let password = fs::read_to_string(passwords.agent_password_file().expect("there")).expect("readable");
    let url = |login: &str| format!("redis://{login}127.0.0.1:{port}/1");
    let open = async |login: &str| {
        let client = redis::Client::open(url(login)).expect("a url");
        client.get_multiplexed_async_connection().await
    };
    let mut agent = open(&format!("agent:{}@", password.trim()))
        .await
        .expect("let in");
    let _: () = agent
        .set_ex("maestro:presence:s1", "{}", 15)
        .await
        .expect("present");
    assert!(agent.set::<_, _, ()>("other", 1).await.is_err(), "no other key");
    let refused: redis::RedisResult<()> = redis::cmd("FLUSHALL").query_async(&mut agent).await;
    assert!(refused.is_err());
    let stranger = async {
        open("")
            .await?
            .get::<_, Option<String>>("maestro:presence:s1")
            .await
    };
    assert!(stranger.await.is_err(), "nobody without a password");
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_blocks_with_its_number_until_it_is_free() {
    let house = House::new();
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("bound").port();
    let mut params = house.params();
    params.tcp = Some(Tcp { port });
    let mut redis = house.redis_of(params).await;
    assert_eq!(redis.change_to(State::Blocked).await.reason, "port_taken");
    assert!(
        redis
            .handle
            .status()
            .remedy
            .is_some_and(|remedy| remedy.contains(&port.to_string()))
    );
    drop(other);
    redis.ready().await;
    redis.handle.shutdown(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_kills_leave_one_redis_and_all_its_data() {
    let house = House::new();
    let redis = house.redis().await;
    let mut pid = redis.ready().await;
    let mut took = Vec::new();
    for i in 0..30i64 {
        let _: () = connect(&house.socket())
            .await
            .set(format!("key{i}"), i)
            .await
            .expect("written");
        let begin = std::time::Instant::now();
        signal(pid, "KILL");
        pid = redis.is_ready_anew(pid).await;
        took.push(begin.elapsed());
    }
    assert_eq!(keys(&house).await, 30);
    until("one process", || house.processes() == [pid]).await;
    took.sort();
    println!(
        "SIGKILL -> Ready again: median {:?}, worst {:?}",
        took[15], took[29]
    );
    redis.handle.shutdown(LONG).await;
}
