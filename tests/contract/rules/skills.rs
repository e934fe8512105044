//! API.md sections 12 and 13.

use serde_json::{Value, json};

use crate::harness::{Place, Setup};

fn place_with_skills() -> Place {
    let place = Place::new();
    let skill = |front: &str, text: &str| format!("---\n{front}\n---\n{text}");
    for (path, front, text) in [
        (
            "home/.claude/skills/zeta/SKILL.md",
            "name: Zeta\nrole: orchestrator",
            "z\n",
        ),
        (
            "home/.claude/skills/alpha/SKILL.md",
            "description: global\nversion: 2\noutput-format: md",
            "a\n",
        ),
        (
            "home/.agents/skills/beta/SKILL.md",
            "name: Beta\nlicense: MIT",
            "b\n",
        ),
        ("home/.claude/skills/.hidden/SKILL.md", "name: Hidden", "h\n"),
        (
            "project/.claude/skills/alpha/SKILL.md",
            "description: of the project",
            "p\n",
        ),
    ] {
        place.write(path, &skill(front, text));
    }
    place.write("home/.claude/skills/broken/SKILL.md", "---\nname: [\n---\n");
    place.write("home/.claude/skills/plain/SKILL.md", "no front matter\n");
    place.write("home/.claude/skills/empty/SKILL.md", "---\n---\ntext\n");
    place
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array()
        .expect("a list")
        .iter()
        .filter_map(|entry| entry["id"].as_str())
        .collect()
}

#[tokio::test]
async fn skills_are_found_in_four_places_and_later_places_win() {
    let place = place_with_skills();
    let project = place.root().join("project");
    let home = place.home();
    let daemon = Setup::at(place).start().await;
    let global = daemon.get("/api/skills").await.expect(200);
    assert_eq!(
        ids(&global),
        ["alpha", "Zeta", "Beta"],
        "by folder within a place"
    );
    let alpha = &global[0];
    assert_eq!(
        (&alpha["name"], &alpha["description"]),
        (&json!("alpha"), &json!("global"))
    );
    assert_eq!(alpha["version"], 2, "as in the front matter");
    assert_eq!(alpha["outputFormat"], "md");
    assert_eq!(
        alpha["skillPath"],
        home.join(".claude/skills/alpha").to_string_lossy().as_ref()
    );
    assert_eq!(
        (&global[2]["skillSource"], &global[2]["skillScope"]),
        (&json!("agents"), &json!("global"))
    );
    assert_eq!(
        (&global[2]["version"], &global[2]["license"]),
        (&json!("1.0.0"), &json!("MIT"))
    );

    let with_project = daemon
        .get(&format!("/api/skills?projectPath={}", project.display()))
        .await
        .expect(200);
    assert_eq!(
        ids(&with_project),
        ["alpha", "Zeta", "Beta"],
        "the position is kept"
    );
    assert_eq!(
        (&with_project[0]["description"], &with_project[0]["skillScope"]),
        (&json!("of the project"), &json!("project"))
    );
    assert_eq!(with_project[0]["content"], "p\n");
    assert_eq!(
        ids(&daemon.get("/api/skills?projectPath=/no/such").await.expect(200)),
        ["alpha", "Zeta", "Beta"]
    );
}

#[tokio::test]
async fn single_skills_are_global_and_have_a_mode() {
    let place = place_with_skills();
    let daemon = Setup::at(place.clone()).start().await;
    let zeta = daemon.get("/api/skills/zeta").await.expect(200);
    assert_eq!(
        (&zeta["name"], &zeta["type"], &zeta["instructions"]),
        (&json!("Zeta"), &json!("mode"), &json!("z\n"))
    );
    assert_eq!(
        daemon.get("/api/skills/alpha").await.expect(200)["type"],
        "custom"
    );
    let keys: Vec<String> = zeta.as_object().expect("an object").keys().cloned().collect();
    assert_eq!(
        keys,
        ["id", "name", "description", "type", "version", "instructions"]
    );

    let execute = daemon.get("/api/skills/mode/execute").await.expect(200);
    assert_eq!(execute.as_array().expect("a list").len(), 2);
    assert_eq!(execute[0].get("instructions"), None);
    assert_eq!(
        daemon.get("/api/skills/mode/coordinate").await.expect(200)[0]["name"],
        "Zeta"
    );
    let refused = daemon.get("/api/skills/mode/dream").await.expect(400);
    let form_b = |message: &str, code: &str| json!({"error": true, "message": message, "code": code});
    assert_eq!(
        refused,
        form_b("Mode must be \"execute\" or \"coordinate\"", "VALIDATION_ERROR")
    );

    place.write(
        "home/.claude/skills/zeta/SKILL.md",
        "---\nname: Omega\n---\nnew\n",
    );
    let reloaded = daemon
        .post("/api/skills/zeta/reload", json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&reloaded["name"], &reloaded["reloaded"]),
        (&json!("Omega"), &json!(true))
    );
    assert_eq!(reloaded.get("instructions"), None);
    assert_eq!(
        daemon.get("/api/skills/zeta").await.expect(200)["instructions"],
        "new\n"
    );
    let unknown = daemon
        .post("/api/skills/none/reload", json!({}))
        .await
        .expect(404);
    assert_eq!(unknown, form_b("Skill not found: none", "NOT_FOUND"));
    assert_eq!(
        daemon.get("/api/skills/..%2F..%2Fwork").await.status,
        404,
        "a folder name, no path"
    );
}

#[tokio::test]
async fn workflow_templates_can_be_filtered_by_mode() {
    let daemon = Setup::new().start().await;
    let list = async |query: &str| {
        daemon
            .get(&format!("/api/workflow-templates{query}"))
            .await
            .expect(200)
    };
    assert_eq!(
        ids(&list("?mode=execute").await),
        ["execute-simple", "execute-tree"]
    );
    assert_eq!(ids(&list("?mode=coordinate").await).len(), 3);
    assert_eq!(ids(&list("?mode=dream").await).len(), 5);
    let one = daemon
        .get("/api/workflow-templates/coordinate-dag")
        .await
        .expect(200);
    assert_eq!(one["name"], "Coordinate DAG");
    assert_eq!(
        daemon.get("/api/workflow-templates/execute-recruit").await.status,
        404
    );
}
