//! An operator at a terminal: `maestroctl` against the real daemon, with a real redis-server under its care.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::harness::{
    Daemon, Setup, eventually,
    output::{code, parsed, text},
};

/// A daemon that keeps a redis-server of its own.
fn with_redis() -> Setup {
    Setup::new()
        .without_env("REDIS_ENABLED")
        .config("[redis]\nmode = \"managed\"\n")
}

async fn status(daemon: &Daemon) -> Value {
    parsed(&daemon.ctl(&["status", "--json"]).await)
}

async fn component(daemon: &Daemon, name: &str) -> Value {
    let status = status(daemon).await;
    let parts = status["components"].as_array().expect("components");
    parts
        .iter()
        .find(|part| part["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {status:#}"))
        .clone()
}

/// Waits until redis is in this state; the component.
async fn redis_becomes(daemon: &Daemon, state: &str) -> Value {
    eventually(&format!("redis is {state}"), || async {
        let redis = component(daemon, "redis").await;
        (redis["state"] == state).then_some(redis)
    })
    .await
}

#[tokio::test]
async fn status_of_a_healthy_embedded_hub_is_one_screen_that_says_so() {
    let daemon = Setup::new().start().await;
    let _watching = daemon.listen().await;
    let seen = daemon.ctl(&["status"]).await;
    let told = text(&seen);
    assert_eq!(code(&seen), 0, "{told}");
    assert!(told.starts_with("maestro is ready, up "), "{told}");
    for fact in [
        "redis    off",
        "embedded",
        "1 raw",
        "run by",
        daemon.place().data_dir().to_str().unwrap(),
    ] {
        assert!(told.contains(fact), "{fact} is not in\n{told}");
    }
    assert!(!told.contains('\u{1b}'), "colours where there is no terminal");
    let json = status(&daemon).await;
    assert_eq!(
        (&json["version"], &json["daemon"]["state"]),
        (&json!(1), &json!("running"))
    );
    assert_eq!(json["daemon"]["pid"], daemon.pid());
}

#[tokio::test]
async fn a_dead_daemon_is_said_to_be_dead_with_its_last_words_and_the_next_step() {
    let mut daemon = Setup::new().start().await;
    daemon.stop().await;
    let stopped = daemon.ctl(&["status"]).await;
    assert_eq!(code(&stopped), 3);
    assert!(
        text(&stopped).contains("told to stop by a signal"),
        "{}",
        text(&stopped)
    );
    let mut daemon = daemon.setup().clone().start().await;
    // Its first note is on disk once its control socket answers.
    assert_eq!(code(&daemon.ctl(&["status", "--wait", "ready"]).await), 0);
    daemon.kill().await;
    let killed = daemon.ctl(&["status"]).await;
    let told = text(&killed);
    assert_eq!(code(&killed), 3);
    assert!(
        told.contains("maestrod is not running") && told.contains("did not say goodbye"),
        "{told}"
    );
    assert!(told.contains("→ start it: maestrod run"), "{told}");
    let refused = daemon.ctl(&["restart", "redis"]).await;
    assert_eq!(code(&refused), 3);
    assert!(text(&refused).contains("→ start it"), "{}", text(&refused));
}

#[tokio::test]
async fn an_operator_stops_starts_and_restarts_redis_and_reads_what_it_printed() {
    let daemon = with_redis().start().await;
    assert_eq!(code(&daemon.ctl(&["status", "--wait", "ready"]).await), 0);
    let first = redis_becomes(&daemon, "ready").await["pid"].clone();
    let log = daemon.ctl(&["logs", "redis"]).await;
    assert!(
        text(&log).contains("ready to accept connections"),
        "{}",
        text(&log)
    );

    assert_eq!(code(&daemon.ctl(&["restart", "redis"]).await), 0);
    let second = eventually("another redis is ready", || async {
        let redis = component(&daemon, "redis").await;
        (redis["state"] == "ready" && redis["pid"] != first).then(|| redis["pid"].clone())
    })
    .await;

    assert_eq!(code(&daemon.ctl(&["stop", "redis"]).await), 0);
    redis_becomes(&daemon, "stopped").await;
    assert_eq!(
        code(&daemon.ctl(&["status"]).await),
        1,
        "a stopped part is not fine"
    );
    daemon.get("/health").await.expect(200);
    assert_eq!(code(&daemon.ctl(&["start", "redis"]).await), 0);
    assert_ne!(redis_becomes(&daemon, "ready").await["pid"], second);

    let unknown = daemon.ctl(&["restart", "moon"]).await;
    assert_eq!(code(&unknown), 1);
    assert!(
        text(&unknown).contains("no child called `moon`") && text(&unknown).contains("redis"),
        "{}",
        text(&unknown)
    );
}

#[tokio::test]
async fn a_killed_redis_is_back_and_the_status_remembers_how_it_ended() {
    let daemon = with_redis().start().await;
    let pid = redis_becomes(&daemon, "ready").await["pid"]
        .as_i64()
        .expect("a pid");
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).expect("redis can be killed");
    let redis = eventually("another redis is ready", || async {
        let redis = component(&daemon, "redis").await;
        (redis["state"] == "ready" && redis["pid"] != pid).then_some(redis)
    })
    .await;
    assert_eq!(redis["restarts_24h"], 1);
    assert_eq!(redis["last_exit"]["how"], "signal 9");
    let told = text(&daemon.ctl(&["status"]).await);
    assert!(told.contains("1 restart in 24 h"), "{told}");
}

#[tokio::test]
async fn a_killed_daemon_started_again_takes_over_the_same_redis() {
    let mut daemon = with_redis().start().await;
    let pid = redis_becomes(&daemon, "ready").await["pid"].clone();
    daemon.kill().await;
    let daemon = daemon.setup().clone().start().await;
    let redis = redis_becomes(&daemon, "ready").await;
    assert_eq!((&redis["pid"], &redis["adopted"]), (&pid, &json!(true)));
}

#[tokio::test]
async fn events_are_printed_as_they_happen_one_json_object_a_line() {
    let daemon = Setup::new().start().await;
    let mut command = daemon.setup().command(env!("CARGO_BIN_EXE_maestroctl"));
    let mut printing = command
        .args(["events", "-f"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("maestroctl runs");
    let mut lines = BufReader::new(printing.stdout.take().expect("piped")).lines();
    let first = tokio::task::spawn_blocking(move || lines.next());
    // It is not known when the other process has begun to listen, so something happens until it was heard.
    let line = {
        tokio::pin!(first);
        loop {
            daemon
                .post("/api/projects", json!({"name": "Heard"}))
                .await
                .expect(201);
            tokio::select! {
                line = &mut first => break line,
                () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
            }
        }
    };
    let line = line.expect("read").expect("a line").expect("text");
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(
        (&event["event"], &event["data"]["name"]),
        (&json!("project:created"), &json!("Heard"))
    );
    printing.kill().expect("it can be ended");
    printing.wait().expect("it ends");
}

#[tokio::test]
async fn a_bad_configuration_is_refused_with_the_line_and_changes_nothing() {
    let daemon = Setup::new().config("[log]\nlevel = \"info\"\n").start().await;
    let file = daemon.place().root().join("maestro.toml");
    let file = [file, daemon.place().home().join(".config/maestro/maestro.toml")]
        .into_iter()
        .find(|file| file.exists())
        .expect("the harness wrote a configuration file");
    fs::write(&file, "[log]\nlevle = \"debug\"\n").unwrap();
    let reload = daemon.ctl(&["config", "reload"]).await;
    assert_eq!(code(&reload), 1);
    let told = text(&reload);
    assert!(
        told.contains("nothing has changed") && told.contains("levle") && told.contains("level"),
        "{told}"
    );
    fs::write(&file, "[log]\nlevel = \"debug\"\n").unwrap();
    let reload = daemon.ctl(&["config", "reload"]).await;
    assert_eq!(code(&reload), 0, "{}", text(&reload));
    let shown = text(&daemon.ctl(&["config", "show"]).await);
    assert!(shown.contains("debug"), "{shown}");
}

#[tokio::test]
async fn data_goes_out_and_comes_in_again_and_a_backup_is_a_whole_store() {
    let daemon = Setup::new().start().await;
    let project = daemon
        .post("/api/projects", json!({"name": "Carried"}))
        .await
        .expect(201);
    let task = json!({"projectId": project["id"], "title": "One"});
    let task = daemon.post("/api/tasks", task).await.expect(201);
    let mail =
        json!({"projectId": project["id"], "fromSessionId": "anna", "type": "query", "subject": "There?"});
    let mail = daemon.post("/api/mail", mail).await.expect(201);
    let root = daemon.place().root().to_owned();
    let path = |name: &str| root.join(name).display().to_string();

    let export = daemon.ctl(&["export", &path("out"), "--json"]).await;
    assert_eq!(code(&export), 0, "{}", text(&export));
    let other = Setup::new().start().await;
    for taken in [1, 0] {
        let import = other.ctl(&["import", &path("out"), "--json"]).await;
        assert_eq!(code(&import), 0, "{}", text(&import));
        assert_eq!(parsed(&import)["projects"], taken, "an import can be repeated");
    }
    for (path, original) in [("/api/projects", &project), ("/api/tasks", &task)] {
        assert_eq!(other.get(path).await.expect(200)[0], *original);
    }
    let id = mail["id"].as_str().unwrap();
    assert_eq!(other.get(&format!("/api/mail/{id}")).await.expect(200), mail);

    let backup = daemon.ctl(&["backup", &path("copy.db")]).await;
    assert_eq!(code(&backup), 0, "{}", text(&backup));
    let again = daemon.ctl(&["backup", &path("copy.db")]).await;
    assert_eq!(code(&again), 1, "a backup never overwrites");
    let restored = Setup::new();
    fs::copy(path("copy.db"), restored.place().data_dir().join("maestro.db")).unwrap();
    let restored = restored.start().await;
    assert_eq!(restored.get("/api/tasks").await.expect(200)[0], task);

    let nowhere = daemon.ctl(&["import", &path("nowhere")]).await;
    assert_eq!(code(&nowhere), 1);
}

#[tokio::test]
async fn a_first_start_beside_the_node_servers_files_offers_to_take_them_over() {
    let setup = Setup::new();
    let data = setup.place().data_dir();
    for folder in ["projects", "sessions", "tasks"] {
        fs::create_dir_all(data.join(folder)).unwrap();
    }
    let project = json!({"id": "proj_1", "name": "Old", "workingDir": "", "description": "", "createdAt": 1, "updatedAt": 1});
    fs::write(data.join("projects/proj_1.json"), project.to_string()).unwrap();
    let daemon = setup.start().await;
    let told = text(&daemon.ctl(&["status"]).await);
    assert!(told.contains("maestroctl import"), "{told}");
    assert_eq!(code(&daemon.ctl(&["import", data.to_str().unwrap()]).await), 0);
    assert_eq!(daemon.get("/api/projects").await.expect(200)[0]["name"], "Old");
    assert!(!text(&daemon.ctl(&["status"]).await).contains("maestroctl import"));
}

#[tokio::test]
async fn help_shows_examples_and_wrong_usage_is_two() {
    let daemon = Setup::new().start().await;
    let help = daemon.ctl(&["--help"]).await;
    assert!(text(&help).contains("Examples:") && text(&help).contains("Exit codes:"));
    assert_eq!(code(&daemon.ctl(&["levitate"]).await), 2);
    let script = daemon.ctl(&["completions", "bash"]).await;
    assert!(text(&script).contains("_clap_complete_maestroctl()"));
    let doctor = daemon.ctl(&["doctor", "--json"]).await;
    let findings = parsed(&doctor);
    let checks: Vec<&str> = findings
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|finding| finding["check"].as_str())
        .collect();
    for check in [
        "configuration",
        "socket path",
        "data directory",
        "disk",
        "store",
        "redis-server",
        "daemon",
    ] {
        assert!(checks.contains(&check), "{checks:?}");
    }
    let troubled: Vec<_> = findings
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["level"] != "good")
        .collect();
    assert!(
        troubled.iter().all(|finding| finding["remedy"].is_string()),
        "{troubled:?}"
    );
}
