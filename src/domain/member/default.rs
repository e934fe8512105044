//! The five members every project has without anybody making them. Nothing of them is stored but what a project
//! changed: an override, laid over the default each time it is asked for.

use serde_json::{Map, Value, json};

use crate::domain::{Maybe, MemberId, Millis, ProjectId};

use super::{Member, MemberStatus};

/// One of the five, in the contract's order (API.md section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultMember {
    /// Does a task itself.
    SimpleWorker,
    /// Hands tasks to workers.
    Coordinator,
    /// Hands tasks to workers in batches.
    BatchCoordinator,
    /// Hands tasks to workers along their dependencies.
    DagCoordinator,
    /// Makes new team members.
    Recruiter,
}

struct Traits {
    key: &'static str,
    name: &'static str,
    avatar: &'static str,
    role: &'static str,
    mode: &'static str,
    workflow: &'static str,
    may_spawn: bool,
    identity: &'static str,
}

impl DefaultMember {
    /// All five, in the order of lists.
    pub const ALL: [Self; 5] = [
        Self::SimpleWorker,
        Self::Coordinator,
        Self::BatchCoordinator,
        Self::DagCoordinator,
        Self::Recruiter,
    ];

    /// Its id in `project`: `tm_<projectId>_<type>`. A project whose id leaves no room for that (an id has at most
    /// 128 characters; ours have 29) has no default members.
    pub fn id_in(self, project: &ProjectId) -> Option<MemberId> {
        MemberId::parse(&format!("tm_{project}_{}", self.traits().key)).ok()
    }

    /// The default member of `project` that `id` names, if it names one.
    pub fn named(project: &ProjectId, id: &MemberId) -> Option<Self> {
        let rest = id.as_str().strip_prefix("tm_")?;
        let key = rest.strip_prefix(project.as_str())?.strip_prefix('_')?;
        Self::ALL.into_iter().find(|kind| kind.traits().key == key)
    }

    /// The member with what its project changed laid over it. Its times are `now`, as nobody ever made it; a change
    /// fixes the time of the update.
    pub fn member(
        self,
        project: &ProjectId,
        changes: Option<&Map<String, Value>>,
        now: Millis,
    ) -> Option<Member> {
        let default = self.untouched(project, now)?;
        Some(match changes {
            Some(changes) => default.overlaid(changes),
            None => default,
        })
    }

    fn untouched(self, project: &ProjectId, now: Millis) -> Option<Member> {
        let traits = self.traits();
        let value = |text: &str| Maybe::Value(text.to_owned());
        let permissions = json!({"commands": {
            "team-member:create": true, "team-member:list": true, "team-member:get": true
        }});
        Some(Member {
            id: self.id_in(project)?,
            project_id: project.clone(),
            name: traits.name.into(),
            role: traits.role.into(),
            identity: traits.identity.into(),
            avatar: traits.avatar.into(),
            model: value("sonnet"),
            agent_tool: value("claude-code"),
            mode: value(traits.mode),
            skill_ids: Vec::new(),
            is_default: true,
            status: MemberStatus::Active,
            capabilities: Maybe::Value(json!({
                "can_spawn_sessions": traits.may_spawn,
                "can_edit_tasks": true,
                "can_report_task_level": true,
                "can_report_session_level": true,
            })),
            command_permissions: (self == Self::Recruiter).then_some(permissions).into(),
            workflow_template_id: value(traits.workflow),
            custom_workflow: Maybe::Absent,
            created_at: now.iso(),
            updated_at: now.iso(),
        })
    }

    fn traits(self) -> Traits {
        match self {
            Self::SimpleWorker => Traits {
                key: "simple_worker",
                name: "Simple Worker",
                avatar: "⚡",
                role: "Default executor",
                mode: "execute",
                workflow: "execute-simple",
                may_spawn: false,
                identity: "You take one task and see it through yourself. You read before you change, keep to what \
                           was asked, and report in plain words what is done, what is checked and what is open.",
            },
            Self::Coordinator => Traits {
                key: "coordinator",
                name: "Coordinator",
                avatar: "🎯",
                role: "Task orchestrator",
                mode: "coordinate",
                workflow: "coordinate-default",
                may_spawn: true,
                identity: "You lead work without doing it yourself. You cut a goal into tasks that one worker can \
                           finish alone, give each to the member who suits it, answer their questions, and accept a \
                           result only after you have looked at it.",
            },
            Self::BatchCoordinator => Traits {
                key: "batch_coordinator",
                name: "Batch Coordinator",
                avatar: "📦",
                role: "Intelligent batch orchestrator",
                mode: "coordinate",
                workflow: "coordinate-batching",
                may_spawn: true,
                identity: "You lead work in batches. You put tasks together that touch different places and can run \
                           side by side, start a batch at once, and begin the next only when this one is done and \
                           checked.",
            },
            Self::DagCoordinator => Traits {
                key: "dag_coordinator",
                name: "DAG Coordinator",
                avatar: "🔀",
                role: "DAG-based orchestrator",
                mode: "coordinate",
                workflow: "coordinate-dag",
                may_spawn: true,
                identity: "You lead work along its dependencies. You write down what needs what, start everything \
                           whose needs are met, and each time something finishes you look again at what has become \
                           possible.",
            },
            Self::Recruiter => Traits {
                key: "recruiter",
                name: "Recruiter",
                avatar: "🔍",
                role: "Team member recruiter",
                mode: "execute",
                workflow: "execute-recruit",
                may_spawn: false,
                identity: "You find out which abilities the team lacks and add members who have them. You look at \
                           who is there already, and give each newcomer a clear role and an identity of a few honest \
                           sentences.",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> ProjectId {
        ProjectId::parse("proj_1").unwrap()
    }

    #[test]
    fn every_project_has_five_members_whose_ids_name_them() {
        for kind in DefaultMember::ALL {
            let id = kind.id_in(&project()).unwrap();
            assert_eq!(DefaultMember::named(&project(), &id), Some(kind));
            let other = ProjectId::parse("proj_2").unwrap();
            assert_eq!(
                DefaultMember::named(&other, &id),
                None,
                "{id} is not of another project"
            );
        }
    }

    #[test]
    fn only_coordinators_may_spawn_and_only_the_recruiter_has_permissions_of_its_own() {
        for kind in DefaultMember::ALL {
            let member = kind.member(&project(), None, Millis(0)).unwrap();
            let capabilities = member.capabilities.value().unwrap().as_object().unwrap();
            assert_eq!(capabilities.len(), 4);
            let coordinates = member.mode.value().unwrap() == "coordinate";
            assert_eq!(capabilities["can_spawn_sessions"], coordinates, "{kind:?}");
            assert_eq!(
                member.command_permissions.is_absent(),
                kind != DefaultMember::Recruiter
            );
            assert!(member.identity.ends_with('.') && !member.identity.contains("  "));
            assert_eq!(member.created_at, member.updated_at);
        }
    }

    #[test]
    fn an_override_changes_what_it_names_and_never_the_identity_of_the_member() {
        let changes = json!({
            "id": "tm_other", "projectId": "proj_2", "isDefault": false, "name": "Scout", "model": null,
            "skillIds": "not a list", "nonsense": 1, "updatedAt": "2026-01-01T00:00:00.000Z"
        });
        let default = DefaultMember::Recruiter
            .member(&project(), None, Millis(0))
            .unwrap();
        let changed = DefaultMember::Recruiter
            .member(&project(), changes.as_object(), Millis(0))
            .unwrap();
        let expected = Member {
            name: "Scout".into(),
            model: Maybe::Null,
            updated_at: "2026-01-01T00:00:00.000Z".into(),
            ..default
        };
        assert_eq!(changed, expected);
    }

    #[test]
    fn a_project_id_without_room_for_a_suffix_has_no_default_members() {
        let project = ProjectId::parse(&"p".repeat(128)).unwrap();
        assert!(
            DefaultMember::ALL
                .iter()
                .all(|kind| kind.id_in(&project).is_none())
        );
    }
}
