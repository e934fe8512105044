//! A team member: an identity that sessions take on. What callers wish of one is in `wish`, the five that nobody makes
//! are in `default`.

mod default;
mod wish;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Maybe, MemberId, Millis, Mint, ProjectId, Refusal};

pub use default::DefaultMember;
pub use wish::{MemberWish, NewMember};

/// A team member as the contract shows it (API.md section 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Its name; `tm_<projectId>_<type>` for the five defaults.
    pub id: MemberId,
    /// The project it belongs to, which need not exist.
    pub project_id: ProjectId,
    /// Shown to people.
    pub name: String,
    /// What it is for.
    pub role: String,
    /// Who it is, as text for the model.
    #[serde(default)]
    pub identity: String,
    /// A picture character.
    pub avatar: String,
    /// Model to run.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub model: Maybe<String>,
    /// Agent program to run.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub agent_tool: Maybe<String>,
    /// `execute` or `coordinate`.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub mode: Maybe<String>,
    /// Skills it brings.
    #[serde(default)]
    pub skill_ids: Vec<String>,
    /// True for the five built-in members.
    #[serde(default)]
    pub is_default: bool,
    /// Whether it is in use.
    pub status: MemberStatus,
    /// Map of bool.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub capabilities: Maybe<Value>,
    /// `{groups?, commands?}`: maps of bool.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub command_permissions: Maybe<Value>,
    /// A workflow template's id.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub workflow_template_id: Maybe<String>,
    /// A workflow of its own.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub custom_workflow: Maybe<String>,
    /// ISO 8601 text.
    pub created_at: String,
    /// ISO 8601 text.
    pub updated_at: String,
}

/// Whether a member is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    /// In use.
    Active,
    /// Put away; can be deleted.
    Archived,
}

impl Member {
    /// Makes a custom member.
    pub fn create(wish: NewMember, mint: &mut Mint) -> Result<Self, Refusal> {
        if wish.project_id.is_empty() {
            return Err(Refusal::invalid("Project ID is required"));
        }
        let required = |text: &str, what: &str| match text.trim() {
            "" => Err(Refusal::Invalid(format!("Team member {what} is required"))),
            text => Ok(text.to_owned()),
        };
        let (name, role, avatar) = (
            required(&wish.name, "name")?,
            required(&wish.role, "role")?,
            required(&wish.avatar, "avatar")?,
        );
        let project_id = ProjectId::parse(&wish.project_id)
            .map_err(|error| Refusal::Invalid(format!("Project ID is invalid: {error}")))?;
        let now = mint.now().iso();
        Ok(Self {
            id: mint.id(),
            project_id,
            name,
            role,
            identity: wish.identity.trim().to_owned(),
            avatar,
            model: wish.model,
            agent_tool: wish.agent_tool,
            mode: wish.mode,
            skill_ids: wish.skill_ids,
            is_default: false,
            status: MemberStatus::Active,
            capabilities: wish.capabilities.into(),
            command_permissions: wish.command_permissions.into(),
            workflow_template_id: wish.workflow_template_id.into(),
            custom_workflow: wish.custom_workflow.into(),
            created_at: now.clone(),
            updated_at: now,
        })
    }

    /// The member after `wish`; what the wish cannot change stays: `id`, `projectId`, `isDefault`, `createdAt`.
    pub fn update(&self, wish: MemberWish, now: Millis) -> Self {
        let mut next = self.clone();
        next.take(wish);
        next.updated_at = now.iso();
        next
    }

    /// The member in or out of the archive; `None` if it is there already. The default members stay where they are.
    pub fn moved_to(&self, status: MemberStatus, now: Millis) -> Result<Option<Self>, Refusal> {
        if self.is_default {
            let verb = match status {
                MemberStatus::Archived => "archive",
                MemberStatus::Active => "unarchive",
            };
            return Err(Refusal::Forbidden(format!("Cannot {verb} default team members.")));
        }
        let wish = MemberWish {
            status: Some(status),
            ..MemberWish::default()
        };
        Ok((self.status != status).then(|| self.update(wish, now)))
    }

    /// Whether the member may be deleted.
    pub fn check_deletion(&self) -> Result<(), Refusal> {
        if self.is_default {
            return Err(Refusal::Forbidden("Cannot delete default team members.".into()));
        }
        if self.status != MemberStatus::Archived {
            return Err(Refusal::Rule(
                "Team member must be archived before deletion. Use the archive endpoint first.".into(),
            ));
        }
        Ok(())
    }

    /// A default member as a project has changed it. What an imported file says in a wrong type is passed over.
    pub(super) fn overlaid(mut self, changes: &Map<String, Value>) -> Self {
        for (key, value) in changes {
            if key == "updatedAt" {
                if let Some(text) = value.as_str() {
                    self.updated_at = text.to_owned();
                }
                continue;
            }
            // One by one, so that one field of a wrong type does not cost the others.
            let one = Map::from_iter([(key.clone(), value.clone())]);
            if let Ok(wish) = serde_json::from_value::<MemberWish>(one.into()) {
                self.take(wish);
            }
        }
        self
    }

    fn take(&mut self, wish: MemberWish) {
        let texts = [
            (&mut self.name, wish.name),
            (&mut self.role, wish.role),
            (&mut self.identity, wish.identity),
            (&mut self.avatar, wish.avatar),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                *field = text.trim().to_owned();
            }
        }
        self.model.replace_with(wish.model);
        self.agent_tool.replace_with(wish.agent_tool);
        self.mode.replace_with(wish.mode);
        self.skill_ids = wish
            .skill_ids
            .unwrap_or_else(|| std::mem::take(&mut self.skill_ids));
        self.status = wish.status.unwrap_or(self.status);
        self.capabilities.replace_with(wish.capabilities);
        self.command_permissions.replace_with(wish.command_permissions);
        self.workflow_template_id.replace_with(wish.workflow_template_id);
        self.custom_workflow.replace_with(wish.custom_workflow);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mint() -> Mint {
        Mint::new(Millis(1_700_000_000_000), 0, 1)
    }

    fn rusty() -> NewMember {
        NewMember {
            project_id: "proj_1".into(),
            name: "  Rusty ".into(),
            role: "Rust developer".into(),
            avatar: " 🦀".into(),
            identity: " You write Rust. ".into(),
            ..NewMember::default()
        }
    }

    #[test]
    fn a_new_member_is_active_trimmed_and_shows_no_field_that_was_not_given() {
        let member = Member::create(rusty(), &mut mint()).unwrap();
        let mut shown = serde_json::to_value(&member).unwrap();
        assert!(shown["id"].as_str().unwrap().starts_with("tm_1700000000000_"));
        shown.as_object_mut().unwrap().remove("id");
        let time = "2023-11-14T22:13:20.000Z";
        assert_eq!(
            shown,
            json!({"projectId": "proj_1", "name": "Rusty", "role": "Rust developer", "identity": "You write Rust.",
                   "avatar": "🦀", "skillIds": [], "isDefault": false, "status": "active", "createdAt": time,
                   "updatedAt": time})
        );
    }

    #[test]
    fn what_a_new_member_lacks_is_named_in_the_contracts_order() {
        type Spoil = fn(&mut NewMember);
        let spoilers: [(&str, Spoil); 4] = [
            ("Project ID is required", |wish| wish.project_id.clear()),
            ("Team member name is required", |wish| wish.name = "  ".into()),
            ("Team member role is required", |wish| wish.role.clear()),
            ("Team member avatar is required", |wish| wish.avatar = "\t".into()),
        ];
        for first in 0..spoilers.len() {
            let mut wish = rusty();
            spoilers[first..].iter().for_each(|(_, spoil)| spoil(&mut wish));
            let refusal = Member::create(wish, &mut mint()).unwrap_err();
            assert_eq!(refusal, Refusal::invalid(spoilers[first].0));
        }
    }

    #[test]
    fn a_project_id_that_could_become_a_path_is_refused() {
        let wish = NewMember {
            project_id: "../../etc".into(),
            ..rusty()
        };
        assert!(matches!(
            Member::create(wish, &mut mint()),
            Err(Refusal::Invalid(_))
        ));
    }

    #[test]
    fn a_change_trims_texts_keeps_null_apart_from_absent_and_moves_the_time() {
        let member = Member::create(rusty(), &mut mint()).unwrap();
        let wish = MemberWish {
            name: Some(" Crab ".into()),
            model: Maybe::Null,
            ..MemberWish::default()
        };
        let next = member.update(wish, Millis(1_700_000_000_001));
        let expected = Member {
            name: "Crab".into(),
            model: Maybe::Null,
            updated_at: "2023-11-14T22:13:20.001Z".into(),
            ..member
        };
        assert_eq!(next, expected);
        assert_eq!(
            serde_json::to_value(&next).unwrap()["model"],
            json!(null),
            "null is shown, an absent mode is not"
        );
    }

    #[test]
    fn a_custom_member_goes_into_the_archive_once_and_out_again() {
        let now = Millis(1_700_000_000_001);
        let member = Member::create(rusty(), &mut mint()).unwrap();
        assert_eq!(member.moved_to(MemberStatus::Active, now), Ok(None));
        assert!(matches!(member.check_deletion(), Err(Refusal::Rule(_))));
        let away = member.moved_to(MemberStatus::Archived, now).unwrap().unwrap();
        assert_eq!(away.status, MemberStatus::Archived);
        assert_eq!(away.moved_to(MemberStatus::Archived, now), Ok(None));
        assert_eq!(away.check_deletion(), Ok(()));
        let back = away.moved_to(MemberStatus::Active, now).unwrap().unwrap();
        assert_eq!(back.status, MemberStatus::Active);
    }
}
