//! Whoever starts the daemon: it runs, or says plainly why not and what to do, with an exit code for scripts.

use tokio::net::TcpListener;

use crate::harness::{Setup, eventually};

async fn maestrod(setup: &Setup, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = setup.command(env!("CARGO_BIN_EXE_maestrod"));
    command.args(args);
    let output = tokio::task::spawn_blocking(move || command.output().expect("maestrod runs"))
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_second_daemon_on_the_same_data_names_the_first_and_ends_with_73() {
    let first = Setup::new().start().await;
    let elsewhere = first.place().root().join("other-state");
    let second = Setup::at(first.place().clone()).env("MAESTRO_STATE_DIR", elsewhere.to_string_lossy());
    let (status, log) = second.run_to_end().await;
    assert_eq!(status.code(), Some(73), "{log}");
    assert!(log.contains(&format!("(pid {})", first.pid())), "{log}");
    assert!(log.contains("--data-dir"), "it says what to do: {log}");
    first.get("/health").await.expect(200);
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_remedy_and_may_be_free_later_75() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let (status, log) = Setup::new().env("PORT", port.to_string()).run_to_end().await;
    assert_eq!(status.code(), Some(75), "{log}");
    assert!(
        log.contains(&format!("127.0.0.1:{port} is taken by another program")),
        "{log}"
    );
    assert!(log.contains("--port"), "{log}");
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_file_line_key_and_the_nearest_valid_one_78() {
    let (status, log) = Setup::new().config("[listen]\nprot = 4000\n").run_to_end().await;
    assert_eq!(status.code(), Some(78), "{log}");
    for part in ["maestro.toml:2", "prot", "port"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[tokio::test]
async fn check_prints_each_value_with_its_origin_and_starts_nothing() {
    let setup = Setup::new();
    let file = setup.place().write("other.toml", "[log]\nlevel = \"debug\"\n");
    let file = file.to_string_lossy().into_owned();
    let (code, told, _) = maestrod(&setup, &["check", "--config", &file, "--host", "127.0.0.1"]).await;
    assert_eq!(code, Some(0));
    for (value, origin) in [
        ("level = \"debug\"", "other.toml:2"),
        ("port = 0", "$PORT"),
        ("host = [\"127.0.0.1\"]", "--host"),
        ("header_timeout = \"30s\"", "default"),
    ] {
        assert!(
            told.lines()
                .any(|line| line.starts_with(value) && line.ends_with(origin)),
            "{value} from {origin}:\n{told}"
        );
    }
    assert!(!setup.place().data_dir().join("maestro.db").exists());

    let (code, _, told) = maestrod(&setup, &["check", "--port", "70000"]).await;
    assert_eq!(code, Some(78));
    assert!(told.contains("--port"), "{told}");
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_64_and_help_with_0() {
    let setup = Setup::new();
    assert_eq!(maestrod(&setup, &["run", "--prot", "1"]).await.0, Some(64));
    assert_eq!(maestrod(&setup, &[]).await.0, Some(64));
    let (code, told, _) = maestrod(&setup, &["--help"]).await;
    assert_eq!(code, Some(0));
    assert!(told.contains("Exit codes"), "{told}");
}

#[tokio::test]
async fn without_a_redis_server_it_says_that_everything_is_embedded() {
    let empty = Setup::new();
    let nowhere = empty.place().work_dir();
    let daemon = empty
        .without_env("REDIS_ENABLED")
        .env("PATH", nowhere.to_string_lossy())
        .start()
        .await;
    daemon.get("/ready").await.expect(200);
    // It serves before it is done with the log.
    eventually("it says so", || async {
        let told = daemon.log().contains("redis: none: everything is embedded");
        told.then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_serves_before_redis_is_there_and_is_ready_with_it() {
    let missing = Setup::new();
    let program = missing.place().work_dir().join("redis-server");
    let daemon = missing
        .without_env("REDIS_ENABLED")
        .config(&format!("[redis]\nmode = \"managed\"\nbinary = {program:?}\n"))
        .start()
        .await;
    daemon.get("/health").await.expect(200);
    let not_yet = daemon.get("/ready").await;
    assert!(not_yet.header("retry-after").is_some());
    assert!(not_yet.expect(503)["missing"]["redis"].is_string());

    std::os::unix::fs::symlink("/usr/bin/redis-server", &program).unwrap(); // somebody installs it
    eventually("the hub is ready with redis", || async {
        (daemon.get("/ready").await.status == 200).then_some(())
    })
    .await;
}
