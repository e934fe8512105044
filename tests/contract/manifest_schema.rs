//! The schema of MANIFEST.md section 4, as strict as the program that reads manifests: unknown keys are refused.

use serde_json::Value;

/// What a value may look like.
enum Shape {
    Text,
    Bool,
    Number,
    AnyObject,
    OneOf(&'static [&'static str]),
    List(Box<Shape>),
    NonEmptyList(Box<Shape>),
    MapOf(Box<Shape>),
    Object(Vec<Field>),
}

/// A key of an object. What is optional may also be null.
struct Field {
    name: &'static str,
    optional: bool,
    shape: Shape,
}

use Shape::{AnyObject, Bool, MapOf, NonEmptyList, Number, Object, OneOf, Text};

/// Every violation of the schema, one line each; none for a manifest that will be read.
pub fn violations(manifest: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(&self::manifest(), manifest, "manifest", &mut found);
    found
}

fn must(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        optional: false,
        shape,
    }
}

fn may(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        optional: true,
        shape,
    }
}

fn texts() -> Shape {
    Shape::List(Box::new(Text))
}

fn list(of: Shape) -> Shape {
    Shape::List(Box::new(of))
}

fn flags() -> Shape {
    MapOf(Box::new(Bool))
}

fn agent_tool() -> Shape {
    OneOf(&["claude-code", "codex", "gemini"])
}

fn command_permissions() -> Shape {
    Object(vec![may("groups", flags()), may("commands", flags())])
}

fn manifest() -> Shape {
    Object(vec![
        must("manifestVersion", Text),
        must("mode", OneOf(&["execute", "coordinate"])),
        may(
            "strategy",
            OneOf(&["simple", "default", "intelligent-batching", "dag"]),
        ),
        must("tasks", NonEmptyList(Box::new(task()))),
        must("session", session()),
        may("context", context()),
        may("skills", texts()),
        may("agentTool", agent_tool()),
        may("referenceTaskIds", texts()),
        may("coordinatorSessionId", Text),
        may(
            "initialDirective",
            Object(vec![
                must("subject", Text),
                must("message", Text),
                must("fromSessionId", Text),
            ]),
        ),
        may("teamMemberId", Text),
        may("teamMemberName", Text),
        may("teamMemberAvatar", Text),
        may("teamMemberIdentity", Text),
        may("teamMemberCapabilities", flags()),
        may("teamMemberCommandPermissions", command_permissions()),
        may("teamMemberWorkflowTemplateId", Text),
        may("teamMemberCustomWorkflow", Text),
        may("teamMemberProfiles", list(profile())),
        may("teamMembers", list(member())),
    ])
}

fn task() -> Shape {
    Object(vec![
        must("id", Text),
        must("title", Text),
        must("description", Text),
        must("projectId", Text),
        must("createdAt", Text),
        must("acceptanceCriteria", NonEmptyList(Box::new(Text))),
        may("parentId", Text),
        may("dependencies", texts()),
        may("priority", OneOf(&["low", "medium", "high", "critical"])),
        may("metadata", AnyObject),
        may(
            "status",
            OneOf(&[
                "todo",
                "in_progress",
                "in_review",
                "completed",
                "cancelled",
                "blocked",
            ]),
        ),
        may("sessionIds", texts()),
        may("activeSessionId", Text),
    ])
}

fn session() -> Shape {
    Object(vec![
        must("model", Text),
        must(
            "permissionMode",
            OneOf(&["acceptEdits", "interactive", "readOnly"]),
        ),
        may("thinkingMode", OneOf(&["auto", "interleaved", "disabled"])),
        may("maxTurns", Number),
        may("timeout", Number),
        may("workingDirectory", Text),
        may("allowedCommands", texts()),
    ])
}

fn context() -> Shape {
    let codebase = vec![
        may("recentChanges", texts()),
        may("relevantFiles", texts()),
        may("architecture", Text),
        may("techStack", texts()),
        may("dependencies", MapOf(Box::new(Text))),
    ];
    let related = vec![
        must("id", Text),
        must("title", Text),
        must(
            "relationship",
            OneOf(&["blocks", "blocked_by", "depends_on", "related_to"]),
        ),
        must("status", Text),
        may("description", Text),
    ];
    let standards = vec![
        may("codingStyle", Text),
        may("testingApproach", Text),
        may("documentation", Text),
        may("branchingStrategy", Text),
        may("cicdPipeline", Text),
        may("customGuidelines", texts()),
    ];
    Object(vec![
        may("codebaseContext", Object(codebase)),
        may("relatedTasks", list(Object(related))),
        may("projectStandards", Object(standards)),
        may("custom", AnyObject),
    ])
}

fn profile() -> Shape {
    Object(vec![
        must("id", Text),
        must("name", Text),
        must("avatar", Text),
        must("identity", Text),
        may("capabilities", flags()),
        may("commandPermissions", command_permissions()),
        may("workflowTemplateId", Text),
        may("customWorkflow", Text),
        may("model", Text),
        may("agentTool", agent_tool()),
    ])
}

fn member() -> Shape {
    Object(vec![
        must("id", Text),
        must("name", Text),
        must("role", Text),
        must("identity", Text),
        must("avatar", Text),
        must("mailId", Text),
        may("skillIds", texts()),
        may("model", Text),
        may("agentTool", agent_tool()),
        may("capabilities", flags()),
        may("commandPermissions", command_permissions()),
    ])
}

fn check(shape: &Shape, value: &Value, at: &str, found: &mut Vec<String>) {
    match (shape, value) {
        (Text, Value::String(_))
        | (Bool, Value::Bool(_))
        | (Number, Value::Number(_))
        | (AnyObject, Value::Object(_)) => {}
        (OneOf(names), Value::String(text)) if names.contains(&text.as_str()) => {}
        (NonEmptyList(_), Value::Array(items)) if items.is_empty() => found.push(format!("{at} is empty")),
        (Shape::List(of) | NonEmptyList(of), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                check(of, item, &format!("{at}[{index}]"), found);
            }
        }
        (MapOf(of), Value::Object(map)) => {
            for (key, item) in map {
                check(of, item, &format!("{at}.{key}"), found);
            }
        }
        (Object(fields), Value::Object(map)) => check_object(fields, map, at, found),
        _ => found.push(format!("{at} may not be {value}")),
    }
}

fn check_object(fields: &[Field], map: &serde_json::Map<String, Value>, at: &str, found: &mut Vec<String>) {
    for field in fields {
        match map.get(field.name) {
            None if field.optional => {}
            None => found.push(format!("{at}.{} is missing", field.name)),
            Some(Value::Null) if field.optional => {}
            Some(value) => check(&field.shape, value, &format!("{at}.{}", field.name), found),
        }
    }
    for key in map
        .keys()
        .filter(|key| !fields.iter().any(|field| field.name == *key))
    {
        found.push(format!("{at}.{key} is unknown"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::recording::Recording;

    fn recorded_manifests() -> Vec<Value> {
        let recording = Recording::load();
        let spawned = |example: &Value| example.pointer("/events/1/data/manifest").cloned();
        recording.examples().iter().filter_map(spawned).collect()
    }

    #[test]
    fn recorded_manifests_satisfy_the_schema() {
        let manifests = recorded_manifests();
        assert_eq!(manifests.len(), 3);
        for manifest in manifests {
            assert_eq!(violations(&manifest), Vec::<String>::new());
        }
    }

    #[test]
    fn what_the_reading_program_refuses_is_found() {
        let sound = recorded_manifests().remove(0);
        for (pointer, value, complaint) in [
            ("/tasks", json!([]), "manifest.tasks is empty"),
            (
                "/tasks/0/acceptanceCriteria",
                json!([]),
                "manifest.tasks[0].acceptanceCriteria is empty",
            ),
            (
                "/tasks/0/priority",
                json!("urgent"),
                "manifest.tasks[0].priority may not be \"urgent\"",
            ),
            (
                "/tasks/0/title",
                Value::Null,
                "manifest.tasks[0].title may not be null",
            ),
            (
                "/session/color",
                json!("red"),
                "manifest.session.color is unknown",
            ),
            (
                "/teamMemberCapabilities/x",
                json!(1),
                "manifest.teamMemberCapabilities.x may not be 1",
            ),
            ("/agentTool", json!("vi"), "manifest.agentTool may not be \"vi\""),
        ] {
            let mut broken = sound.clone();
            let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
            broken.pointer_mut(parent).expect("a parent")[key] = value;
            assert_eq!(violations(&broken), [complaint]);
        }
        let mut nullable = sound;
        nullable["agentTool"] = Value::Null;
        assert_eq!(
            violations(&nullable),
            Vec::<String>::new(),
            "what is optional may be null"
        );
        nullable.as_object_mut().expect("an object").remove("mode");
        assert_eq!(violations(&nullable), ["manifest.mode is missing"]);
    }
}
