//! Where our answer differs from the recorded one on purpose. docs/CONTRACT.md says the same in prose.
//!
//! A decision replaces exactly the values it names; everything else of the example is compared as recorded.

use serde_json::{Value, json};

/// One deviation.
pub struct Decision {
    /// Id of the recorded example.
    pub example: &'static str,
    /// Number in API.md section 16, or the section that leaves the value open.
    pub source: &'static str,
    pub why: &'static str,
    /// JSON pointer into the example, and the value there instead.
    pub replaced: Vec<(&'static str, Value)>,
    /// Steps sent after it, which the recording does not have.
    pub inserted_after: Vec<Value>,
}

impl Decision {
    /// Writes the replacements into the recorded example.
    ///
    /// # Panics
    /// When nothing changes by it: the decision is stale.
    pub fn apply(&self, example: &mut Value) {
        for (pointer, value) in &self.replaced {
            let (parent, key) = pointer.rsplit_once('/').expect("a pointer into the example");
            let parent = example
                .pointer_mut(parent)
                .unwrap_or_else(|| panic!("{}: no {parent} in the recording", self.example));
            let place = match parent {
                Value::Array(items) => {
                    let index: usize = key.parse().expect("an index");
                    items.get_mut(index).expect("an entry of the recording")
                }
                Value::Object(fields) => fields.entry(key).or_insert(Value::Null),
                other => panic!("{}: {pointer} is inside {other}", self.example),
            };
            assert_ne!(place, value, "{}: {pointer} is already recorded so", self.example);
            *place = value.clone();
        }
    }
}

/// All of them, in the order of the recording.
pub fn decisions() -> Vec<Decision> {
    vec![
        malformed_json(),
        prompt_refused(
            "session.prompt.no-content",
            "content is required and must be a string",
        ),
        spawn_proves("spawn.ui", "<letters_1>"),
        spawn_proves("spawn.session", "<letters_2>"),
        spawn_proves("spawn.members.multi", "<letters_3>"),
        archive_works(),
        recruiter_override(),
        mail_details_are_free_text(),
        template_not_found(),
        prompt_refused(
            "session.prompt.inactive",
            "Session is not active (status: completed). Prompt can only be sent to active sessions.",
        ),
        every_kind_of_socket_is_counted(),
    ]
}

fn malformed_json() -> Decision {
    Decision {
        example: "malformed-json",
        source: "quirk 22",
        why: "the request is at fault, and clients repeat a request up to three times after any 5xx",
        replaced: vec![
            ("/response/status", json!(400)),
            (
                "/response/body",
                json!({"error": true, "statusCode": 400, "code": "VALIDATION_ERROR", "message": "<text>"}),
            ),
        ],
        inserted_after: vec![],
    }
}

fn prompt_refused(example: &'static str, message: &str) -> Decision {
    Decision {
        example,
        source: "quirk 28",
        why: "the command-line client prints `message` only; without it the refusal is a bare HTTP number",
        replaced: vec![("/response/body/message", json!(message))],
        inserted_after: vec![],
    }
}

fn every_kind_of_socket_is_counted() -> Decision {
    Decision {
        example: "ws-status",
        source: "DESIGN 9",
        why: "there are sockets of other kinds beside the raw ones, whose list stays as it was",
        replaced: vec![
            ("/response/body/ui", json!(0)),
            ("/response/body/mobile", json!(0)),
            ("/response/body/raw", json!(1)),
        ],
        inserted_after: vec![],
    }
}

/// In the event only: in the answer, and wherever else the session is shown, the URL is the plain one, as recorded.
fn spawn_proves(example: &'static str, token: &str) -> Decision {
    let url = json!(format!("<base>/as/{token}"));
    Decision {
        example,
        source: "MANIFEST.md section 5",
        why: "an unchanged client proves its session with every request, because its server URL holds a token",
        replaced: vec![
            ("/events/1/data/session/env/MAESTRO_SERVER_URL", url.clone()),
            ("/events/1/data/envVars/MAESTRO_SERVER_URL", url),
        ],
        inserted_after: vec![],
    }
}

fn template_not_found() -> Decision {
    Decision {
        example: "workflow-templates.unknown",
        source: "quirk 28",
        why: "error form D has `message` beside `error` everywhere",
        replaced: vec![("/response/body/message", json!("Template 'none' not found"))],
        inserted_after: vec![],
    }
}

fn rusty(status: &str) -> Value {
    json!({
        "id": "<tm_1>", "projectId": "<proj_1>", "name": "Rusty", "role": "Rust developer",
        "identity": "You write Rust.", "avatar": "🦀", "model": "opus", "agentTool": "claude-code",
        "mode": "execute", "skillIds": [], "isDefault": false, "status": status,
        "createdAt": "<iso>", "updatedAt": "<iso>"
    })
}

fn event(name: &str, data: Value) -> Value {
    json!({"type": name, "event": name, "data": data, "timestamp": "<ts>"})
}

/// The member is needed by later examples, so it is taken out of the archive again.
fn archive_works() -> Decision {
    Decision {
        example: "team-member.archive.custom",
        source: "quirk 1",
        why: "archiving a custom member always failed; the UI has a button for it",
        replaced: vec![
            ("/response/status", json!(200)),
            ("/response/body", rusty("archived")),
            (
                "/events",
                json!([event("team_member:archived", rusty("archived"))]),
            ),
        ],
        inserted_after: vec![json!({
            "id": "ours: team-member.unarchive.custom",
            "request": {
                "method": "POST",
                "path": "/api/team-members/<tm_1>/unarchive",
                "body": {"projectId": "<proj_1>"}
            },
            "response": {"status": 200, "body": rusty("active")},
            "events": [event("team_member:updated", rusty("active"))]
        })],
    }
}

/// `files_on_disk` has the file of an override that no listed example makes.
fn recruiter_override() -> Decision {
    let recruiter = json!({
        "id": "tm_<proj_1>_recruiter", "projectId": "<proj_1>", "name": "Talent Scout",
        "role": "Team member recruiter", "identity": "<text>", "avatar": "🔍", "model": "haiku",
        "agentTool": "claude-code", "mode": "execute", "skillIds": [], "isDefault": true, "status": "active",
        "capabilities": {
            "can_spawn_sessions": false, "can_edit_tasks": true,
            "can_report_task_level": true, "can_report_session_level": true
        },
        "commandPermissions": {
            "commands": {"team-member:create": true, "team-member:list": true, "team-member:get": true}
        },
        "workflowTemplateId": "execute-recruit", "createdAt": "<iso>", "updatedAt": "<iso>"
    });
    Decision {
        example: "team-member.reset",
        source: "files_on_disk",
        why: "nothing differs; the recording leaves out the step that made a file it shows",
        replaced: vec![],
        inserted_after: vec![json!({
            "id": "ours: team-member.override-recruiter",
            "request": {
                "method": "PATCH",
                "path": "/api/team-members/tm_<proj_1>_recruiter",
                "body": {"projectId": "<proj_1>", "name": "Talent Scout", "model": "haiku"}
            },
            "response": {"status": 200, "body": recruiter},
            "events": [event("team_member:updated", recruiter)]
        })],
    }
}

fn mail_details_are_free_text() -> Decision {
    Decision {
        example: "mail.invalid",
        source: "API.md section 10",
        why: "the wording of `details` is free; paths and number of entries are compared",
        replaced: vec![
            ("/response/body/details/0/message", json!("<text>")),
            ("/response/body/details/1/message", json!("<text>")),
            ("/response/body/details/2/message", json!("<text>")),
            ("/response/body/details/3/message", json!("<text>")),
        ],
        inserted_after: vec![],
    }
}
