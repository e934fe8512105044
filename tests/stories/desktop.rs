//! A person at the desktop UI: what it asks for, and what it relies on (API.md section 15).

use serde_json::{Value, json};

use crate::harness::{Daemon, Setup};

async fn create(hub: &Daemon, path: &str, body: Value) -> String {
    let made = hub.post(path, body).await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

async fn project(hub: &Daemon) -> String {
    create(
        hub,
        "/api/projects",
        json!({"name": "Demo", "workingDir": "/work"}),
    )
    .await
}

async fn task(hub: &Daemon, project: &str, title: &str) -> String {
    create(hub, "/api/tasks", json!({"projectId": project, "title": title})).await
}

async fn session(hub: &Daemon, project: &str, tasks: &[&str], status: &str) -> String {
    let body = json!({"projectId": project, "taskIds": tasks, "name": "S", "status": status});
    create(hub, "/api/sessions", body).await
}

async fn get(hub: &Daemon, path: &str) -> Value {
    hub.get(path).await.expect(200)
}

#[tokio::test]
async fn everything_a_person_made_is_there_again_after_a_restart_in_the_order_it_had() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let mut tasks = Vec::new();
    for n in 0..12 {
        tasks.push(task(&hub, &project, &format!("task {n}")).await);
    }
    let part = json!({"projectId": project, "title": "part", "parentId": tasks[0]});
    create(&hub, "/api/tasks", part).await;
    for (n, task) in tasks.iter().take(3).enumerate() {
        let id = session(&hub, &project, &[task], "working").await;
        let entry = json!({"message": "m", "metadata": {"n": n}});
        hub.post(&format!("/api/sessions/{id}/timeline"), entry)
            .await
            .expect(200);
        let doc = json!({"title": "D", "filePath": "/d"});
        hub.post(&format!("/api/sessions/{id}/docs"), doc)
            .await
            .expect(200);
    }
    let arranged: Vec<_> = tasks.iter().rev().collect();
    let ordering = format!("/api/ordering/task/{project}");
    hub.put(&ordering, json!({"orderedIds": arranged}))
        .await
        .expect(200);
    let pages = [
        "/api/projects".to_owned(),
        format!("/api/tasks?projectId={project}"),
        format!("/api/tasks/{}/children", tasks[0]),
        format!("/api/tasks/{}/docs", tasks[0]),
        format!("/api/sessions?projectId={project}"),
        format!("/api/sessions?taskId={}", tasks[1]),
        ordering,
    ];
    let mut before = Vec::new();
    for page in &pages {
        before.push(get(&hub, page).await);
    }
    let hub = hub.restart().await;
    for (page, before) in pages.iter().zip(before) {
        assert_eq!(get(&hub, page).await, before, "{page}");
    }
}

#[tokio::test]
async fn a_terminal_that_closes_cannot_undo_what_its_agent_completed() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let id = session(&hub, &project, &[], "working").await;
    let path = format!("/api/sessions/{id}");
    let completed = hub.patch(&path, json!({"status": "completed"})).await.expect(200);
    let mut page = hub.listen().await;
    let closed = json!({"status": "stopped", "completedAt": 1});
    assert_eq!(hub.patch(&path, closed).await.expect(200), completed);
    assert!(page.arrived().await.is_empty());
    assert_eq!(get(&hub, &path).await, completed);
}

#[tokio::test]
async fn sessions_without_a_terminal_are_swept_and_their_open_work_is_marked_failed() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let (open, done) = (
        task(&hub, &project, "open").await,
        task(&hub, &project, "done").await,
    );
    let lost = session(&hub, &project, &[&open, &done], "working").await;
    let ended = session(&hub, &project, &[], "failed").await;
    for (task, status) in [(&open, "working"), (&done, "completed")] {
        let report = json!({"updateSource": "session", "sessionId": lost, "sessionStatus": status});
        hub.patch(&format!("/api/tasks/{task}"), report).await.expect(200);
    }
    let mut page = hub.listen().await;
    let sessions = get(&hub, &format!("/api/sessions?projectId={project}")).await;
    for session in sessions.as_array().expect("a list") {
        let status = session["status"].as_str().expect("a status");
        if ["spawning", "idle", "working"].contains(&status) {
            let path = format!("/api/sessions/{}", session["id"].as_str().expect("an id"));
            hub.patch(&path, json!({"status": "stopped"})).await.expect(200);
        }
    }
    assert_eq!(page.arrived_names().await, ["task:updated", "session:updated"]);
    let statuses =
        async |task: &str| get(&hub, &format!("/api/tasks/{task}")).await["taskSessionStatuses"].clone();
    assert_eq!(statuses(&open).await, json!({lost.as_str(): "failed"}));
    assert_eq!(statuses(&done).await, json!({lost.as_str(): "completed"}));
    assert_eq!(
        get(&hub, &format!("/api/sessions/{ended}")).await["status"],
        "failed"
    );
}

#[tokio::test]
async fn work_is_dragged_from_one_session_to_another() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let task = task(&hub, &project, "T").await;
    let (one, two) = (
        session(&hub, &project, &[&task], "working").await,
        session(&hub, &project, &[], "working").await,
    );
    let mut page = hub.listen().await;
    hub.delete(&format!("/api/sessions/{one}/tasks/{task}"))
        .await
        .expect(200);
    hub.post(&format!("/api/sessions/{two}/tasks/{task}"), json!({}))
        .await
        .expect(200);
    let heard = page.arrived().await;
    let told: Vec<_> = heard
        .iter()
        .map(|frame| (&frame["event"], &frame["data"]))
        .collect();
    let pair = |session: &str| json!({"sessionId": session, "taskId": task});
    assert_eq!(
        told,
        [
            (&json!("session:task_removed"), &pair(&one)),
            (&json!("task:session_removed"), &pair(&one)),
            (&json!("session:task_added"), &pair(&two)),
            (&json!("task:session_added"), &pair(&two)),
        ]
    );
    let shown = get(&hub, &format!("/api/tasks/{task}")).await;
    assert_eq!(shown["sessionIds"], json!([two]));
    assert_eq!(
        get(&hub, &format!("/api/sessions/{one}")).await["taskIds"],
        json!([])
    );
    assert_eq!(
        get(&hub, &format!("/api/sessions?taskId={task}")).await[0]["id"],
        two
    );
}

#[tokio::test]
async fn a_project_can_be_deleted_once_its_tasks_and_sessions_are() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let task = task(&hub, &project, "T").await;
    let part = json!({"projectId": project, "title": "part", "parentId": task});
    let part = create(&hub, "/api/tasks", part).await;
    let id = session(&hub, &project, &[&task, &part], "working").await;
    let path = format!("/api/projects/{project}");
    let refused = hub.delete(&path).await.expect(422);
    assert_eq!(refused["message"], "Cannot delete project with existing tasks");
    let mut page = hub.listen().await;
    hub.delete(&format!("/api/tasks/{task}")).await.expect(200);
    let refused = hub.delete(&path).await.expect(422);
    assert_eq!(refused["message"], "Cannot delete project with existing sessions");
    assert_eq!(
        get(&hub, &format!("/api/sessions/{id}")).await["taskIds"],
        json!([task, part]),
        "dead ids stay"
    );
    hub.delete(&format!("/api/sessions/{id}")).await.expect(200);
    hub.delete(&path).await.expect(200);
    assert_eq!(
        page.arrived_names().await,
        [
            "task:deleted",
            "task:deleted",
            "session:deleted",
            "project:deleted"
        ]
    );
}

#[tokio::test]
async fn a_card_that_is_dragged_stays_where_it_was_put() {
    let hub = Setup::new().start().await;
    let page = hub.listen().await;
    for kind in ["task", "session"] {
        let path = format!("/api/ordering/{kind}/no-such-project");
        let never =
            json!({"projectId": "no-such-project", "entityType": kind, "orderedIds": [], "updatedAt": 0});
        assert_eq!(get(&hub, &path).await, never);
        let saved = hub
            .put(&path, json!({"orderedIds": ["b", "gone", "a", 7]}))
            .await
            .expect(200);
        assert_eq!(saved["orderedIds"], json!(["b", "gone", "a", 7]), "stored as is");
        assert_eq!(get(&hub, &path).await, saved);
        for wrong in [json!({}), json!({"orderedIds": "b"}), json!({"orderedIds": {}})] {
            let refused = hub.put(&path, wrong).await.expect(400);
            assert_eq!(
                refused,
                json!({"error": true, "message": "orderedIds must be an array"})
            );
        }
        assert_eq!(get(&hub, &path).await, saved);
    }
    let refused = hub
        .put("/api/ordering/member/p", json!({"orderedIds": []}))
        .await
        .expect(400);
    assert_eq!(refused["message"], "entityType must be \"task\" or \"session\"");
    let mut page = page;
    assert!(page.arrived().await.is_empty(), "nobody is told");
}

#[tokio::test]
async fn what_a_task_always_has_can_be_emptied_but_not_become_null_or_another_type() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let body = json!({"projectId": project, "title": "T", "description": "d", "skillIds": ["k"]});
    let id = create(&hub, "/api/tasks", body).await;
    let path = format!("/api/tasks/{id}");
    let before = get(&hub, &path).await;
    let mut page = hub.listen().await;
    for wrong in [
        json!({"title": null}),
        json!({"title": 5}),
        json!({"status": null}),
        json!({"status": 1}),
        json!({"priority": null}),
        json!({"description": {}}),
        json!({"pinned": "yes"}),
        json!({"sessionIds": "s"}),
        json!({"skillIds": [1]}),
        json!({"agentIds": {}}),
        json!({"referenceTaskIds": true}),
        json!({"teamMemberId": 7}),
        json!({"teamMemberIds": "m"}),
        json!({"taskSessionStatuses": ["s"]}),
        json!({"taskSessionStatuses": {"s": 1}}),
        json!({"taskSessionStatuses": null}),
    ] {
        let refused = hub.patch(&path, wrong.clone()).await.expect(400);
        assert_eq!(refused["code"], "VALIDATION_ERROR", "{wrong}");
    }
    assert_eq!(get(&hub, &path).await, before);
    assert!(page.arrived().await.is_empty());
    let emptied = json!({"description": null, "skillIds": null, "pinned": null, "teamMemberId": null});
    let task = hub.patch(&path, emptied).await.expect(200);
    assert_eq!(
        (&task["description"], &task["skillIds"]),
        (&json!(""), &json!([]))
    );
    assert_eq!(
        (task.get("pinned"), task.get("teamMemberId")),
        (Some(&Value::Null), Some(&Value::Null))
    );
}
