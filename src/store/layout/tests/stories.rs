use super::*;

#[tokio::test]
async fn the_recorded_files_come_in_and_go_out_as_they_were_and_twice_is_once() {
    let house = House::new();
    let recording: Value =
        serde_json::from_str(include_str!("../../../../tests/contract/examples.json")).unwrap();
    for file in recording["files_on_disk"].as_array().unwrap() {
        let path = file["path"]
            .as_str()
            .unwrap()
            .replace("<DATA_DIR>/", "")
            .replace(['<', '>'], "");
        match &file["content"] {
            Value::String(text) => house.file(&path, text),
            content => house.json(&path, &filled(content)),
        }
    }
    assert!(is_worth_importing(&house.folder()));
    let before = files(&house.folder());
    assert!(before.len() >= 9, "{before:?}");
    let report = house.import().await;
    let taken = [
        report.projects,
        report.tasks,
        report.sessions,
        report.members,
        report.member_overrides,
    ];
    assert_eq!(taken, [1; 5]);
    assert_eq!((report.orderings, report.mails, report.already_there), (1, 1, 0));
    assert_eq!(report.unreadable.kept(), [""; 0]);
    assert_eq!(report.remarks.kept(), [""; 0]);
    let again = house.import().await;
    assert_eq!(
        again,
        ImportReport {
            already_there: 7,
            ..ImportReport::default()
        }
    );
    assert_eq!(files(&house.folder()), before);

    let out = house.dir.path().join("out");
    assert_eq!(house.export(&out).await.written, 7);
    let mut expected = before.clone();
    expected.retain(|name, _| name.ends_with(".json"));
    let written = files(&out);
    for (name, bytes) in &expected {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text(&written[name]), text(bytes), "{name}");
    }
    assert_eq!(written.len(), expected.len());
    let twice = house.export(&out).await;
    assert_eq!((twice.written, twice.unchanged), (0, 7));
    assert!(
        ["sessions", "ordering/session"]
            .iter()
            .all(|folder| out.join(folder).is_dir())
    );
}

#[tokio::test]
async fn damaged_files_give_what_they_hold_and_the_rest_is_reported() {
    let house = House::new();
    house.json(
        "projects/proj_1.json",
        &json!({"id": "proj_1", "name": "P", "colour": "red"}),
    );
    house.file("projects/proj_2.json", r#"{"id": "proj_2", "na"#);
    house.file("projects/notes.txt", "not ours");
    let whole = json!({"id": "sess_1", "projectId": "proj_1", "timeline": [{"id": "evt_1"}], "startedAt": 5});
    house.file("sessions/sess_1.json", format!("{whole}e\": 3}}]}}"));
    house.json(
        "sessions/a.json",
        &json!({"id": "../../etc/passwd", "projectId": "proj_1"}),
    );
    house.file("tasks/proj_1/empty.json", "");
    house.file("tasks/proj_1/list.json", "[1]");
    let report = house.import().await;
    assert_eq!((report.projects, report.sessions, report.tasks), (1, 1, 0));
    let unreadable = report.unreadable.kept().join("\n");
    for words in [
        "projects/proj_2.json: it is cut off",
        "sessions/a.json: `id` is \"../../etc/passwd\"",
        "tasks/proj_1/empty.json: it is empty",
        "tasks/proj_1/list.json: not a JSON object",
    ] {
        assert!(unreadable.contains(words), "{words}\n{unreadable}");
    }
    assert_eq!(report.unreadable.count(), 4);
    let remarks = report.remarks.kept().join("\n");
    assert!(
        remarks.contains("sessions/sess_1.json: 8 bytes after its end"),
        "{remarks}"
    );
    let session = house
        .view()
        .session(&SessionId::parse("sess_1").unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(session.timeline.values().unwrap(), [json!({"id": "evt_1"})]);
    assert_eq!(
        (session.head.name.as_str(), session.head.status.as_str()),
        ("Session sess_1", "idle")
    );
    let project = &house.view().projects()[0];
    assert_eq!(project.extra["colour"], "red");
}

#[tokio::test]
async fn files_of_older_versions_become_what_the_node_server_would_make_of_them() {
    let house = House::new();
    let task = json!({
        "id": "task_30_a", "projectId": "proj_1", "title": "T", "status": "todo", "sessionIds": ["sess_1", 7],
        "sessionStatus": "working", "acceptanceCriteria": [], "updatedAt": 100, "parentId": "",
    });
    house.json("tasks/task_30_a.json", &task);
    house.json(
        "tasks/proj_1/task_20_b.json",
        &json!({"id": "task_20_b", "title": "B", "updatedAt": 20}),
    );
    house.json(
        "tasks/proj_1/task_30_a.json",
        &json!({"id": "task_30_a", "title": "old", "updatedAt": 99}),
    );
    house.json(
        "tasks/proj_1/task_9.json",
        &json!({"id": "task_9", "taskType": "team-member"}),
    );
    let session = json!({
        "id": "sess_1", "projectId": "proj_1", "taskId": "task_30_a", "strategy": "simple", "status": "working",
        "env": {"A": "1", "OPENAI_API_KEY": "sk-never", "GEMINI_API_KEY": "never"}, "needsInput": {"message": "?"},
    });
    house.json("sessions/sess_1.json", &session);
    house.json(
        "team-members/gone/tm_5_x.json",
        &json!({"id": "tm_5_x", "status": "retired"}),
    );
    house.json(
        "team-members/gone/tm_gone_recruiter.override.json",
        &json!({"name": "R", "id": "tm_evil"}),
    );
    house.json(
        "team-members/gone/tm_gone_wizard.override.json",
        &json!({"name": "W"}),
    );
    house.json(
        "ordering/session/gone.json",
        &json!({"orderedIds": ["sess_1", 4]}),
    );
    let mail = json!({
        "id": "mail_2", "projectId": "proj_1", "fromSessionId": "sess_1", "toSessionId": "", "type": "shout",
        "subject": "Re", "replyToMailId": "mail_1", "createdAt": 2,
    });
    house.json("mail/mail_2.json", &mail);
    house.json(
        "mail/mail_1.json",
        &json!({"id": "mail_1", "projectId": "proj_1", "fromSessionId": "s", "createdAt": 1}),
    );
    let report = house.import().await;

    let view = house.view();
    let order: Vec<_> = view.tasks(None).iter().map(|task| task.id.to_string()).collect();
    assert_eq!(
        order,
        ["task_20_b", "task_30_a"],
        "by the time of creation that their ids tell"
    );
    let task = view.task(&task_id("task_30_a")).unwrap();
    assert_eq!(
        (task.title.as_str(), task.created_at),
        ("T", Millis(30)),
        "the later change wins"
    );
    assert_eq!(task.session_ids, ["sess_1"]);
    assert_eq!(json!(task.task_session_statuses), json!({"sess_1": "working"}));
    assert_eq!(view.sessions_of_task("task_30_a").len(), 1);
    let head = view.session_heads(None)[0].clone();
    assert_eq!(json!(head.env), json!({"A": "1"}));
    assert_eq!(json!(head.needs_input), json!({"active": false, "message": "?"}));
    assert_eq!(report.keys_left_out, 2);

    let gone = ProjectId::parse("gone").unwrap();
    assert_eq!(json!(view.members(&gone)[0].status), "active");
    let recruiter = MemberId::parse("tm_gone_recruiter").unwrap();
    let changes = view.member_override(&gone, &recruiter).unwrap();
    assert_eq!((changes.get("id"), &changes["name"]), (None, &json!("R")));
    let arranged = view.ordering(OrderingKind::Session, &gone).unwrap();
    assert_eq!(arranged.ordered_ids, [json!("sess_1"), json!(4)]);
    let mail = house.bag.0.lock().unwrap()[&MailId::parse("mail_2").unwrap()].clone();
    assert_eq!((mail.thread_id.as_str(), mail.to_session_id), ("mail_1", None));
    assert_eq!(json!(mail.mail_type), "notification");

    assert_eq!(report.unreadable.kept(), [""; 0]);
    let remarks = report.remarks.kept().join("\n");
    for words in [
        "task_9.json: the Node server ignores it",
        "tm_gone_wizard.override.json: the Node server ignores it",
        "tasks: the field `acceptanceCriteria` of 1 of them",
    ] {
        assert!(remarks.contains(words), "{words}\n{remarks}");
    }
    let shown = serde_json::to_string(&report).unwrap();
    assert!(!shown.contains("never"), "{shown}");
}

#[tokio::test]
async fn what_changed_later_wins_and_nothing_is_removed() {
    let house = House::new();
    let project =
        |name: &str, at: i64| json!({"id": "proj_1", "name": name, "createdAt": 1, "updatedAt": at});
    let session = |entries: &[&str], at: i64| json!({"id": "sess_1", "projectId": "proj_1", "startedAt": 1, "lastActivity": at, "timeline": entries});
    house.json("projects/proj_1.json", &project("first", 10));
    house.json("sessions/sess_1.json", &session(&["a", "b"], 10));
    house.json("tasks/proj_1/task_1.json", &json!({"id": "task_1"}));
    house.import().await;
    house.json("projects/proj_1.json", &project("older", 9));
    house.json("sessions/sess_1.json", &session(&["other", "b", "c"], 11));
    fs::remove_dir_all(house.folder().join("tasks")).unwrap();
    let report = house.import().await;
    assert_eq!(
        (report.projects, report.sessions, report.already_there),
        (0, 1, 1)
    );
    let view = house.view();
    assert_eq!(view.projects()[0].name, "first");
    assert_eq!(view.tasks(None).len(), 1);
    let session = view
        .session(&SessionId::parse("sess_1").unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(session.timeline.values().unwrap(), ["other", "b", "c"]);
}

#[tokio::test]
async fn going_back_spares_what_is_newer_or_not_ours() {
    let house = House::new();
    let task = |title: &str, at: i64| json!({"id": "task_1", "projectId": "proj_1", "title": title, "updatedAt": at});
    house.json("tasks/task_1.json", &task("ours", 10));
    house.json(
        "projects/proj_1.json",
        &json!({"id": "proj_1", "name": "ours", "updatedAt": 10}),
    );
    house.import().await;
    // Then the Node server ran again for a while.
    house.json(
        "projects/proj_1.json",
        &json!({"id": "proj_1", "name": "theirs", "updatedAt": 11}),
    );
    house.json(
        "sessions/sess_9.json",
        &json!({"id": "sess_9", "projectId": "proj_1"}),
    );
    house.file("modals/modal_1.html", "<b>");
    house.file("server-url", "http://localhost:3000");
    let before = files(&house.folder());
    let report = house.export(&house.folder()).await;
    let after = files(&house.folder());
    assert_eq!(
        report.newer.kept(),
        ["projects/proj_1.json: it changed after our record; left as it is"]
    );
    assert_eq!(
        report.left.kept(),
        ["sessions/sess_9.json: no such record is here; left as it is"]
    );
    for name in [
        "projects/proj_1.json",
        "sessions/sess_9.json",
        "modals/modal_1.html",
        "server-url",
    ] {
        assert_eq!(after[name], before[name], "{name}");
    }
    // The old copy would be read last.
    assert_eq!(after["tasks/task_1.json"], after["tasks/proj_1/task_1.json"]);
}

#[tokio::test]
async fn a_folder_that_is_no_data_directory_is_named() {
    let house = House::new();
    assert!(matches!(house.try_import().await, Err(LayoutError::File { .. })));
    assert!(!is_worth_importing(&house.folder()));
    house.file("photos/cat.json", "{}");
    let error = house.try_import().await.unwrap_err();
    assert!(matches!(error, LayoutError::NotALayout(_)), "{error}");
}

#[tokio::test]
async fn many_records_come_in_by_the_dozen_and_progress_is_told() {
    let house = House::new();
    for n in 0..150 {
        let id = format!("task_{n}");
        house.json(
            &format!("tasks/proj_1/{id}.json"),
            &json!({"id": id, "createdAt": 1000 - n}),
        );
    }
    let mut heard = Vec::new();
    let report = import(
        &house.store,
        &house.bag,
        &house.folder(),
        &mut |what, done, total| {
            heard.push((what, done, total));
        },
    )
    .await
    .unwrap();
    assert_eq!(report.tasks, 150);
    assert_eq!(
        heard,
        [("tasks", 64, 150), ("tasks", 128, 150), ("tasks", 150, 150)]
    );
    let tasks = house.view().tasks(None);
    assert!(tasks.is_sorted_by_key(|task| task.created_at));
}
