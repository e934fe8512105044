//! What callers wish of team members.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::{Maybe, Millis, ProjectId, Refusal};

use super::MemberStatus;

/// What a caller says of a new member.
#[derive(Clone, Debug, Default)]
pub struct NewMember {
    /// Required; the project need not exist.
    pub project_id: String,
    /// Required, trimmed.
    pub name: String,
    /// Required, trimmed.
    pub role: String,
    /// Required, trimmed.
    pub avatar: String,
    /// Trimmed; may be empty.
    pub identity: String,
    /// As given.
    pub model: Maybe<String>,
    /// As given.
    pub agent_tool: Maybe<String>,
    /// As given, unchecked (quirk 11).
    pub mode: Maybe<String>,
    /// May be empty.
    pub skill_ids: Vec<String>,
    /// Map of bool.
    pub capabilities: Option<Value>,
    /// `{groups?, commands?}`.
    pub command_permissions: Option<Value>,
    /// A workflow template's id.
    pub workflow_template_id: Option<String>,
    /// A workflow of its own.
    pub custom_workflow: Option<String>,
}

/// What a caller wants changed; also what a project keeps of its changes to a default member, in the shape of the
/// override file (DATA.md section 4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemberWish {
    /// Trimmed, must not be blank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Trimmed, must not be blank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Trimmed, may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Trimmed, must not be blank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// Replaced.
    #[serde(skip_serializing_if = "Maybe::is_absent")]
    pub model: Maybe<String>,
    /// Replaced.
    #[serde(skip_serializing_if = "Maybe::is_absent")]
    pub agent_tool: Maybe<String>,
    /// Replaced.
    #[serde(skip_serializing_if = "Maybe::is_absent")]
    pub mode: Maybe<String>,
    /// Replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill_ids: Option<Vec<String>>,
    /// Replaced; a default member can be archived this way only (quirk 21).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<MemberStatus>,
    /// Replaced.
    #[serde(skip_serializing_if = "Maybe::is_absent")]
    pub capabilities: Maybe<Value>,
    /// Replaced.
    #[serde(skip_serializing_if = "Maybe::is_absent")]
    pub command_permissions: Maybe<Value>,
    /// Replaced.
    #[serde(skip_serializing_if = "Maybe::is_absent")]
    pub workflow_template_id: Maybe<String>,
    /// Replaced.
    #[serde(skip_serializing_if = "Maybe::is_absent")]
    pub custom_workflow: Maybe<String>,
}

impl MemberWish {
    /// What is wrong with the wish whatever member it is for.
    pub fn check(&self) -> Result<(), Refusal> {
        for (text, what) in [
            (&self.name, "name"),
            (&self.role, "role"),
            (&self.avatar, "avatar"),
        ] {
            if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                return Err(Refusal::Invalid(format!("Team member {what} cannot be empty")));
            }
        }
        Ok(())
    }

    /// The changes a project keeps of a default member, after this wish: laid over the `earlier` ones.
    pub fn as_override(
        mut self,
        earlier: Option<&Map<String, Value>>,
        project: &ProjectId,
        now: Millis,
    ) -> Map<String, Value> {
        for text in [
            &mut self.name,
            &mut self.role,
            &mut self.identity,
            &mut self.avatar,
        ] {
            *text = text.as_ref().map(|text| text.trim().to_owned());
        }
        let mut changes = earlier.cloned().unwrap_or_default();
        // A wish is a struct of texts, lists and JSON values: it is always a JSON object.
        if let Ok(Value::Object(wished)) = serde_json::to_value(self) {
            changes.extend(wished);
        }
        changes.insert("projectId".into(), project.as_str().into());
        changes.insert("updatedAt".into(), now.iso().into());
        changes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_blank_name_role_or_avatar_is_refused_and_a_blank_identity_is_not() {
        let blank = || Some("  ".to_owned());
        let cases = [
            (
                MemberWish {
                    name: blank(),
                    role: blank(),
                    ..MemberWish::default()
                },
                Some("Team member name cannot be empty"),
            ),
            (
                MemberWish {
                    role: blank(),
                    avatar: blank(),
                    ..MemberWish::default()
                },
                Some("Team member role cannot be empty"),
            ),
            (
                MemberWish {
                    avatar: blank(),
                    ..MemberWish::default()
                },
                Some("Team member avatar cannot be empty"),
            ),
            (
                MemberWish {
                    identity: blank(),
                    ..MemberWish::default()
                },
                None,
            ),
        ];
        for (wish, message) in cases {
            let expected = message.map_or(Ok(()), |text| Err(Refusal::invalid(text)));
            assert_eq!(wish.check(), expected);
        }
    }

    #[test]
    fn later_changes_to_a_default_member_are_added_to_earlier_ones() {
        let project = ProjectId::parse("proj_1").unwrap();
        let first = MemberWish {
            name: Some(" Scout ".into()),
            model: Maybe::Value("opus".into()),
            ..MemberWish::default()
        };
        let second = MemberWish {
            model: Maybe::Null,
            status: Some(MemberStatus::Archived),
            ..MemberWish::default()
        };
        let earlier = first.as_override(None, &project, Millis(0));
        let both = second.as_override(Some(&earlier), &project, Millis(1));
        assert_eq!(
            Value::Object(both),
            json!({"name": "Scout", "model": null, "status": "archived", "projectId": "proj_1",
                   "updatedAt": "1970-01-01T00:00:00.001Z"})
        );
    }
}
