//! Quirks of spawning: 7, 18.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{harness::Setup, scene::Scene};

#[tokio::test]
async fn quirk_07_a_failed_manifest_leaves_no_session_behind() {
    let mut scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    scene.events().await;
    // A file where the folder of manifests should be: no manifest can be written, even by root.
    let sessions = scene.daemon.place().session_dir();
    fs::remove_dir_all(&sessions).expect("it is ours");
    fs::write(&sessions, "in the way").expect("it is ours");

    let answer = scene
        .post("/api/sessions/spawn", json!({"taskIds": [task]}))
        .await;
    let body = answer.expect(500);
    assert_eq!(body["error"], true);
    assert_eq!(body["code"], "manifest_generation_failed");
    let message = body["message"].as_str().expect("text");
    assert!(message.starts_with("Failed to generate manifest: "), "{message}");
    assert_eq!(scene.events().await, [""; 0]);
    assert_eq!(scene.get("/api/sessions").await, json!([]));
    assert_eq!(
        scene.get(&format!("/api/tasks/{task}")).await["sessionIds"],
        json!([])
    );

    fs::remove_file(&sessions).expect("it is ours");
    scene
        .post("/api/sessions/spawn", json!({"taskIds": [task]}))
        .await
        .expect(201);
}

const SECRETS: [(&str, &str); 4] = [
    ("ANTHROPIC_API_KEY", "sk-ant-never-to-be-seen"),
    ("OPENAI_API_KEY", "sk-oai-never-to-be-seen"),
    ("GEMINI_API_KEY", "gem-never-to-be-seen"),
    ("GOOGLE_API_KEY", "goo-never-to-be-seen"),
];
const MARK: &str = "never-to-be-seen";

#[tokio::test]
async fn quirk_18_keys_are_in_the_spawn_event_and_nowhere_else() {
    let mut setup = Setup::new().env("GOOGLE_GENAI_USE_VERTEXAI", "1");
    for (name, value) in SECRETS {
        setup = setup.env(name, value);
    }
    let mut scene = Scene::with(setup).await;
    let task = scene.task(json!({})).await;
    scene.events().await;
    let answer = scene
        .post("/api/sessions/spawn", json!({"taskIds": [task]}))
        .await;
    let session = answer.expect(201)["sessionId"]
        .as_str()
        .expect("an id")
        .to_owned();
    let frames = scene.socket.arrived().await;

    let spawn = frames
        .iter()
        .find(|f| f["event"] == "session:spawn")
        .expect("it is announced");
    for (name, value) in SECRETS {
        assert_eq!(
            spawn["data"]["envVars"][name], value,
            "whoever opens the terminal needs it"
        );
    }
    assert_eq!(spawn["data"]["session"]["env"], spawn["data"]["envVars"]);
    assert_eq!(spawn["data"]["envVars"]["GOOGLE_GENAI_USE_VERTEXAI"], "1");
    assert_eq!(spawn["data"]["envVars"]["GOOGLE_GENAI_USE_GCA"], "true");

    let path = format!("/api/sessions/{session}");
    let shown = scene.get(&path).await;
    assert_eq!(
        shown["env"]["MAESTRO_SESSION_ID"], session,
        "the rest of env stays visible"
    );
    assert_eq!(shown["env"]["GOOGLE_GENAI_USE_GCA"], "true", "a switch is no key");
    scene
        .patch(&path, json!({"status": "working", "env": {"MINE": "1"}}))
        .await;
    let mut said = vec![
        answer.text(),
        shown.to_string(),
        scene.get("/api/sessions").await.to_string(),
    ];
    said.extend(
        frames
            .iter()
            .filter(|f| f["event"] != "session:spawn")
            .map(Value::to_string),
    );
    said.extend(scene.socket.arrived().await.iter().map(Value::to_string));
    said.push(scene.daemon.log());
    for text in said {
        assert!(!text.contains(MARK), "{text}");
    }
    assert_no_file_contains(scene.daemon.place().root(), MARK);
}

fn assert_no_file_contains(dir: &Path, mark: &str) {
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            assert_no_file_contains(&path, mark);
        } else if path.is_file() {
            let bytes = fs::read(&path).expect("a readable file");
            let found = bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
            assert!(!found, "{} holds a key", path.display());
        }
    }
}
