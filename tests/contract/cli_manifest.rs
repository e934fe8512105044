//! `manifest.generator = "cli"`: the program of the command-line client is called exactly as it was recorded.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};

use crate::{
    harness::{Daemon, Place, Setup},
    recording::Recording,
    replay::Replay,
};

/// Notes how it was called and what it could read, then does what the test wants.
const RECORDER: &str = r#"#!/bin/sh
here=$(dirname "$0")
mkdir -p "$here/calls"
call="$here/calls/$(ls "$here/calls" | wc -l | tr -d ' ')"
mkdir "$call"
cat > "$call/stdin"
for arg in "$@"; do printf '%s\n' "$arg"; done > "$call/argv"
env > "$call/env"
(cd "$DATA_DIR" && find projects tasks sessions -name '*.json' | LC_ALL=C sort) > "$call/files"
while [ $# -gt 0 ]; do
  if [ "$1" = --output ]; then output=$2; fi
  shift
done
"#;

fn fixed_manifest() -> Value {
    json!({
        "manifestVersion": "1.0",
        "mode": "execute",
        "tasks": [{
            "id": "t", "title": "T", "description": "", "projectId": "p",
            "createdAt": "2026-01-01T00:00:00.000Z", "acceptanceCriteria": ["n/a"]
        }],
        "session": {"model": "sonnet", "permissionMode": "acceptEdits"}
    })
}

/// A daemon that makes manifests with a program ending in these lines.
fn setup_with_program(ending: &str) -> Setup {
    let place = Place::new();
    place.write("bin/manifest.json", &fixed_manifest().to_string());
    let program = place.write("bin/maestro", &format!("{RECORDER}{ending}\n"));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it can be made executable");
    Setup::at(place)
        .env("MANIFEST_GENERATOR", "cli")
        .env("MAESTRO_CLI_PATH", program.to_string_lossy())
}

const WRITES_A_MANIFEST: &str = r#"cat "$here/manifest.json" > "$output""#;

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_client_program_is_called_as_recorded_and_its_manifest_is_announced() {
    let recording = Recording::load();
    let mut steps = recording.steps();
    for step in &mut steps {
        if let Some(manifest) = step.example.pointer_mut("/events/1/data/manifest") {
            *manifest = fixed_manifest();
        }
    }
    let mut replay = Replay::start(setup_with_program(WRITES_A_MANIFEST)).await;
    replay.run(&steps).await;
    replay.assert_as_recorded();

    let calls = replay.daemon.place().root().join("bin/calls");
    let recorded = recording.manifest_command_lines();
    assert_eq!(
        fs::read_dir(&calls).expect("calls were noted").count(),
        recorded.len()
    );
    for (number, expected) in recorded.iter().enumerate() {
        let call = calls.join(number.to_string());
        let argv = Value::from(lines(&call.join("argv")));
        assert_eq!(
            replay.bindings.differences("argv", &expected["argv"], &argv),
            Vec::<String>::new()
        );
        assert_eq!(
            fs::read(call.join("stdin")).expect("noted"),
            b"",
            "standard input is closed"
        );
        check_what_it_reads(&mut replay, &call, &expected["env"]);
    }
}

/// The program finds the server, and in `DATA_DIR` the files it reads (a private copy: we keep data elsewhere).
fn check_what_it_reads(replay: &mut Replay, call: &Path, recorded: &Value) {
    let env = lines(&call.join("env"));
    let value = |name: &str| {
        let prefix = format!("{name}=");
        env.iter()
            .find_map(|line| line.strip_prefix(&prefix))
            .unwrap_or_default()
            .to_owned()
    };
    for name in ["MAESTRO_SERVER_URL", "SESSION_DIR"] {
        let found = replay
            .bindings
            .differences(name, &recorded[name], &value(name).into());
        assert_eq!(found, Vec::<String>::new());
    }
    let files = lines(&call.join("files"));
    for wanted in ["projects/<proj_1>.json", "tasks/<proj_1>/<task_2>.json"] {
        let wanted = replay.bindings.fill_text(wanted);
        assert!(files.contains(&wanted), "{wanted} is not among {files:?}");
    }
}

/// A project with one task, and how a spawn of it was answered.
async fn spawn_once(daemon: &Daemon) -> (Value, u16) {
    let project = daemon
        .post("/api/projects", json!({"name": "P"}))
        .await
        .expect(201)["id"]
        .clone();
    let task = daemon
        .post("/api/tasks", json!({"projectId": project, "title": "T"}))
        .await
        .expect(201);
    let answer = daemon
        .post(
            "/api/sessions/spawn",
            json!({"projectId": project, "taskIds": [task["id"]]}),
        )
        .await;
    (answer.json(), answer.status)
}

/// Quirk 7 with the external program: each way to fail has the recorded reason, and nothing stays behind.
async fn refuses_with(setup: Setup, reason: &str) {
    let daemon = setup.start().await;
    let mut socket = daemon.listen().await;
    let (body, status) = spawn_once(&daemon).await;
    assert_eq!(status, 500, "{body}");
    assert_eq!(body["error"], true);
    assert_eq!(body["code"], "manifest_generation_failed");
    let message = body["message"].as_str().expect("text");
    let expected = format!("Failed to generate manifest: {reason}");
    assert!(
        message.starts_with(&expected),
        "expected \"{expected}...\", got \"{message}\""
    );

    let names = socket.arrived_names().await;
    assert_eq!(
        names,
        ["project:created", "task:created"],
        "a failed spawn is silent"
    );
    assert_eq!(daemon.get("/api/sessions").await.expect(200), json!([]));
    let tasks = daemon.get("/api/tasks").await.expect(200);
    assert_eq!(tasks[0]["sessionIds"], json!([]));
    let folders = fs::read_dir(daemon.place().session_dir())
        .expect("it exists")
        .count();
    assert_eq!(folders, 0, "no manifest folder stays behind");
}

#[tokio::test]
async fn a_program_that_fails_is_reported_with_its_own_words_and_leaves_nothing_behind() {
    let setup = setup_with_program("echo 'no such task' >&2; exit 3");
    refuses_with(setup, "Manifest generation failed (exit code 3): no such task").await;
}

#[tokio::test]
async fn a_program_that_is_missing_a_part_of_itself_asks_for_an_installation() {
    let setup = setup_with_program("echo 'node: command not found' >&2; exit 127");
    refuses_with(
        setup,
        "maestro CLI not found. Please install maestro: npm install -g maestro-cli",
    )
    .await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_reported() {
    let setup = Setup::new()
        .env("MANIFEST_GENERATOR", "cli")
        .env("MAESTRO_CLI_PATH", "/nonexistent/maestro");
    refuses_with(setup, "Failed to spawn maestro CLI: ").await;
}

#[tokio::test]
async fn a_program_that_writes_nothing_is_reported() {
    refuses_with(setup_with_program("exit 0"), "Failed to read manifest: ").await;
}

#[tokio::test]
async fn a_program_that_writes_something_else_is_reported() {
    let setup = setup_with_program(r#"echo 'not json' > "$output""#);
    refuses_with(setup, "Failed to read manifest: ").await;
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_and_reported() {
    let setup = setup_with_program(r#"echo $$ > "$here/pid"; exec sleep 600"#)
        .config("[manifest]\ntimeout = \"500ms\"\n");
    let place = setup.place().clone();
    refuses_with(setup, "").await;
    let pid = lines(&place.root().join("bin/pid"))[0].parse().expect("a pid");
    crate::harness::eventually("the program is gone", || async move {
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, None).is_err().then_some(())
    })
    .await;
}
