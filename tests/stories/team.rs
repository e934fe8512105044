//! A team: the five members every project has, and those people make.

use serde_json::{Value, json};

use crate::harness::{Daemon, Setup};

async fn members(hub: &Daemon, project: &str) -> Vec<Value> {
    let path = format!("/api/team-members?projectId={project}");
    hub.get(&path)
        .await
        .expect(200)
        .as_array()
        .expect("a list")
        .clone()
}

fn names(members: &[Value]) -> Vec<&str> {
    members
        .iter()
        .filter_map(|member| member["name"].as_str())
        .collect()
}

const DEFAULTS: [&str; 5] = [
    "Simple Worker",
    "Coordinator",
    "Batch Coordinator",
    "DAG Coordinator",
    "Recruiter",
];

#[tokio::test]
async fn what_a_project_changes_of_a_default_member_is_its_own_and_outlives_a_restart() {
    let hub = Setup::new().start().await;
    let path = "/api/team-members/tm_here_coordinator";
    hub.patch(
        path,
        json!({"projectId": "here", "name": " Chief ", "model": "opus"}),
    )
    .await
    .expect(200);
    let changed = hub
        .patch(
            path,
            json!({"projectId": "here", "model": null, "skillIds": ["plan"]}),
        )
        .await
        .expect(200);
    assert_eq!(
        (
            &changed["name"],
            &changed["model"],
            &changed["skillIds"],
            &changed["isDefault"]
        ),
        (&json!("Chief"), &Value::Null, &json!(["plan"]), &json!(true)),
        "later changes are added to earlier ones"
    );

    let hub = hub.restart().await;
    let here = members(&hub, "here").await;
    assert_eq!(
        names(&here),
        [
            "Simple Worker",
            "Chief",
            "Batch Coordinator",
            "DAG Coordinator",
            "Recruiter"
        ]
    );
    assert_eq!(
        here[1]["updatedAt"], changed["updatedAt"],
        "a change fixes the time"
    );
    assert_eq!(names(&members(&hub, "there").await), DEFAULTS);

    for _ in 0..2 {
        let reset = hub
            .post(&format!("{path}/reset"), json!({"projectId": "here"}))
            .await
            .expect(200);
        assert_eq!(
            (&reset["name"], &reset["model"]),
            (&json!("Coordinator"), &json!("sonnet"))
        );
    }
    assert_eq!(names(&members(&hub, "here").await), DEFAULTS);
}

#[tokio::test]
async fn a_member_is_made_put_away_taken_back_and_deleted_and_everybody_hears_of_it() {
    let hub = Setup::new().start().await;
    let mut page = hub.listen().await;
    let rusty = json!({"projectId": "p", "name": "Rusty", "role": "Rust developer", "avatar": "🦀"});
    let id = hub.post("/api/team-members", rusty).await.expect(201)["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("/api/team-members/{id}");
    let body = json!({"projectId": "p"});

    let refused = hub.delete(&format!("{path}?projectId=p")).await.expect(422);
    assert_eq!(refused["code"], "BUSINESS_RULE_ERROR");
    for (action, status) in [
        ("archive", "archived"),
        ("archive", "archived"),
        ("unarchive", "active"),
        ("unarchive", "active"),
        ("archive", "archived"),
    ] {
        let moved = hub
            .post(&format!("{path}/{action}"), body.clone())
            .await
            .expect(200);
        assert_eq!(moved["status"], status, "{action}");
    }
    assert_eq!(
        names(&members(&hub, "p").await)[5..],
        ["Rusty"],
        "archived ones are listed"
    );
    assert_eq!(
        hub.delete(&format!("{path}?projectId=p")).await.expect(200),
        json!({"success": true, "id": id})
    );
    assert_eq!(
        page.arrived_names().await,
        [
            "team_member:created",
            "team_member:archived",
            "team_member:updated",
            "team_member:archived",
            "team_member:deleted"
        ],
        "what changes nothing is not announced"
    );
    assert_eq!(hub.get(&format!("{path}?projectId=p")).await.status, 404);
}

#[tokio::test]
async fn default_members_can_neither_be_put_away_nor_deleted() {
    let hub = Setup::new().start().await;
    let path = "/api/team-members/tm_p_recruiter";
    for (action, message) in [
        ("archive", "Cannot archive default team members."),
        ("unarchive", "Cannot unarchive default team members."),
    ] {
        let refused = hub
            .post(&format!("{path}/{action}"), json!({"projectId": "p"}))
            .await
            .expect(403);
        assert_eq!(
            (&refused["code"], &refused["message"]),
            (&json!("FORBIDDEN"), &json!(message))
        );
    }
    let refused = hub.delete(&format!("{path}?projectId=p")).await.expect(403);
    assert_eq!(refused["code"], "FORBIDDEN");
}

#[tokio::test]
async fn what_a_field_cannot_hold_is_refused_by_its_name_and_changes_nothing() {
    let hub = Setup::new().start().await;
    let path = "/api/team-members/tm_p_recruiter";
    for (field, value) in [
        ("name", json!(5)),
        ("model", json!(["opus"])),
        ("skillIds", json!("lint")),
        ("status", json!("gone")),
        ("capabilities", json!("all")),
        ("commandPermissions", json!([])),
    ] {
        let refused = hub
            .patch(path, json!({"projectId": "p", field: value}))
            .await
            .expect(400);
        let message = refused["message"].as_str().expect("a text");
        assert!(message.contains(&format!("`{field}`")), "{message}");
        assert_eq!(
            (&refused["code"], &refused["statusCode"]),
            (&json!("VALIDATION_ERROR"), &json!(400))
        );
    }
    for project in ["../etc", "a b", "%00"] {
        let path = format!("/api/team-members?projectId={}", project.replace(' ', "%20"));
        assert_eq!(hub.get(&path).await.status, 400, "{project}");
    }
    assert_eq!(names(&members(&hub, "p").await), DEFAULTS);
}

#[tokio::test]
async fn a_session_remembers_its_member_as_it_was() {
    let hub = Setup::new().start().await;
    let project = hub.post("/api/projects", json!({"name": "P"})).await.expect(201)["id"].clone();
    let task = json!({"projectId": project, "title": "T"});
    let task = hub.post("/api/tasks", task).await.expect(201)["id"].clone();
    let member = format!("tm_{}_recruiter", project.as_str().expect("an id"));
    let wish = json!({"projectId": project, "taskIds": [task], "teamMemberId": member});
    let session = hub.post("/api/sessions/spawn", wish.clone()).await.expect(201)["sessionId"].clone();
    let path = format!("/api/team-members/{member}");
    hub.patch(&path, json!({"projectId": project, "name": "Scout"}))
        .await
        .expect(200);

    let path = format!("/api/sessions/{}", session.as_str().expect("an id"));
    let shown = hub.get(&path).await.expect(200);
    assert_eq!(shown["teamMemberSnapshot"]["name"], "Recruiter");
    let next = hub.post("/api/sessions/spawn", wish).await.expect(201)["session"].clone();
    assert_eq!(next["teamMemberSnapshot"]["name"], "Scout");
}
