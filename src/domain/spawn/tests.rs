use std::sync::Arc;

use serde_json::json;

use crate::domain::samples::{device, member, mint, task};
use crate::domain::{
    AgentKey, Caller, Event, Machine, Maybe, Millis, Project, ProjectId, Session, SessionId, Task,
};

use super::*;

/// The project `p` with the tasks `t` and `u`, the session `boss` and the members `tm_1` and `tm_2`.
struct Stage {
    tasks: Vec<Arc<Task>>,
    members: Vec<Arc<Member>>,
    project: Option<Arc<Project>>,
}

fn stage() -> Stage {
    let project = Project {
        id: ProjectId::parse("p").unwrap(),
        name: "P".into(),
        working_dir: "/work".into(),
        description: String::new(),
        created_at: Millis(0),
        updated_at: Millis(0),
        extra: serde_json::Map::new(),
    };
    Stage {
        tasks: vec![task("t"), task("u")],
        members: vec![Arc::new(member("tm_1")), Arc::new(member("tm_2"))],
        project: Some(Arc::new(project)),
    }
}

impl SpawnScene for Stage {
    fn project(&self, id: &str) -> Option<Arc<Project>> {
        self.project.clone().filter(|project| project.id.as_str() == id)
    }
    fn task(&self, id: &str) -> Option<Arc<Task>> {
        self.tasks.iter().find(|task| task.id.as_str() == id).cloned()
    }
    fn has_session(&self, id: &str) -> bool {
        id == "boss"
    }
    fn member(&self, _: &ProjectId, id: &str) -> Option<Arc<Member>> {
        self.members
            .iter()
            .find(|member| member.id.as_str() == id)
            .cloned()
    }
}

impl Stage {
    fn member(mut self, id: &str, change: impl FnOnce(&mut Member)) -> Self {
        let place = self.members.iter_mut().find(|member| member.id.as_str() == id);
        change(Arc::make_mut(place.unwrap()));
        self
    }

    fn task(mut self, id: &str, change: impl FnOnce(&mut Task)) -> Self {
        let place = self.tasks.iter_mut().find(|task| task.id.as_str() == id);
        change(Arc::make_mut(place.unwrap()));
        self
    }
}

fn texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

fn wish(tasks: &[&str]) -> SpawnWish {
    SpawnWish {
        project_id: "p".into(),
        task_ids: Some(texts(tasks)),
        ..SpawnWish::default()
    }
}

fn place() -> SpawnPlace {
    let provider = [
        ("OPENAI_API_KEY", "sk-secret"),
        ("GEMINI_API_KEY", ""),
        ("GOOGLE_GENAI_USE_GCA", "false"),
        ("PATH", "/bin"),
    ];
    SpawnPlace {
        manifest_path: "/s/sess_1/manifest.json".into(),
        server_url: "http://localhost:3000".into(),
        agent_key: AgentKey::new([7; 32]),
        data_dir: "/d".into(),
        session_dir: "/s".into(),
        provider_env: provider.map(|(name, value)| (name.into(), value.into())).into(),
    }
}

/// The stored session and what was said.
fn spawned(wish: SpawnWish, stage: &Stage) -> (Session, Vec<Event>) {
    let machine = Machine {
        hostname: "here".into(),
        platform: "linux".into(),
    };
    let plan = SpawnPlan::make(wish, stage).unwrap().refresh(stage).unwrap();
    let id = SessionId::parse("sess_1").unwrap();
    let (session, change) = plan.carry_out(id, json!({"manifest": true}), &place(), &machine, &mut mint(5));
    assert_eq!(change.session.unwrap().head, session.head);
    (session, change.events)
}

#[test]
fn a_request_is_checked_in_the_contracts_order() {
    use SpawnRefusal as R;
    type Repair = fn(&mut SpawnWish);
    // Each step repairs what the step before was refused for; everything after it is still wrong.
    let steps: [(SpawnRefusal, Repair); 8] = [
        (R::MissingProjectId, |wish| wish.project_id = "nowhere".into()),
        (R::InvalidTaskIds, |wish| {
            wish.task_ids = Some(texts(&["t", "gone"]))
        }),
        (R::InvalidSpawnSource, |wish| {
            wish.spawn_source = Some("session".into())
        }),
        (R::MissingSessionId, |wish| wish.session_id = Some("gone".into())),
        (R::ParentNotFound("gone".into()), |wish| {
            wish.session_id = Some("boss".into())
        }),
        (R::TaskNotFound("gone".into()), |wish| {
            wish.task_ids = Some(texts(&["t", "u"]))
        }),
        (R::InvalidMode, |wish| wish.mode = None),
        (R::ProjectNotFound("nowhere".into()), |wish| {
            wish.project_id = "p".into()
        }),
    ];
    let mut wish = SpawnWish {
        task_ids: Some(Vec::new()),
        spawn_source: Some("api".into()),
        mode: Some("dream".into()),
        ..SpawnWish::default()
    };
    for (refusal, repair) in steps {
        assert_eq!(SpawnPlan::make(wish.clone(), &stage()).unwrap_err(), refusal);
        repair(&mut wish);
    }
    assert!(SpawnPlan::make(wish, &stage()).is_ok());
}

#[test]
fn ids_that_are_none_name_nothing() {
    let refusal = |wish| SpawnPlan::make(wish, &stage()).unwrap_err();
    let path = "../etc".to_owned();
    assert_eq!(
        refusal(wish(&["../etc"])),
        SpawnRefusal::TaskNotFound(path.clone())
    );
    let elsewhere = SpawnWish {
        project_id: path.clone(),
        team_member_ids: texts(&["../tm"]),
        ..wish(&["t"])
    };
    assert_eq!(refusal(elsewhere), SpawnRefusal::ProjectNotFound(path));
}

#[test]
fn a_parent_named_by_the_ui_is_taken_at_its_word() {
    let wish = SpawnWish {
        session_id: Some("unknown".into()),
        ..wish(&["t"])
    };
    let (session, _) = spawned(wish, &stage());
    assert_eq!(session.head.parent_session_id.as_deref(), Some("unknown"));
    assert_eq!(session.head.env["MAESTRO_COORDINATOR_SESSION_ID"], "unknown");
    assert_eq!(session.head.metadata.value().unwrap()["spawnedBy"], "unknown");
}

#[test]
fn mode_model_and_tool_come_from_the_request_else_from_the_members() {
    let text = |value: &str| Maybe::Value(value.to_owned());
    let stage = || {
        stage()
            .member("tm_1", |m| (m.model, m.agent_tool) = (text("haiku"), Maybe::Null))
            .member("tm_2", |m| {
                (m.model, m.agent_tool, m.mode) = (text("sonnet"), text("codex"), text("coordinate"));
            })
    };
    let resolved = |wish: SpawnWish, stage: Stage| {
        let order = SpawnPlan::make(wish, &stage).unwrap().manifest();
        (order.mode.as_str(), order.model, order.agent_tool)
    };
    let both = || SpawnWish {
        team_member_ids: texts(&["tm_unknown", "tm_1", "tm_2"]),
        ..wish(&["t"])
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(resolved(wish(&["t"]), stage()), ("execute", None, None));
    assert_eq!(
        resolved(both(), stage()),
        ("coordinate", some("sonnet"), some("codex"))
    );
    let native = stage()
        .member("tm_1", |m| m.model = text("gpt-5"))
        .member("tm_2", |m| m.model = Maybe::Null);
    assert_eq!(resolved(both(), native), ("coordinate", None, some("codex")));
    let explicit = SpawnWish {
        mode: some("execute"),
        model: some("gpt-5"),
        agent_tool: some("gemini"),
        ..both()
    };
    assert_eq!(
        resolved(explicit, stage()),
        ("execute", some("gpt-5"), some("gemini"))
    );
    let odd = stage().member("tm_2", |m| m.mode = text("dream"));
    assert_eq!(
        SpawnPlan::make(both(), &odd).unwrap_err(),
        SpawnRefusal::InvalidMode
    );
}

#[test]
fn without_members_in_the_request_those_of_the_tasks_are_taken_in_order_and_once() {
    let stage = stage()
        .task("t", |t| t.team_member_id = Maybe::Value("tm_2".into()))
        .task("u", |t| {
            t.team_member_id = Maybe::Value("unused".into());
            t.team_member_ids = Maybe::Value(texts(&["tm_1", "tm_2"]));
        });
    let ids = |wish| SpawnPlan::make(wish, &stage).unwrap().manifest().identity_ids;
    assert_eq!(ids(wish(&["t"])), ["tm_2"]);
    assert_eq!(ids(wish(&["t", "u"])), ["tm_2", "tm_1"]);
    let named = SpawnWish {
        team_member_ids: texts(&["tm_1"]),
        ..wish(&["t", "u"])
    };
    assert_eq!(ids(named), ["tm_1"]);
}

#[test]
fn reference_tasks_of_all_tasks_are_joined_without_repeats() {
    let stage = stage()
        .task("t", |t| t.reference_task_ids = texts(&["a", "b"]))
        .task("u", |t| t.reference_task_ids = texts(&["b", "c"]));
    let order = SpawnPlan::make(wish(&["t", "u"]), &stage).unwrap().manifest();
    assert_eq!(order.reference_task_ids, ["a", "b", "c"]);
}

#[test]
fn a_spawned_session_remembers_how_it_was_asked_for() {
    let wish = SpawnWish {
        team_member_ids: texts(&["tm_1"]),
        skills: texts(&["lint"]),
        context: Some(json!({"reason": "because"})),
        ..wish(&["t", "u"])
    };
    let (session, _) = spawned(wish, &stage());
    let head = &session.head;
    assert_eq!(
        (head.name.as_str(), head.status.as_str()),
        ("Execute for t", "spawning")
    );
    assert_eq!(
        head.metadata.value().unwrap(),
        &json!({"skills": ["lint"], "spawnedBy": null, "spawnSource": "ui", "mode": "execute",
                "teamMemberId": "tm_1", "teamMemberIds": ["tm_1"], "context": {"reason": "because"}})
    );
    assert_eq!(head.team_member_id.value().unwrap(), "tm_1");
    assert_eq!(head.team_member_snapshot.value().unwrap().name, "tm_1");
    assert_eq!(session.timeline.len(), 3);
}

#[test]
fn members_nobody_knows_are_kept_by_name_and_a_session_without_members_has_none() {
    let shown = |ids: &[&str]| {
        let wish = SpawnWish {
            team_member_ids: texts(ids),
            mode: Some("coordinate".into()),
            ..wish(&["t"])
        };
        let head = serde_json::to_value(&*spawned(wish, &stage()).0.head).unwrap();
        assert_eq!(head["name"], "Coordinate for t");
        let field = |name: &str| head.get(name).cloned().unwrap_or(json!("absent"));
        json!([
            head["metadata"]["teamMemberId"],
            head["metadata"]["teamMemberIds"],
            field("teamMemberId"),
            field("teamMemberIds"),
            field("teamMemberSnapshot"),
            field("teamMemberSnapshots"),
        ])
    };
    let absent = "absent";
    assert_eq!(shown(&[]), json!([null, null, absent, absent, absent, absent]));
    assert_eq!(
        shown(&["tm_x"]),
        json!(["tm_x", ["tm_x"], "tm_x", ["tm_x"], absent, []])
    );
    let snapshot = json!({"name": "tm_1", "avatar": "T", "role": "tester", "model": "opus"});
    assert_eq!(
        shown(&["tm_x", "tm_1"]),
        json!([
            null,
            ["tm_x", "tm_1"],
            absent,
            ["tm_x", "tm_1"],
            absent,
            [snapshot]
        ])
    );
}

#[test]
fn a_spawn_says_updated_then_spawn_then_each_task_and_only_the_spawn_has_keys_and_a_token() {
    let (session, events) = spawned(wish(&["t", "t"]), &stage());
    let names: Vec<&str> = events.iter().map(Event::name).collect();
    assert_eq!(
        names,
        [
            "session:updated",
            "session:spawn",
            "task:session_added",
            "task:session_added"
        ]
    );
    assert_eq!(
        serde_json::Value::Object(session.head.env.clone()),
        json!({"MAESTRO_SESSION_ID": "sess_1", "MAESTRO_MANIFEST_PATH": "/s/sess_1/manifest.json",
               "MAESTRO_SERVER_URL": "http://localhost:3000", "MAESTRO_MODE": "execute",
               "MAESTRO_COORDINATOR_SESSION_ID": "", "DATA_DIR": "/d", "SESSION_DIR": "/s",
               "GOOGLE_GENAI_USE_GCA": "false"})
    );
    let Event::SessionSpawn(spawn) = &events[1] else {
        panic!("the second event is the announcement")
    };
    assert_eq!(spawn.env_vars["OPENAI_API_KEY"], "sk-secret");
    let token = place().agent_key.token(&session.head.id, session.head.started_at);
    assert_eq!(
        spawn.env_vars["MAESTRO_SERVER_URL"],
        format!("http://localhost:3000/as/{token}")
    );
    assert!(!spawn.env_vars.contains_key("GEMINI_API_KEY") && !spawn.env_vars.contains_key("PATH"));
    assert_eq!(
        (spawn.command, spawn.cwd.as_str()),
        ("maestro worker init", "/work")
    );
    assert_eq!(spawn.session.head, session.head, "announced as stored");
}

#[test]
fn what_is_gone_when_the_manifest_is_made_is_refused_after_all() {
    let plan = |wish| SpawnPlan::make(wish, &stage()).unwrap();
    let without_tasks = Stage {
        tasks: Vec::new(),
        ..stage()
    };
    let refusal = plan(wish(&["t"])).refresh(&without_tasks).unwrap_err();
    assert_eq!(refusal, SpawnRefusal::TaskNotFound("t".into()));
    let without_project = Stage {
        project: None,
        ..stage()
    };
    let refusal = plan(wish(&["t"])).refresh(&without_project).unwrap_err();
    assert_eq!(refusal, SpawnRefusal::ProjectNotFound("p".into()));
}

#[test]
fn the_parent_of_a_new_session_is_who_has_proved_to_ask_for_it() {
    let agent = Caller::Agent(SessionId::parse("boss").unwrap());
    let phone = Caller::Device(device("dev_1"));
    let text = |text: &str| Some(text.to_owned());
    let signed = |caller: &Caller, source: Option<&str>, parent: Option<&str>| {
        let wish = SpawnWish {
            spawn_source: source.map(str::to_owned),
            session_id: parent.map(str::to_owned),
            ..wish(&["t"])
        };
        wish.signed(caller)
            .map(|wish| (wish.spawn_source, wish.session_id))
    };
    // As said, as the agent of `boss`, and as a device; `None` is refused.
    type Both = (Option<String>, Option<String>);
    let by_boss = || Some((text("session"), text("boss")));
    let table: [(Option<&str>, Option<&str>, Option<Both>); 8] = [
        (Some("session"), Some("boss"), by_boss()),
        (None, Some("boss"), by_boss()),
        (None, None, by_boss()),
        (Some(""), Some(""), by_boss()),
        (Some("session"), None, by_boss()),
        (Some("session"), Some("other"), None),
        (Some("ui"), Some("boss"), None),
        (Some("api"), None, Some((text("api"), text("boss")))),
    ];
    for (source, parent, by_agent) in table {
        let as_said = (source.map(str::to_owned), parent.map(str::to_owned));
        assert_eq!(signed(&Caller::Local, source, parent), Ok(as_said));
        assert_eq!(signed(&phone, source, parent), Ok((None, None)));
        match (signed(&agent, source, parent), by_agent) {
            (Ok(got), Some(expected)) => assert_eq!(got, expected, "{source:?} {parent:?}"),
            (Err(SpawnRefusal::NotYourself(_)), None) => {}
            (got, _) => panic!("{source:?} {parent:?}: {got:?}"),
        }
    }
}
