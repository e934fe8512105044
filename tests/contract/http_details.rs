//! HTTP itself: routing, methods, CORS, bodies (API.md sections 1 and 2).

use serde_json::{Value, json};

use crate::{
    harness::{Answer, Ask, Setup},
    scene::Scene,
};

const METHODS: &str = "GET,POST,PUT,DELETE,PATCH,OPTIONS";
const HEADERS: &str = "Content-Type,Authorization,X-Requested-With";
const EXPOSED: &str = "Content-Length,X-Request-Id";

fn list(answer: &Answer, header: &str) -> Vec<String> {
    let value = answer.header(header).unwrap_or_default();
    let mut names: Vec<String> = value
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    names.sort();
    names
}

fn same_list(answer: &Answer, header: &str, expected: &str) {
    let mut names: Vec<String> = expected.split(',').map(str::to_ascii_lowercase).collect();
    names.sort();
    assert_eq!(list(answer, header), names, "{}: {header}", answer.what);
}

/// Deviation: the reference lets any origin in. A listed one gets what it got before.
#[tokio::test]
async fn listed_origins_get_cors_headers_on_every_answer() {
    let daemon = Setup::new().start().await;
    for origin in ["tauri://localhost", "http://tauri.localhost"] {
        for ask in [
            Ask::new("GET", "/health"),
            Ask::new("GET", "/api/projects/unknown"),
            Ask::new("GET", "/nothing"),
            Ask::new("POST", "/api/projects").raw_json("{oops"),
        ] {
            let answer = daemon.ask(ask.header("origin", origin)).await;
            assert_eq!(
                answer.header("access-control-allow-origin"),
                Some(origin),
                "{}",
                answer.what
            );
            assert_eq!(
                answer.header("access-control-allow-credentials"),
                Some("true"),
                "{}",
                answer.what
            );
            assert!(
                list(&answer, "vary").contains(&"origin".to_owned()),
                "{}",
                answer.what
            );
            same_list(&answer, "access-control-expose-headers", EXPOSED);
        }
    }
}

#[tokio::test]
async fn every_options_request_is_answered_204_on_any_path() {
    let daemon = Setup::new().start().await;
    for path in ["/api/tasks/x", "/health", "/nothing/at/all"] {
        let ask = Ask::new("OPTIONS", path)
            .header("origin", "tauri://localhost")
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "content-type");
        let answer = daemon.ask(ask).await;
        assert_eq!(answer.status, 204, "{path}");
        assert!(answer.body.is_empty());
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("tauri://localhost")
        );
        same_list(&answer, "access-control-allow-methods", METHODS);
        same_list(&answer, "access-control-allow-headers", HEADERS);
        assert_eq!(
            daemon.ask(Ask::new("OPTIONS", path)).await.status,
            204,
            "without an origin"
        );
    }
}

#[tokio::test]
async fn head_works_wherever_get_does() {
    let scene = Scene::new().await;
    for path in [
        "/health",
        "/api/projects",
        &format!("/api/projects/{}", scene.project),
    ] {
        let got = scene.daemon.get(path).await;
        let head = scene.daemon.ask(Ask::new("HEAD", path)).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-type"), got.header("content-type"), "{path}");
    }
    assert_eq!(
        scene
            .daemon
            .ask(Ask::new("HEAD", "/api/projects/unknown"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_a_404_page() {
    let scene = Scene::new().await;
    for (method, path) in [
        ("GET", "/api"),
        ("GET", "/api/nothing"),
        ("POST", "/health"),
        ("DELETE", "/api/projects"),
        ("PUT", "/api/tasks/x"),
        ("PATCH", "/api/projects/x"),
        ("GET", "/api/projects/x/y"),
        ("GET", "/api/sessions/x/timeline"),
        ("POST", "/api/workflow-templates"),
    ] {
        let answer = scene.daemon.ask(Ask::new(method, path)).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/html"), "{method} {path}: {kind}");
    }
}

#[tokio::test]
async fn paths_ignore_case_and_a_trailing_slash_and_ids_are_percent_decoded() {
    let scene = Scene::new().await;
    let project = scene.get(&format!("/api/projects/{}", scene.project)).await;
    let encoded: String = scene.project.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for path in [
        format!("/API/Projects/{}", scene.project),
        format!("/api/projects/{}/", scene.project),
        format!("/Api/projects/{encoded}"),
    ] {
        assert_eq!(scene.get(&path).await, project, "{path}");
    }
    scene.get("/HEALTH/").await;
    scene.session(json!({"id": "Mail"})).await;
    assert_eq!(
        scene.get("/api/SESSIONS/Mail").await["id"],
        "Mail",
        "an id is no word"
    );
    let upper = scene.project.to_uppercase();
    assert_eq!(
        scene.daemon.get(&format!("/api/projects/{upper}")).await.status,
        404,
        "ids have a case"
    );
    let unknown = scene.daemon.get("/api/projects/a%20b%2Fc").await.expect(404);
    assert_eq!(unknown["message"], "Project with id 'a b/c' not found");
}

/// Deviation: 500 in the reference, which clients repeat.
#[tokio::test]
async fn an_unparsable_escape_is_the_clients_fault() {
    let scene = Scene::new().await;
    for path in ["/api/projects/%", "/api/projects/%zz", "/api/projects/%ff"] {
        let body = scene.daemon.get(path).await.expect(400);
        assert_eq!(
            (&body["error"], &body["code"]),
            (&json!(true), &json!("VALIDATION_ERROR")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_repeated_query_key_matches_nothing_and_unknown_keys_are_ignored() {
    let scene = Scene::new().await;
    scene.task(json!({})).await;
    let count = async |query: String| {
        let listed = scene.get(&format!("/api/tasks?{query}")).await;
        listed.as_array().expect("a list").len()
    };
    assert_eq!(count(format!("projectId={}", scene.project)).await, 1);
    assert_eq!(count("status=todo&status=todo".to_owned()).await, 0);
    assert_eq!(count("flavour=vanilla&".to_owned()).await, 1);
    assert_eq!(count("status=%74odo".to_owned()).await, 1);
}

#[tokio::test]
async fn answers_are_json_in_utf_8() {
    let scene = Scene::new().await;
    let project = scene
        .daemon
        .post("/api/projects", json!({"name": "Ünïcode 🦀"}))
        .await;
    assert_eq!(project.expect(201)["name"], "Ünïcode 🦀");
    for answer in [
        project,
        scene.daemon.get("/health").await,
        scene.daemon.get("/api/projects/none").await,
        scene.daemon.post("/api/projects", Value::Null).await,
    ] {
        assert_eq!(
            answer.header("content-type"),
            Some("application/json; charset=utf-8"),
            "{}",
            answer.what
        );
    }
}

/// Ours: `Prefer: return=minimal` spares scripts the whole session.
#[tokio::test]
async fn a_write_that_prefers_a_minimal_answer_gets_none() {
    let mut scene = Scene::new().await;
    let session = scene.session(json!({})).await;
    scene.events().await;
    let ask = Ask::new("POST", format!("/api/sessions/{session}/timeline"))
        .header("prefer", "return=minimal")
        .json(&json!({"message": "m"}));
    let answer = scene.daemon.ask(ask).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(answer.header("preference-applied"), Some("return=minimal"));
    assert_eq!(
        scene.events().await,
        ["session:updated", "notify:progress"],
        "events are whole"
    );
}
