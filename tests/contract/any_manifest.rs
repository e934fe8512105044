//! Whatever users have stored in tasks and members, the manifest is one that the client program reads.

use std::sync::Arc;

use maestro::domain::{DefaultMember, ManifestOrder, Member, Millis, Mode, Project, Task};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

use crate::manifest_schema::violations;

fn text() -> impl Strategy<Value = String> {
    select(vec![
        "",
        "execute",
        "opus",
        "codex",
        "vi",
        "high",
        "urgent",
        "a,b",
        "ünï\u{0}",
    ])
    .prop_map(str::to_owned)
}

/// Any JSON value of the kinds that clients send in wrong places.
fn oddity() -> impl Strategy<Value = Value> {
    let leaf = select(vec![
        json!(null),
        json!(true),
        json!(false),
        json!(7),
        json!("x"),
        json!([]),
    ]);
    let key = select(vec!["groups", "commands", "can_edit_tasks", "other"]);
    leaf.prop_recursive(2, 8, 3, move |inner| {
        vec((key.clone(), inner), 0..4).prop_map(|entries| {
            Value::Object(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
            )
        })
    })
}

fn member(number: usize) -> impl Strategy<Value = Arc<Member>> {
    let texts = vec(option::of(text()), 5);
    (texts, oddity(), oddity(), vec(text(), 0..3)).prop_map(move |(texts, capabilities, permissions, skills)| {
        let member = json!({
            "id": format!("tm_{number}"), "projectId": "p", "name": "N", "role": "r", "avatar": "a",
            "identity": texts[0].clone().unwrap_or_default(), "model": texts[1], "agentTool": texts[2],
            "workflowTemplateId": texts[3], "customWorkflow": texts[4], "skillIds": skills, "status": "active",
            "capabilities": capabilities, "commandPermissions": permissions, "createdAt": "", "updatedAt": ""
        });
        Arc::new(serde_json::from_value(member).expect("a member"))
    })
}

fn task() -> impl Strategy<Value = Arc<Task>> {
    (text(), text(), option::of(Just("task_0"))).prop_map(|(text, priority, parent)| {
        let task = json!({
            "id": "task_1", "projectId": "p", "title": text, "description": text, "status": text,
            "priority": priority, "parentId": parent, "createdAt": 0, "updatedAt": 0
        });
        Arc::new(serde_json::from_value(task).expect("a task"))
    })
}

fn project(working_dir: &str) -> Arc<Project> {
    let project = json!({"id": "p", "name": "P", "workingDir": working_dir, "createdAt": 0, "updatedAt": 0});
    Arc::new(serde_json::from_value(project).expect("a project"))
}

fn ids() -> impl Strategy<Value = Vec<String>> {
    let known = ["tm_0", "tm_1", "tm_p_recruiter", "tm_unknown"];
    vec(select(known.map(str::to_owned).to_vec()), 0..4)
}

prop_compose! {
    fn order()(
        tasks in vec(task(), 1..3),
        first in member(0),
        second in member(1),
        identity_ids in ids(),
        delegate_ids in ids(),
        skills in vec(text(), 0..3),
        model in option::of(text()),
        agent_tool in option::of(text()),
        working_dir in select(vec!["", "/work"]),
        coordinates in any::<bool>(),
    ) -> ManifestOrder {
        let project = project(working_dir);
        let recruiter = DefaultMember::Recruiter.member(&project.id, None, Millis(0)).expect("a member");
        ManifestOrder {
            mode: if coordinates { Mode::Coordinate } else { Mode::Execute },
            reference_task_ids: skills.clone(),
            members: vec![first, second, Arc::new(recruiter)],
            project, tasks, skills, model, agent_tool, identity_ids, delegate_ids,
        }
    }
}

proptest! {
    #[test]
    fn a_manifest_is_read_by_the_client_or_not_made_at_all(order in order()) {
        match order.build() {
            Ok(manifest) => prop_assert_eq!(violations(&manifest), Vec::<String>::new(), "{}", manifest),
            Err(unknown) => prop_assert_eq!(Some(unknown.0), order.agent_tool),
        }
    }
}
