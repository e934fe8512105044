//! The link against a real server, in good days and bad.

use std::{
    fs,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use redis::cmd;
use tokio::time::timeout;

use crate::shutdown::TaskGroup;

use super::{
    LinkError, LinkState, RedisLink, Settings, Trouble, Up,
    testbed::{PATIENCE, Server, quick},
};

mod hearing;

/// A link and the tasks it lives in.
struct Rig {
    link: RedisLink,
    tasks: TaskGroup,
}

impl Rig {
    fn open(settings: Settings) -> Self {
        let tasks = TaskGroup::default();
        let link = RedisLink::open(settings, &tasks);
        Self { link, tasks }
    }

    async fn up(&self) -> Up {
        self.link.until_up(PATIENCE).await.expect("the link comes up")
    }

    async fn until(&self, what: &str, fits: impl Fn(&LinkState) -> bool) -> LinkState {
        let mut state = self.link.watch();
        let found = timeout(PATIENCE, state.wait_for(|state| fits(state))).await;
        match found {
            Ok(state) => state.expect("the link is kept").clone(),
            Err(_) => panic!("waited in vain until the link is {what}: {:?}", self.link.state()),
        }
    }

    async fn until_down(&self, word: &str) -> Trouble {
        let state = self.until(word, |state| {
            state.up().is_none() && state.trouble().word() == word
        });
        state.await.trouble()
    }

    async fn until_impaired(&self, word: &str) {
        let impaired = |state: &LinkState| state.up().is_some() && state.trouble().word() == word;
        self.until(word, impaired).await;
    }

    async fn get(&self, key: &str) -> Result<Option<String>, LinkError> {
        self.link.query(cmd("GET").arg(key)).await
    }

    async fn set(&self, key: &str) -> Result<(), LinkError> {
        self.link.query(cmd("SET").arg(key).arg("x")).await
    }

    async fn close(self) {
        assert!(self.tasks.close(PATIENCE).await, "every task ends");
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[tokio::test]
async fn a_link_comes_up_and_knows_who_answers() {
    let server = Server::start();
    let rig = Rig::open(server.settings().keyspace_events("Ex"));
    let up = rig.up().await;
    assert_eq!((up.times, up.impaired), (1, None));
    assert_eq!(up.server.run_id.len(), 40);
    assert!(up.server.process_id.is_some());
    assert_eq!(up.server.keyspace_events.as_deref(), Some("xE"));
    let ours = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    assert!((up.server.now_millis() - i64::try_from(ours).unwrap()).abs() < 5000);
    rig.set("k").await.unwrap();
    assert_eq!(rig.get("k").await.unwrap().as_deref(), Some("x"));
    let keys: Vec<String> = server.ask(&["KEYS", "*"]);
    assert_eq!(keys, ["k"], "looking leaves nothing behind");
    rig.close().await;
}

#[tokio::test]
async fn a_command_that_is_wrong_says_so_and_the_link_stays_up() {
    let server = Server::start();
    let rig = Rig::open(server.settings());
    rig.up().await;
    rig.set("k").await.unwrap();
    let wrong: Result<(), _> = rig.link.query(cmd("LPUSH").arg("k").arg("x")).await;
    assert!(matches!(wrong, Err(LinkError::Command(_))), "{wrong:?}");
    assert_eq!(rig.link.state().up().map(|up| up.times), Some(1));
}

#[tokio::test]
async fn while_nothing_listens_there_commands_fail_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::unix(&dir.path().join("s")).unwrap().timings(quick());
    let rig = Rig::open(settings);
    rig.until_down("unreachable").await;
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(matches!(
            rig.get("k").await,
            Err(LinkError::Down(Trouble::Unreachable(_)))
        ));
    }
    assert!(begun.elapsed() < quick().command, "nothing was waited for");
    rig.close().await;
}

#[tokio::test]
async fn after_a_kill_and_a_restart_the_link_is_up_again_and_knows_it_is_another_process() {
    let mut server = Server::start();
    let rig = Rig::open(server.settings().keyspace_events("Ex"));
    let before = rig.up().await;
    rig.set("k").await.unwrap();
    server.kill();
    rig.until_down("unreachable").await;
    let down = rig.get("k").await;
    assert!(matches!(down, Err(LinkError::Down(_))), "{down:?}");
    server.restart();
    let after = rig.up().await;
    assert_eq!(after.times, 2);
    assert_ne!(after.server.run_id, before.server.run_id);
    assert_eq!(after.server.keyspace_events.as_deref(), Some("xE"), "set again");
    assert!(after.since > before.since);
    assert_eq!(rig.get("k").await.unwrap().as_deref(), Some("x"));
}

#[tokio::test]
async fn a_death_is_noticed_without_any_traffic() {
    let mut server = Server::start();
    let mut timings = quick();
    timings.probe_every = Duration::from_secs(3600);
    let rig = Rig::open(server.settings().timings(timings));
    rig.up().await;
    server.kill();
    rig.until_down("unreachable").await;
}

#[tokio::test]
async fn a_server_that_is_stopped_is_silent_and_commands_have_a_deadline() {
    let server = Server::start();
    let mut timings = quick();
    timings.probe_every = Duration::from_secs(3600);
    timings.command = Duration::from_millis(100);
    let rig = Rig::open(server.settings().timings(timings));
    rig.up().await;
    server.signal(Signal::SIGSTOP);
    let answers = futures_util::future::join_all((0..200).map(|_| rig.get("k"))).await;
    for answer in answers {
        assert!(
            matches!(answer, Err(LinkError::Lost(Trouble::Silent) | LinkError::Down(_))),
            "{answer:?}"
        );
    }
    rig.until_down("silent").await; // a lost command made the keeper look at once
    server.signal(Signal::SIGCONT);
    rig.up().await;
    rig.get("k").await.unwrap();
}

#[tokio::test]
async fn a_server_that_wants_a_password_is_told_from_one_that_is_gone() {
    let server = Server::with(&["--requirepass", "secret"]);
    let rig = Rig::open(server.settings());
    let trouble = rig.until_down("unauthenticated").await;
    assert!(!trouble.to_string().contains("secret"));
    let url = |password: &str| format!("redis+unix://{}?pass={password}", server.socket().display());
    let wrong = Rig::open(Settings::url(&url("wrong")).unwrap().timings(quick()));
    wrong.until_down("unauthenticated").await;
    let right = Rig::open(Settings::url(&url("secret")).unwrap().timings(quick()));
    right.up().await;
    right.set("k").await.unwrap();
}

#[tokio::test]
async fn a_user_and_a_database_are_taken_from_the_address() {
    let port = free_port();
    let server = Server::with(&["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    let _: () = server.ask(&[
        "ACL",
        "SETUSER",
        "hub",
        "on",
        ">p@ss",
        "~maestro:*",
        "+@all",
        "-@dangerous",
    ]);
    let url = format!("redis://hub:p%40ss@127.0.0.1:{port}/3");
    let rig = Rig::open(Settings::url(&url).unwrap().timings(quick()));
    let up = rig.up().await;
    assert_eq!(up.impaired, None);
    assert_eq!(
        up.server.keyspace_events, None,
        "it may not ask, and that is no trouble"
    );
    rig.set("maestro:k").await.unwrap();
    let refused = rig.set("other").await;
    assert!(
        matches!(refused, Err(LinkError::Refused(Trouble::Forbidden(_)))),
        "{refused:?}"
    );
    let found: Vec<String> = redis::pipe()
        .cmd("SELECT")
        .arg(3)
        .ignore()
        .cmd("KEYS")
        .arg("*")
        .query::<(Vec<String>,)>(&mut server.connection())
        .unwrap()
        .0;
    assert_eq!(found, ["maestro:k"]);
}

#[tokio::test]
async fn a_user_that_may_not_touch_our_keys_is_forbidden() {
    let port = free_port();
    let server = Server::with(&["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    let _: () = server.ask(&["ACL", "SETUSER", "guest", "on", ">pass", "~guest:*", "+@all"]);
    let url = format!("redis://guest:pass@127.0.0.1:{port}");
    let rig = Rig::open(Settings::url(&url).unwrap().timings(quick()));
    rig.until_impaired("forbidden").await;
    let fitting = Settings::url(&url).unwrap().prefix("guest:").timings(quick());
    let fitting = Rig::open(fitting);
    assert_eq!(fitting.up().await.impaired, None);
}

#[tokio::test]
async fn a_server_out_of_memory_is_up_but_takes_no_writes_until_it_has_some() {
    let server = Server::start();
    let rig = Rig::open(server.settings());
    rig.up().await;
    rig.set("k").await.unwrap();
    let _: () = server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    rig.until_impaired("out_of_memory").await;
    assert!(matches!(
        rig.set("k").await,
        Err(LinkError::Refused(Trouble::OutOfMemory))
    ));
    assert_eq!(rig.get("k").await.unwrap().as_deref(), Some("x"));
    let _: () = server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    rig.until("well", |state| state.up().is_some_and(|up| up.impaired.is_none()))
        .await;
    rig.set("k").await.unwrap();
    assert_eq!(
        rig.link.state().up().map(|up| up.times),
        Some(1),
        "it was never down"
    );
}

#[tokio::test]
async fn a_replica_is_up_but_read_only() {
    let server = Server::start();
    let rig = Rig::open(server.settings());
    rig.up().await;
    let _: () = server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    rig.until_impaired("read_only").await;
    assert!(matches!(
        rig.set("k").await,
        Err(LinkError::Refused(Trouble::ReadOnly))
    ));
    rig.get("k").await.unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_save_says_so() {
    let server = Server::with(&["--enable-protected-configs", "yes"]);
    let rig = Rig::open(server.settings());
    rig.up().await;
    let gone = tempfile::tempdir().unwrap();
    let _: () = server.ask(&["CONFIG", "SET", "appendonly", "no"]);
    let _: () = server.ask(&["CONFIG", "SET", "save", "3600 1"]);
    let _: () = server.ask(&["CONFIG", "SET", "dir", gone.path().to_str().unwrap()]);
    fs::remove_dir(gone.path()).unwrap();
    let _: () = server.ask(&["BGSAVE"]);
    rig.until_impaired("unsaved").await;
    assert!(matches!(
        rig.set("k").await,
        Err(LinkError::Refused(Trouble::Unsaved(_)))
    ));
}

#[tokio::test]
async fn a_server_busy_with_a_script_is_down_for_as_long() {
    let server = Server::with(&["--busy-reply-threshold", "50"]);
    let rig = Rig::open(server.settings());
    rig.up().await;
    let mut endless = server.connection();
    let script = std::thread::spawn(move || {
        let _: redis::RedisResult<()> = cmd("EVAL").arg("while true do end").arg(0).query(&mut endless);
    });
    rig.until_down("busy").await;
    // Before its threshold the server answers nobody, this command included.
    let _: () = server.ask(&["SCRIPT", "KILL"]);
    rig.up().await;
    rig.set("k").await.unwrap();
    script.join().unwrap();
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_told_from_one_that_is_gone() {
    let mut server = Server::start();
    let rig = Rig::open(server.settings());
    rig.up().await;
    let mut line = server.connection();
    let mut pipe = redis::pipe();
    for n in 0..500 {
        pipe.cmd("SET").arg(n).arg("x".repeat(1000)).ignore();
    }
    pipe.query::<()>(&mut line).unwrap();
    let _: () = server.ask(&["BGREWRITEAOF"]);
    let done = || {
        server
            .ask::<String>(&["INFO", "persistence"])
            .contains("aof_rewrite_in_progress:0")
    };
    while !done() {
        std::thread::yield_now();
    }
    // A pause after each key, and a look at clients after each kilobyte.
    server.set_options(&[
        "--key-load-delay",
        "4000",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    server.restart_without_waiting();
    rig.until_down("loading").await;
    assert!(matches!(
        rig.get("1").await,
        Err(LinkError::Down(Trouble::Loading))
    ));
    rig.up().await;
    assert!(rig.get("499").await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_behind_tls_is_reached_by_whoever_trusts_its_authority_only() {
    let _ = rustls::crypto::ring::default_provider().install_default(); // another test may have done so
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");
    let file = |name: &str| format!("{fixtures}/{name}");
    let port = free_port();
    let _server = Server::with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &file("server.pem"),
        "--tls-key-file",
        &file("server.key.pem"),
        "--tls-ca-cert-file",
        &file("authority.pem"),
        "--tls-auth-clients",
        "no",
    ]);
    let url = format!("rediss://localhost:{port}");
    let authority = fs::read(file("authority.pem")).unwrap();
    let trusting = Settings::url_with_authority(&url, authority).unwrap().database(1);
    let rig = Rig::open(trusting.timings(quick()));
    rig.up().await;
    rig.set("k").await.unwrap();
    let stranger = Rig::open(Settings::url(&url).unwrap().timings(quick()));
    stranger.until_down("unreachable").await;
}
