//! Spawning, seen by whoever asks for agents and by whoever opens their terminals.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::harness::{Ask, Daemon, Place, Setup, eventually};

/// A hub with one project and one task.
struct House {
    hub: Daemon,
    project: String,
    task: String,
}

impl House {
    async fn with(setup: Setup) -> Self {
        let hub = setup.start().await;
        let work = hub.place().work_dir();
        let project = json!({"name": "Demo", "workingDir": work});
        let project = text(&hub.post("/api/projects", project).await.expect(201)["id"]);
        let task = json!({"projectId": project, "title": "Build it"});
        let task = text(&hub.post("/api/tasks", task).await.expect(201)["id"]);
        Self { hub, project, task }
    }

    fn wish(&self) -> Value {
        json!({"projectId": self.project, "taskIds": [self.task]})
    }

    async fn spawn(&self, wish: &Value) -> Value {
        self.hub
            .post("/api/sessions/spawn", wish.clone())
            .await
            .expect(201)
    }

    fn manifest_of(&self, session: &str) -> PathBuf {
        let folder = self.hub.place().session_dir().join(session);
        folder.join("manifest.json")
    }

    /// No session, no link, no folder, no copy of data.
    async fn assert_nothing_was_spawned(&self) {
        assert_eq!(self.hub.get("/api/sessions").await.expect(200), json!([]));
        let path = format!("/api/tasks?projectId={}", self.project);
        for task in self.hub.get(&path).await.expect(200).as_array().unwrap() {
            assert_eq!(task["sessionIds"], json!([]));
        }
        assert_eq!(names_in(&self.hub.place().session_dir()), [""; 0]);
        assert_eq!(names_in(&scratch(self.hub.place())), [""; 0]);
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn read_json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).expect("JSON")
}

fn scratch(place: &Place) -> PathBuf {
    place.state_dir().join("manifests")
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

/// A hub that makes manifests with a program of these lines, found in `$here`.
fn with_program(lines: &str) -> Setup {
    let place = Place::new();
    let text = format!("#!/bin/sh\nhere={}\n{lines}\n", place.root().display());
    let program = place.write("bin/maestro", &text);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    Setup::at(place)
        .env("MANIFEST_GENERATOR", "cli")
        .env("MAESTRO_CLI_PATH", program.to_string_lossy())
}

/// Says that it runs, waits for the file `go`, and writes a manifest.
const WAITS: &str = r#"
touch "$here/running"
while [ ! -e "$here/go" ]; do sleep 0.01; done
while [ "$1" != --output ]; do shift; done
echo '{"from": "outside"}' > "$2"
"#;

async fn until_running(place: &Place) {
    let file = place.root().join("running");
    eventually("the program runs", || {
        let runs = file.exists().then_some(());
        async move { runs }
    })
    .await;
}

#[tokio::test]
async fn a_coordinator_spawns_a_worker_and_the_terminal_gets_all_it_needs() {
    let house = House::with(Setup::new()).await;
    let boss = json!({"projectId": house.project, "taskIds": [], "status": "working", "id": "boss"});
    house.hub.post("/api/sessions", boss).await.expect(201);
    let mut terminal = house.hub.listen().await;

    let mut wish = house.wish();
    wish["spawnSource"] = "session".into();
    wish["sessionId"] = "boss".into();
    wish["teamMemberId"] = format!("tm_{}_simple_worker", house.project).into();
    let answer = house.spawn(&wish).await;
    let session = text(&answer["sessionId"]);

    let frames = terminal.arrived().await;
    let names: Vec<&Value> = frames.iter().map(|frame| &frame["event"]).collect();
    assert_eq!(names, ["session:updated", "session:spawn", "task:session_added"]);
    let data = &frames[1]["data"];
    assert_eq!(data["command"], "maestro worker init");
    assert_eq!(
        data["cwd"],
        house.hub.place().work_dir().to_string_lossy().as_ref()
    );
    assert_eq!(data["parentSessionId"], "boss");
    let manifest = read_json(Path::new(
        data["envVars"]["MAESTRO_MANIFEST_PATH"].as_str().unwrap(),
    ));
    assert_eq!(manifest, data["manifest"]);
    assert_eq!(manifest["teamMemberName"], "Simple Worker");
    assert_eq!(answer["manifestPath"], data["envVars"]["MAESTRO_MANIFEST_PATH"]);

    let children = house
        .hub
        .get("/api/sessions?parentSessionId=boss")
        .await
        .expect(200);
    assert_eq!(children[0]["id"], session.as_str());
    let task = house
        .hub
        .get(&format!("/api/tasks/{}", house.task))
        .await
        .expect(200);
    assert_eq!(task["sessionIds"], json!([session]));
}

#[tokio::test]
async fn a_spawned_session_is_the_same_after_a_restart() {
    let house = House::with(Setup::new().env("OPENAI_API_KEY", "sk-secret")).await;
    let session = text(&house.spawn(&house.wish()).await["sessionId"]);
    let path = format!("/api/sessions/{session}");
    let before = house.hub.get(&path).await.expect(200);
    assert_eq!(before["status"], "spawning");
    let hub = house.hub.restart().await;
    assert_eq!(hub.get(&path).await.expect(200), before);
}

#[tokio::test]
async fn many_spawns_at_once_all_get_a_session_and_a_manifest_of_their_own() {
    let house = House::with(Setup::new()).await;
    let wish = house.wish();
    let answers = join_all((0..40).map(|_| house.spawn(&wish))).await;
    let mut sessions: Vec<String> = answers.iter().map(|answer| text(&answer["sessionId"])).collect();
    sessions.sort_unstable();
    sessions.dedup();
    assert_eq!(sessions.len(), 40);
    for session in &sessions {
        assert_eq!(
            read_json(&house.manifest_of(session))["tasks"][0]["id"],
            house.task.as_str()
        );
    }
    let task = house
        .hub
        .get(&format!("/api/tasks/{}", house.task))
        .await
        .expect(200);
    assert_eq!(task["sessionIds"].as_array().unwrap().len(), 40);
}

#[tokio::test]
async fn a_script_that_wants_no_answer_gets_none() {
    let house = House::with(Setup::new()).await;
    let ask = Ask::new("POST", "/api/sessions/spawn").header("prefer", "return=minimal");
    let answer = house.hub.ask(ask.json(&house.wish())).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let sessions = house.hub.get("/api/sessions").await.expect(200);
    assert_eq!(sessions.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_agent_tool_nobody_can_start_is_refused_and_nothing_is_spawned() {
    let house = House::with(Setup::new()).await;
    let mut wish = house.wish();
    wish["agentTool"] = "vi".into();
    let refused = house.hub.post("/api/sessions/spawn", wish).await.expect(500);
    assert_eq!(refused["code"], "manifest_generation_failed");
    assert!(refused["message"].as_str().unwrap().contains("`vi`"), "{refused}");
    house.assert_nothing_was_spawned().await;
}

#[tokio::test]
async fn the_hub_goes_on_answering_while_a_program_makes_a_manifest() {
    let house = House::with(with_program(WAITS)).await;
    let wish = house.wish();
    let (answer, ()) = tokio::join!(house.spawn(&wish), async {
        until_running(house.hub.place()).await;
        // The program itself asks for members, and others change things meanwhile.
        let members = format!("/api/team-members?projectId={}", house.project);
        assert_eq!(
            house
                .hub
                .get(&members)
                .await
                .expect(200)
                .as_array()
                .unwrap()
                .len(),
            5
        );
        house
            .hub
            .patch(&format!("/api/tasks/{}", house.task), json!({"title": "Renamed"}))
            .await
            .expect(200);
        house.hub.place().write("go", "");
    });
    let session = text(&answer["sessionId"]);
    assert_eq!(
        read_json(&house.manifest_of(&session)),
        json!({"from": "outside"})
    );
    let task = house
        .hub
        .get(&format!("/api/tasks/{}", house.task))
        .await
        .expect(200);
    assert_eq!(
        (&task["title"], &task["sessionIds"]),
        (&json!("Renamed"), &json!([session]))
    );
}

#[tokio::test]
async fn a_task_that_vanishes_while_its_manifest_is_made_is_not_worked_on() {
    let house = House::with(with_program(WAITS)).await;
    let mut terminal = house.hub.listen().await;
    let (answer, ()) = tokio::join!(house.hub.post("/api/sessions/spawn", house.wish()), async {
        until_running(house.hub.place()).await;
        let path = format!("/api/tasks/{}", house.task);
        house.hub.delete(&path).await.expect(200);
        house.hub.place().write("go", "");
    });
    assert_eq!(answer.expect(404)["code"], "task_not_found");
    assert_eq!(terminal.arrived_names().await, ["task:deleted"]);
    house.assert_nothing_was_spawned().await;
}

#[tokio::test]
async fn a_program_that_hangs_is_given_up_in_time() {
    let setup = with_program("sleep 1000").config("[manifest]\ntimeout = \"200ms\"\n");
    let house = House::with(setup).await;
    let failed = house
        .hub
        .post("/api/sessions/spawn", house.wish())
        .await
        .expect(500);
    assert_eq!(failed["code"], "manifest_generation_failed");
    assert_eq!(
        failed["message"],
        "Failed to generate manifest: maestro CLI did not finish within 200ms"
    );
    house.assert_nothing_was_spawned().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_while_it_waits_leaves_nothing_behind() {
    let house = House::with(with_program(WAITS)).await;
    let body = house.wish().to_string();
    let mut line = TcpStream::connect(("127.0.0.1", house.hub.port())).await.unwrap();
    let request = format!(
        "POST /api/sessions/spawn HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        house.hub.port(),
        body.len()
    );
    line.write_all(request.as_bytes()).await.unwrap();
    until_running(house.hub.place()).await;
    drop(line);

    let place = house.hub.place().clone();
    eventually("nothing of it is left", || {
        let left = names_in(&place.session_dir()).len() + names_in(&scratch(&place)).len();
        async move { (left == 0).then_some(()) }
    })
    .await;
    house.assert_nothing_was_spawned().await;
}

#[tokio::test]
async fn who_makes_manifests_can_be_changed_while_the_hub_runs() {
    let setup = with_program("exit 7").without_env("MANIFEST_GENERATOR");
    let house = House::with(setup.config("[manifest]\ngenerator = \"cli\"\n")).await;
    let failed = house
        .hub
        .post("/api/sessions/spawn", house.wish())
        .await
        .expect(500);
    assert!(
        failed["message"].as_str().unwrap().contains("exit code 7"),
        "{failed}"
    );

    house
        .hub
        .place()
        .write("maestro.toml", "[manifest]\ngenerator = \"builtin\"\n");
    house.hub.signal(Signal::SIGHUP);
    eventually("the hub makes manifests itself", || async {
        let answer = house.hub.post("/api/sessions/spawn", house.wish()).await;
        (answer.status == 201).then_some(())
    })
    .await;
}
