//! Many at once: nobody's change is lost, and nothing is half done.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Daemon, Setup};

async fn create(hub: &Daemon, path: &str, body: Value) -> String {
    let made = hub.post(path, body).await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

async fn project(hub: &Daemon) -> String {
    create(hub, "/api/projects", json!({"name": "Demo"})).await
}

async fn session(hub: &Daemon, project: &str) -> String {
    create(hub, "/api/sessions", json!({"projectId": project, "taskIds": []})).await
}

async fn get(hub: &Daemon, path: &str) -> Value {
    hub.get(path).await.expect(200)
}

fn texts<'a>(list: &'a Value, key: &str) -> BTreeSet<&'a str> {
    let list = list.as_array().expect("a list");
    list.iter().filter_map(|entry| entry[key].as_str()).collect()
}

/// The reference loses the whole session here (quirk 31).
#[tokio::test]
async fn forty_entries_at_once_are_all_kept_each_told_once_and_still_there_after_a_restart() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let path = format!("/api/sessions/{}", session(&hub, &project).await);
    let mut page = hub.listen().await;
    let timeline = format!("{path}/timeline");
    let said = (0..40).map(|n| {
        hub.post(
            &timeline,
            json!({"message": format!("m{n}"), "metadata": {"n": n}}),
        )
    });
    for answer in join_all(said).await {
        answer.expect(200);
    }
    let heard = page.arrived().await;
    let told: BTreeSet<_> = heard
        .iter()
        .filter(|frame| frame["event"] == "notify:progress")
        .filter_map(|frame| frame["data"]["message"].as_str())
        .collect();
    assert_eq!((heard.len(), told.len()), (80, 40));
    // Each state that was announced holds one entry more than the one before.
    let lengths: Vec<_> = heard
        .iter()
        .filter(|frame| frame["event"] == "session:updated")
        .map(|frame| frame["data"]["timeline"].as_array().expect("a timeline").len())
        .collect();
    assert_eq!(lengths, (2..=41).collect::<Vec<_>>());

    let before = get(&hub, &path).await;
    assert_eq!(texts(&before["timeline"], "message").len(), 41);
    assert_eq!(texts(&before["timeline"], "id").len(), 41, "no id twice");
    let hub = hub.restart().await;
    assert_eq!(get(&hub, &path).await, before);
}

#[tokio::test]
async fn two_hundred_changes_at_once_lose_nothing() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let id = session(&hub, &project).await;
    let task = create(&hub, "/api/tasks", json!({"projectId": project, "title": "T"})).await;
    let (session, task) = (format!("/api/sessions/{id}"), format!("/api/tasks/{task}"));
    let changes = (0..200).map(|n| {
        let name = format!("n{n}");
        match n % 4 {
            0 => hub.patch(&session, json!({"env": {name: "1"}})),
            1 => hub.patch(
                &session,
                json!({"timeline": [{"id": name, "type": "progress", "message": "m"}]}),
            ),
            2 => hub.patch(&task, json!({"taskSessionStatuses": {name: "working"}})),
            _ => hub.patch(&session, json!({"events": [{"id": name, "type": "x"}]})),
        }
    });
    for answer in join_all(changes).await {
        answer.expect(200);
    }
    let expected = |rest: usize| (0..200).filter(move |n| n % 4 == rest).map(|n| format!("n{n}"));
    let shown = get(&hub, &session).await;
    let statuses = get(&hub, &task).await["taskSessionStatuses"].clone();
    for (map, rest) in [(&shown["env"], 0), (&statuses, 2)] {
        let keys: BTreeSet<_> = map.as_object().expect("a map").keys().cloned().collect();
        assert_eq!(keys, expected(rest).collect());
    }
    for (list, rest, more) in [(&shown["timeline"], 1, 1), (&shown["events"], 3, 0)] {
        assert_eq!(list.as_array().expect("a list").len(), 50 + more);
        let ids = texts(list, "id");
        assert!(expected(rest).all(|id| ids.contains(id.as_str())));
    }
}

#[tokio::test]
async fn of_many_that_register_under_one_id_exactly_one_makes_the_session() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let register = (0..20).map(|n| {
        let body = json!({"id": "same", "projectId": project, "taskIds": [], "name": format!("n{n}")});
        hub.post("/api/sessions", body)
    });
    let answers = join_all(register).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1);
    assert!(answers.iter().all(|answer| [201, 409].contains(&answer.status)));
    assert_eq!(get(&hub, "/api/sessions/same").await, made[0].json());
}

#[tokio::test]
async fn sessions_and_tasks_agree_on_who_works_on_what_whatever_the_interleaving() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let mut tasks = Vec::new();
    let mut sessions = Vec::new();
    for n in 0..4 {
        tasks.push(
            create(
                &hub,
                "/api/tasks",
                json!({"projectId": project, "title": format!("t{n}")}),
            )
            .await,
        );
        sessions.push(session(&hub, &project).await);
    }
    let moves = (0..120).map(|n| {
        let path = format!("/api/sessions/{}/tasks/{}", sessions[n % 4], tasks[(n / 4) % 4]);
        let (hub, unlink) = (&hub, n % 3 == 0);
        async move {
            match unlink {
                true => hub.delete(&path).await,
                false => hub.post(&path, json!({})).await,
            }
        }
    });
    for answer in join_all(moves).await {
        answer.expect(200);
    }
    hub.delete(&format!("/api/sessions/{}", sessions.remove(0)))
        .await
        .expect(200);
    let mut links = 0;
    for task in &tasks {
        let shown = get(&hub, &format!("/api/tasks/{task}")).await;
        let known: BTreeSet<_> = shown["sessionIds"]
            .as_array()
            .expect("a list")
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut working = BTreeSet::new();
        for session in &sessions {
            let shown = get(&hub, &format!("/api/sessions/{session}")).await;
            if shown["taskIds"]
                .as_array()
                .expect("a list")
                .contains(&json!(task))
            {
                working.insert(shown["id"].to_string());
            }
        }
        assert_eq!(known, working, "{task}");
        links += known.len();
    }
    assert!(links > 0, "some links were made");
}

#[tokio::test]
async fn a_long_list_of_sessions_comes_whole_and_in_order() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let mut ids = Vec::new();
    for _ in 0..200 {
        ids.push(session(&hub, &project).await);
    }
    let path = format!("/api/sessions/{}/timeline", ids[7]);
    join_all((0..40).map(|_| hub.post(&path, json!({"message": "x".repeat(1000)})))).await;
    let listed = get(&hub, &format!("/api/sessions?projectId={project}")).await;
    let listed = listed.as_array().expect("a list");
    assert_eq!(
        listed
            .iter()
            .map(|session| session["id"].as_str().expect("an id"))
            .collect::<Vec<_>>(),
        ids
    );
    assert_eq!(listed[7]["timeline"].as_array().expect("a timeline").len(), 41);
    assert_eq!(listed[8], get(&hub, &format!("/api/sessions/{}", ids[8])).await);
}
