//! Files the contract promises: manifests where spawned programs look for them, and the way back to the old layout.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    additive::without_additions,
    harness::Setup,
    manifest_schema::violations,
    recording::{Recording, Step},
    replay::Replay,
};

fn read_json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{} is not JSON ({e}): {text}", path.display()))
}

#[tokio::test]
async fn spawned_sessions_find_the_announced_manifest_at_the_recorded_place() {
    let recording = Recording::load();
    let mut replay = Replay::start(Setup::new()).await;
    replay.run(&recording.steps()).await;

    let announced: Vec<&Value> = replay
        .frames
        .iter()
        .filter(|f| f["event"] == "session:spawn")
        .collect();
    let recorded = recording.manifest_files();
    assert_eq!(announced.len(), recorded.len());
    for (frame, recorded) in announced.iter().zip(recorded) {
        let path = replay.bindings.fill_text(recorded);
        assert_eq!(frame["data"]["envVars"]["MAESTRO_MANIFEST_PATH"], path.as_str());
        let manifest = read_json(Path::new(&path));
        assert_eq!(manifest, frame["data"]["manifest"], "{path}");
        assert_eq!(violations(&manifest), Vec::<String>::new(), "{path}");
    }
}

#[tokio::test]
async fn any_combination_of_members_gives_a_manifest_the_client_will_read() {
    let daemon = Setup::new().start().await;
    let mut socket = daemon.listen().await;
    let project = daemon
        .post("/api/projects", json!({"name": "P"}))
        .await
        .expect(201)["id"]
        .clone();
    let id = project.as_str().expect("an id");
    let member = daemon
        .post(
            "/api/team-members",
            json!({
                "projectId": id, "name": "Cody", "role": "r", "avatar": "c", "model": "gpt-5", "agentTool": "codex",
                "skillIds": ["lint"], "capabilities": {"can_edit_tasks": false},
                "commandPermissions": {"groups": {"task": true}, "commands": {"mail:send": false}},
                "customWorkflow": "Do it."
            }),
        )
        .await
        .expect(201)["id"]
        .clone();
    let task = daemon
        .post("/api/tasks", json!({"projectId": id, "title": "T"}))
        .await
        .expect(201)["id"]
        .clone();
    let odd = json!({"projectId": id, "title": "T", "priority": "urgent"});
    let odd_task = daemon.post("/api/tasks", odd).await.expect(201)["id"].clone();
    let coordinator = format!("tm_{id}_coordinator");

    for wish in [
        json!({"taskIds": [task]}),
        json!({"taskIds": [task, task]}),
        json!({"taskIds": [odd_task]}),
        json!({"taskIds": [task], "teamMemberId": member}),
        json!({"taskIds": [task], "teamMemberId": coordinator, "delegateTeamMemberIds": [member]}),
        json!({"taskIds": [task], "teamMemberIds": [member, coordinator, format!("tm_{id}_recruiter")]}),
        json!({"taskIds": [task], "teamMemberIds": ["tm_unknown", "tm_other"]}),
        json!({"taskIds": [task], "agentTool": "vi", "model": "m", "mode": "coordinate"}),
    ] {
        let mut body = wish.clone();
        body["projectId"] = project.clone();
        let answer = daemon.post("/api/sessions/spawn", body).await;
        let frames = socket.arrived().await;
        if answer.status == 201 {
            let frame = frames
                .iter()
                .find(|f| f["event"] == "session:spawn")
                .expect("it is announced");
            assert_eq!(
                violations(&frame["data"]["manifest"]),
                Vec::<String>::new(),
                "{wish}"
            );
        } else {
            assert_eq!(
                answer.json()["code"],
                "manifest_generation_failed",
                "{wish}: {}",
                answer.text()
            );
            assert_eq!(frames, Vec::<Value>::new(), "{wish}");
        }
    }
}

/// The recording shows the files as they were before the last examples deleted things.
#[tokio::test]
async fn export_writes_the_layout_that_was_recorded() {
    let recording = Recording::load();
    let steps = recording.steps();
    let before_deletions: Vec<Step> = steps
        .iter()
        .take_while(|step| step.id != "session.delete")
        .cloned()
        .collect();
    let mut replay = Replay::start(Setup::new()).await;
    replay.run(&before_deletions).await;

    let exported = replay.daemon.place().root().join("exported");
    let output = replay.daemon.ctl(&["export", &exported.to_string_lossy()]).await;
    assert!(
        output.status.success(),
        "export: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    // The address of a running server and pages shown once are in the data directory and no part of an export.
    let live = replay.daemon.place().data_dir();
    for file in recording.files_on_disk() {
        let name = file["path"]
            .as_str()
            .expect("a path")
            .trim_start_matches("<DATA_DIR>/");
        let name = replay.bindings.fill_text(name);
        let passing = name == "server-url" || name.starts_with("modals/");
        let dir = if passing { &live } else { &exported };
        let path = dir.join(&name);
        let found = if name.ends_with(".json") {
            let json = without_additions(&read_json(&path));
            replay.bindings.differences(&name, &file["content"], &json)
        } else {
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            replay.bindings.differences(&name, &file["content"], &text.into())
        };
        assert_eq!(found, Vec::<String>::new());
    }
}
