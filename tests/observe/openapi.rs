//! The description of the local API, held against the real hub by schemathesis: it makes requests of every operation, some
//! as described and some not, and looks whether the answers are as described.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::{
    harness::{Daemon, Setup, eventually},
    repo,
};

/// Requests for each operation; the same ones each time.
const EXAMPLES: &str = "12";
const SEED: &str = "20261126";

/// Checks that are not made, and why. Everything else that schemathesis knows is checked.
const NOT_CHECKED: [(&str, &str); 4] = [
    (
        "unsupported_method",
        "the contract answers 404 with a page where there is no such method, never 405 (API.md section 1)",
    ),
    ("allow_header_conformance", "and so there is no `Allow`"),
    (
        "negative_data_rejection",
        "the contract hardly checks types: what does not fit an optional field counts as absent, unknown fields are ignored",
    ),
    (
        "positive_data_acceptance",
        "rules refuse what types allow: a blank title, a project that does not exist, a claim somebody else holds",
    ),
];

/// Operations that are left out, and why.
const LEFT_OUT: [(&str, &str); 1] = [(
    "/api/mail/wait/{id}",
    "its shortest wait is a second, for every example; stories::mail waits",
)];

/// Ids of things that there are, so that some requests find something: written into the description as examples.
async fn furnish(daemon: &Daemon) -> Value {
    let skill = daemon.place().home().join(".claude/skills/greet");
    std::fs::create_dir_all(&skill).unwrap();
    std::fs::write(
        skill.join("SKILL.md"),
        "---\nname: greet\nversion: 2\n---\nSay hello.\n",
    )
    .unwrap();
    let project = daemon
        .post("/api/projects", json!({"name": "Described"}))
        .await
        .expect(201);
    let project = &project["id"];
    let task = json!({"projectId": project, "title": "Described"});
    let task = daemon.post("/api/tasks", task).await.expect(201);
    let session = json!({"projectId": project, "taskIds": [task["id"]], "name": "Described"});
    let session = daemon.post("/api/sessions", session).await.expect(201);
    let question = json!({"type": "needs_input", "message": "Which?"});
    let path = format!("/api/sessions/{}/timeline", session["id"].as_str().unwrap());
    daemon.post(&path, question).await.expect(200);
    let member = json!({"projectId": project, "name": "M", "role": "R", "avatar": "A"});
    let member = daemon.post("/api/team-members", member).await.expect(201);
    let mail = json!({"projectId": project, "fromSessionId": session["id"], "toSessionId": session["id"],
        "type": "query", "subject": "Described"});
    let mail = daemon.post("/api/mail", mail).await.expect(201);
    json!({"projects": project, "tasks": task["id"], "sessions": session["id"], "team-members": member["id"],
        "mail": mail["id"], "skills": "greet", "workflow-templates": "execute-simple", "ordering": project})
}

/// The description with what there is as examples, and with waits that are short.
fn with_examples(mut description: Value, there: &Value) -> Value {
    for operations in description["paths"].as_object_mut().unwrap().values_mut() {
        for operation in operations.as_object_mut().unwrap().values_mut() {
            let tag = operation["tags"][0].as_str().unwrap().to_owned();
            for parameter in operation["parameters"].as_array_mut().unwrap() {
                let example = match (
                    parameter["in"].as_str().unwrap(),
                    parameter["name"].as_str().unwrap(),
                ) {
                    ("path", "task") => &there["tasks"],
                    ("path", "kind") => &Value::Null,
                    (_, "project" | "projectId") => &there["projects"],
                    ("path", "id") => &there[&tag],
                    (_, "timeout") => {
                        parameter["schema"]["maximum"] = json!(5);
                        &Value::Null
                    }
                    _ => &Value::Null,
                };
                if !example.is_null() {
                    parameter["example"] = example.clone();
                }
            }
        }
    }
    description
}

fn schemathesis(description: &Path, daemon: &Daemon) -> Output {
    let skipped: Vec<&str> = NOT_CHECKED.iter().map(|(check, _)| *check).collect();
    let mut command = Command::new(repo("target/clients-venv/bin/st"));
    command
        .arg("run")
        .arg(description)
        .args([
            "--url",
            daemon.base(),
            "--checks",
            "all",
            "--exclude-checks",
            &skipped.join(","),
        ])
        .args([
            "--phases",
            "examples,coverage,fuzzing,stateful",
            "--max-examples",
            EXAMPLES,
            "--seed",
            SEED,
        ])
        .args([
            "--workers",
            "2",
            "--no-shrink",
            "--request-timeout",
            "30",
            "--suppress-health-check",
            "all",
        ])
        .args(["--warnings", "off", "--generation-database", "none"]);
    for (path, _) in LEFT_OUT {
        command.args(["--exclude-path", path]);
    }
    let done = command
        .env("NO_COLOR", "1")
        .current_dir(daemon.place().root())
        .output();
    done.expect("schemathesis is there: tests/install-deps.sh clients")
}

#[tokio::test]
async fn the_hub_answers_as_it_describes_itself_to_whatever_schemathesis_asks() {
    let daemon = Setup::new().start().await;
    let answer = daemon.get("/api/openapi.json").await.expect(200);
    assert_eq!(answer["openapi"], "3.1.0");
    let there = furnish(&daemon).await;
    let file = daemon
        .place()
        .write("openapi.json", &with_examples(answer, &there).to_string());
    let (file, daemon) = (file.clone(), daemon);
    let (output, daemon) = tokio::task::spawn_blocking(move || (schemathesis(&file, &daemon), daemon))
        .await
        .expect("it was waited for");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // It has really asked, and the hub has not suffered from it.
    let tested = said
        .lines()
        .find(|line| line.contains("Tested"))
        .unwrap_or_else(|| panic!("{said}"));
    let count: usize = tested
        .split(|c: char| !c.is_ascii_digit())
        .find_map(|word| word.parse().ok())
        .unwrap();
    assert!(count >= 60, "{tested}");
    eventually("the hub is ready", || async {
        (daemon.get("/ready").await.status == 200).then_some(())
    })
    .await;
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}
