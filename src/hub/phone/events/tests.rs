use std::sync::Arc;

use crate::domain::{Log, ModalShown, PromptSend, SpawnAnnouncement};

use super::*;

/// Stands in every field a phone has no business with.
const SECRET: &str = "SECRET";

fn record<T: for<'de> Deserialize<'de>>(record: Value) -> T {
    serde_json::from_value(record).unwrap()
}

fn session_json() -> Value {
    json!({
        "id": "s", "projectId": "p", "taskIds": ["t"], "name": "N", "agentId": "agent-1",
        "env": {"API_KEY": SECRET}, "status": "working", "startedAt": 1, "lastActivity": 2,
        "hostname": SECRET, "platform": SECRET, "metadata": {"cwd": SECRET},
        "needsInput": {"active": true, "message": "which?", "requestId": "req_1", "other": SECRET},
    })
}

fn entry(text: &str) -> Value {
    json!({"id": "e", "type": "progress", "timestamp": 1, "message": text, "metadata": {"filePath": SECRET}})
}

fn session() -> Session {
    let mut session = Session {
        head: Arc::new(record(session_json())),
        events: Log::default(),
        timeline: Log::default(),
        docs: Log::default(),
    };
    session.timeline.append(&entry(SECRET)).unwrap();
    session.timeline.mark_saved();
    session.timeline.append(&entry("new")).unwrap();
    session.events.append(&json!({"data": SECRET})).unwrap();
    session.docs.append(&json!({"filePath": SECRET})).unwrap();
    session
}

fn project_json() -> Value {
    json!({"id": "p", "name": "P", "workingDir": SECRET, "description": "d", "createdAt": 1, "updatedAt": 1})
}

fn task_json() -> Value {
    json!({"id": "t", "projectId": "p", "title": "T", "status": "todo", "priority": "low", "createdAt": 1,
           "updatedAt": 1, "initialPrompt": SECRET})
}

fn ours() -> Vec<Event> {
    let (project, task): (Arc<Project>, Arc<Task>) =
        (Arc::new(record(project_json())), Arc::new(record(task_json())));
    let spawn = SpawnAnnouncement {
        session: session(),
        command: "maestro worker init",
        cwd: SECRET.into(),
        env_vars: Map::from_iter([("KEY".to_owned(), SECRET.into())]),
        manifest: json!({"path": SECRET}),
        task_ids: vec!["t".into()],
        spawn_source: "ui",
        parent_session_id: None,
    };
    let modal = ModalShown {
        session_id: record(json!("s")),
        modal_id: "m".into(),
        title: "Look".into(),
        html: SECRET.into(),
        file_path: SECRET.into(),
        timestamp: record(json!(1)),
    };
    let prompt = PromptSend {
        session_id: record(json!("s")),
        content: SECRET.into(),
        mode: "send",
        sender_session_id: None,
        sender: None,
        timestamp: record(json!(1)),
    };
    vec![
        Event::ProjectUpdated(project.clone()),
        Event::TaskUpdated(task.clone()),
        Event::SessionCreated(session()),
        Event::SessionUpdated(session()),
        Event::SessionSpawn(spawn.into()),
        Event::SessionModal {
            modal: modal.into(),
            project: project.id.clone(),
        },
        Event::SessionPromptSend {
            prompt: prompt.into(),
            project: project.id.clone(),
        },
        Event::NotifyTaskCompleted(task.clone()),
        Event::NotifySessionFailed(session()),
        Event::NotifyNeedsInput {
            session: session(),
            message: Some("which?".into()),
            request: None,
        },
    ]
}

#[test]
fn nothing_a_phone_has_no_business_with_is_in_any_event() {
    for event in ours() {
        let told = data(&event).unwrap().to_string();
        assert!(!told.contains(SECRET), "{}: {told}", event.name());
    }
}

#[test]
fn a_session_event_is_the_summary_and_what_is_new() {
    let told = data(&Event::SessionUpdated(session())).unwrap();
    assert_eq!(told["session"]["id"], "s");
    assert_eq!(told["session"]["timelineLength"], 2);
    let new = json!([{"id": "e", "type": "progress", "timestamp": 1, "message": "new"}]);
    assert_eq!(told["newTimeline"], new);
    let kept = data(&Event::SessionUpdated(session()).lean()).unwrap();
    assert_eq!(kept, told, "whoever asks later is told the same");
}

#[test]
fn a_question_carries_the_id_its_answer_must_name() {
    let event = Event::NotifyNeedsInput {
        session: session(),
        message: Some("which?".into()),
        request: Some(record(json!("req_1"))),
    };
    let expected = json!({"sessionId": "s", "name": "N", "message": "which?", "requestId": "req_1"});
    assert_eq!(data(&event).unwrap(), expected);
}

fn remote(name: &str, data: Value) -> Event {
    Event::Remote(Arc::new(Remote {
        name: name.into(),
        data: data.to_string().into(),
        session: None,
        project: None,
    }))
}

#[test]
fn what_another_hub_says_is_seen_like_our_own() {
    let mut whole = session_json();
    whole["timeline"] = json!([entry(SECRET), entry(SECRET)]);
    whole["docs"] = json!([{"filePath": SECRET}]);
    for (name, sent) in [
        ("project:updated", project_json()),
        ("task:created", task_json()),
        ("session:updated", whole.clone()),
        (
            "session:spawn",
            json!({"session": whole, "envVars": {"K": SECRET}, "cwd": SECRET, "projectId": "p"}),
        ),
        (
            "session:modal",
            json!({"sessionId": "s", "html": SECRET, "title": "x", "filePath": SECRET}),
        ),
        (
            "session:prompt_send",
            json!({"sessionId": "s", "content": SECRET, "mode": {"x": SECRET}}),
        ),
        (
            "notify:progress",
            json!({"sessionId": "s", "message": "m", "extra": SECRET}),
        ),
    ] {
        let told = data(&remote(name, sent)).unwrap().to_string();
        assert!(!told.contains(SECRET), "{name}: {told}");
    }
    let told = data(&remote("session:updated", whole)).unwrap();
    assert_eq!(
        (&told["session"]["timelineLength"], &told["newTimeline"]),
        (&json!(2), &json!([]))
    );
}

#[test]
fn what_nobody_knows_or_can_read_is_not_told() {
    assert!(data(&remote("session:secret_new_thing", json!({"id": SECRET}))).is_none());
    assert!(data(&remote("session:updated", json!({"id": "s"}))).is_none());
    assert!(data(&remote("notify:progress", json!([SECRET]))).is_none());
}

#[test]
fn mail_needs_its_own_scope_wherever_it_comes_from() {
    assert_eq!(scope(&remote("mail:received", json!({}))), Scope::Mail);
    assert_eq!(scope(&remote("task:created", json!({}))), Scope::View);
    assert!(ours().iter().all(|event| scope(event) == Scope::View));
}

#[test]
fn a_long_mail_is_announced_without_its_body() {
    let mail = |text: &str| -> Mail {
        record(
            json!({"id": "m", "projectId": "p", "fromSessionId": "s", "toSessionId": null,
                      "replyToMailId": null, "type": "query", "subject": "x", "body": {"text": text},
                      "createdAt": 1, "threadId": "m"}),
        )
    };
    assert_eq!(letter(&mail("short")).unwrap()["body"]["text"], "short");
    let long = letter(&mail(&"x".repeat(100_000))).unwrap();
    assert_eq!((&long["body"], &long["truncated"]), (&json!({}), &json!(true)));
}
