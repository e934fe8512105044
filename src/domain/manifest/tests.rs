use crate::domain::samples::{member, project, task};
use crate::domain::{DefaultMember, Millis};

use super::*;

fn order() -> ManifestOrder {
    let home = Project {
        id: project(),
        name: "P".into(),
        working_dir: "/work".into(),
        description: String::new(),
        created_at: Millis(0),
        updated_at: Millis(0),
        extra: Map::new(),
    };
    ManifestOrder {
        mode: Mode::Execute,
        project: Arc::new(home),
        tasks: vec![task("t")],
        skills: Vec::new(),
        model: None,
        agent_tool: None,
        reference_task_ids: Vec::new(),
        identity_ids: Vec::new(),
        delegate_ids: Vec::new(),
        members: vec![Arc::new(member("tm_1")), coordinator(), Arc::new(cody())],
    }
}

fn coordinator() -> Arc<Member> {
    let member = DefaultMember::Coordinator.member(&project(), None, Millis(0));
    Arc::new(member.unwrap())
}

/// A member that says something in every field, some of it nonsense.
fn cody() -> Member {
    Member {
        agent_tool: Maybe::Value("vi".into()),
        capabilities: Maybe::Value(json!({"can_edit_tasks": false, "can_spawn_sessions": true, "odd": 7})),
        command_permissions: Maybe::Value(json!({"groups": {"task": true}, "commands": null, "odd": 1})),
        workflow_template_id: Maybe::Value(String::new()),
        custom_workflow: Maybe::Value("Do it.".into()),
        skill_ids: vec!["lint".into()],
        ..member("tm_cody")
    }
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

#[test]
fn the_least_a_manifest_says() {
    let mut home = (*order().project).clone();
    home.working_dir = String::new();
    let bare = ManifestOrder {
        project: Arc::new(home),
        ..order()
    };
    assert_eq!(
        bare.build().unwrap(),
        json!({
            "manifestVersion": "1.0", "mode": "execute",
            "tasks": [{"id": "t", "title": "t", "description": "", "acceptanceCriteria": ["n/a"],
                       "projectId": "p", "createdAt": "1970-01-01T00:00:00.000Z", "parentId": null,
                       "dependencies": [], "priority": "medium"}],
            "session": {"model": "sonnet", "permissionMode": "acceptEdits", "thinkingMode": "auto"},
            "context": {"custom": {"taskIds": ["t"]}},
            "skills": [""]
        })
    );
}

#[test]
fn what_was_resolved_is_said_and_the_usual_tool_is_not() {
    let said = |tool: &str| {
        let order = ManifestOrder {
            skills: ids(&["a", "b,c"]),
            model: Some("opus".into()),
            agent_tool: Some(tool.into()),
            reference_task_ids: ids(&["u"]),
            ..order()
        };
        order.build()
    };
    let manifest = said("codex").unwrap();
    assert_eq!(manifest["skills"], json!(["a", "b", "c"]));
    assert_eq!(manifest["session"]["model"], "opus");
    assert_eq!(manifest["session"]["workingDirectory"], "/work");
    assert_eq!(manifest["referenceTaskIds"], json!(["u"]));
    assert_eq!(manifest["agentTool"], "codex");
    assert_eq!(said("claude-code").unwrap().get("agentTool"), None);
    assert_eq!(said("vi"), Err(UnknownTool("vi".into())));
}

#[test]
fn a_priority_that_the_client_does_not_know_is_left_out() {
    let mut odd = (*task("t")).clone();
    odd.priority = "urgent".into();
    let order = ManifestOrder {
        tasks: vec![Arc::new(odd)],
        ..order()
    };
    assert_eq!(order.build().unwrap()["tasks"][0].get("priority"), None);
}

#[test]
fn one_identity_is_the_agents_own() {
    let order = ManifestOrder {
        identity_ids: ids(&["tm_cody"]),
        ..order()
    };
    let manifest = order.build().unwrap();
    assert_eq!(manifest["teamMemberId"], "tm_cody");
    assert_eq!(
        manifest["teamMemberCapabilities"],
        json!({"can_edit_tasks": false, "can_spawn_sessions": true})
    );
    assert_eq!(
        manifest["teamMemberCommandPermissions"],
        json!({"groups": {"task": true}})
    );
    assert_eq!(manifest["teamMemberCustomWorkflow"], "Do it.");
    for absent in [
        "teamMemberWorkflowTemplateId",
        "teamMemberProfiles",
        "teamMembers",
        "agentTool",
    ] {
        assert_eq!(manifest.get(absent), None, "{absent}");
    }
}

#[test]
fn several_identities_are_taken_on_together_and_may_what_any_of_them_may() {
    let coordinator = coordinator();
    let order = ManifestOrder {
        identity_ids: ids(&["tm_cody", "tm_unknown", coordinator.id.as_str()]),
        delegate_ids: ids(&["tm_1"]),
        ..order()
    };
    let manifest = order.build().unwrap();
    let names = |key: &str| -> Vec<&str> {
        let entries = manifest[key].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["name"].as_str().unwrap())
            .collect()
    };
    assert_eq!(names("teamMemberProfiles"), ["tm_cody", "Coordinator"]);
    assert_eq!(names("teamMembers"), ["tm_cody", "Coordinator"]);
    assert_eq!(
        manifest["agentTool"], "claude-code",
        "the first known tool of a member"
    );
    assert_eq!(manifest["teamMemberCapabilities"]["can_edit_tasks"], true);
    assert_eq!(
        manifest["teamMemberCommandPermissions"],
        json!({"groups": {"task": true}})
    );
    assert_eq!(
        manifest["teamMembers"][0],
        json!({"id": "tm_cody", "name": "tm_cody", "role": "tester", "identity": "", "avatar": "T",
               "mailId": "mail_tm_cody", "skillIds": ["lint"], "model": "opus"})
    );
    assert_eq!(manifest.get("teamMemberId"), None);
}

#[test]
fn whom_an_agent_delegates_to_replaces_its_sole_identity() {
    let order = ManifestOrder {
        identity_ids: ids(&["tm_cody"]),
        delegate_ids: ids(&["tm_1"]),
        ..order()
    };
    let manifest = order.build().unwrap();
    assert_eq!(manifest["teamMemberProfiles"][0]["id"], "tm_1");
    assert_eq!(manifest.get("teamMemberId"), None);
    assert_eq!(manifest.get("teamMemberCapabilities"), None, "nothing is in them");
}

#[test]
fn members_nobody_knows_contribute_nothing() {
    for unknown in [ids(&["tm_x"]), ids(&["tm_x", "tm_y"])] {
        let order = ManifestOrder {
            identity_ids: unknown,
            ..order()
        };
        let manifest = order.build().unwrap();
        let keys: Vec<&String> = manifest.as_object().unwrap().keys().collect();
        assert!(keys.iter().all(|key| !key.starts_with("teamMember")), "{keys:?}");
    }
}
