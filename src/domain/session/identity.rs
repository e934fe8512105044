//! Which team members a session is, and what they looked like when it took them on.

use serde_json::Value;

use crate::domain::{Maybe, Member};

use super::{SessionHead, Snapshot};

impl Snapshot {
    /// How `member` looks now.
    pub fn of(member: &Member) -> Self {
        Self {
            name: member.name.clone(),
            avatar: member.avatar.clone(),
            role: member.role.clone(),
            model: member.model.clone(),
            agent_tool: member.agent_tool.clone(),
        }
    }
}

impl SessionHead {
    /// Takes on the identities `ids`, of which `snapshots` were found. One identity alone is also *the* identity, by
    /// which mail finds the session.
    pub fn take_on(&mut self, ids: Vec<String>, snapshots: Vec<Snapshot>) {
        if let [id] = ids.as_slice() {
            self.team_member_id = Maybe::Value(id.clone());
            self.team_member_snapshot = snapshots.first().cloned().into();
        }
        self.team_member_ids = Maybe::Value(ids);
        self.team_member_snapshots = Maybe::Value(snapshots);
    }

    /// Members that the metadata names and the session has not taken on: none if it has snapshots.
    pub fn pending_identities(&self) -> Vec<String> {
        if self.team_member_snapshots.value().is_some() || self.team_member_snapshot.value().is_some() {
            return Vec::new();
        }
        let Some(metadata) = self.metadata.value() else {
            return Vec::new();
        };
        let text = |value: &Value| value.as_str().filter(|id| !id.is_empty()).map(str::to_owned);
        match metadata.get("teamMemberIds").and_then(Value::as_array) {
            Some(ids) if !ids.is_empty() => ids.iter().filter_map(text).collect(),
            _ => metadata.get("teamMemberId").and_then(text).into_iter().collect(),
        }
    }

    /// Takes on the members that its metadata names, if at least one of them is found. True if it did.
    pub fn enrich(&mut self, member: impl Fn(&str) -> Option<Snapshot>) -> bool {
        let ids = self.pending_identities();
        let snapshots: Vec<_> = ids.iter().filter_map(|id| member(id)).collect();
        let found = !snapshots.is_empty();
        if found {
            self.take_on(ids, snapshots);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::domain::samples::{member, session};

    use super::*;

    fn with_metadata(metadata: Value) -> SessionHead {
        let mut session = session("s", &[]);
        session.head_mut().metadata = Maybe::Value(metadata);
        SessionHead::clone(&session.head)
    }

    /// The members `tm_1` and `tm_2` exist.
    fn known(id: &str) -> Option<Snapshot> {
        ["tm_1", "tm_2"].contains(&id).then(|| Snapshot::of(&member(id)))
    }

    fn shown(head: &SessionHead) -> Value {
        let json = serde_json::to_value(head).unwrap();
        let field = |name: &str| json.get(name).cloned().unwrap_or(json!("absent"));
        json!([
            field("teamMemberId"),
            field("teamMemberSnapshot")["name"],
            field("teamMemberIds"),
            json.get("teamMemberSnapshots")
                .map(|found| found.as_array().unwrap().len()),
        ])
    }

    #[test]
    fn one_named_member_becomes_the_identity_by_which_mail_finds_the_session() {
        for metadata in [
            json!({"teamMemberId": "tm_1"}),
            json!({"teamMemberId": "tm_1", "teamMemberIds": []}),
            json!({"teamMemberId": "other", "teamMemberIds": ["tm_1"]}),
        ] {
            let mut head = with_metadata(metadata);
            assert!(head.enrich(known));
            assert_eq!(shown(&head), json!(["tm_1", "tm_1", ["tm_1"], 1]));
            assert!(!head.enrich(known), "once");
        }
    }

    #[test]
    fn of_several_members_the_unknown_keep_their_place_among_the_ids() {
        let mut head = with_metadata(json!({"teamMemberIds": ["tm_2", "tm_unknown", "tm_1"]}));
        assert!(head.enrich(known));
        assert_eq!(
            shown(&head),
            json!(["absent", null, ["tm_2", "tm_unknown", "tm_1"], 2])
        );
    }

    #[test]
    fn a_session_that_names_no_known_member_stays_as_it_is() {
        for metadata in [
            json!({"teamMemberId": "tm_unknown"}),
            json!({"teamMemberIds": [7, null, ""]}),
            json!({"mode": "execute"}),
            json!("text"),
            json!(null),
        ] {
            let mut head = with_metadata(metadata);
            let before = head.clone();
            assert!(!head.enrich(known));
            assert_eq!(head, before);
        }
    }

    #[test]
    fn a_snapshot_shows_what_the_member_has_and_leaves_out_what_it_lacks() {
        let snapshot = serde_json::to_value(Snapshot::of(&member("tm_1"))).unwrap();
        assert_eq!(
            snapshot,
            json!({"name": "tm_1", "avatar": "T", "role": "tester", "model": "opus"})
        );
    }
}
