//! What people do from paired devices, with the real store and mailbox behind the application: the doors that devices
//! come in by only read what they ask for.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::{App, AppError, SpawnError};
use crate::domain::{
    Caller, Device, DeviceId, InboxQuery, Mail, Millis, NewMail, NewProject, NewSession, ProjectId, Prompt,
    PromptMode, Refusal, Scope, Scopes, SendKey, SessionId, SpawnRefusal, SpawnWish,
};

use super::waiting_tests::House;

fn device(id: &str, name: &str) -> Device {
    Device {
        id: DeviceId::parse(id).unwrap(),
        name: name.into(),
        scopes: Scopes::of_a_phone(),
        projects: Vec::new(),
        paired_at: Millis(0),
        last_seen: Millis(0),
    }
}

fn caller(device: Device) -> Caller {
    Caller::Device(Arc::new(device))
}

/// A project with `lead`, who has two workers, and `done`, who works no more.
async fn project(app: &App) -> ProjectId {
    let wish = NewProject {
        name: "P".into(),
        ..NewProject::default()
    };
    let project = app.create_project(wish).await.unwrap().id.clone();
    for (id, status, parent) in [
        ("lead", "working", None),
        ("w1", "idle", Some("lead")),
        ("w2", "spawning", Some("lead")),
        ("done", "completed", Some("lead")),
    ] {
        let wish = NewSession {
            id: SessionId::parse(id).ok(),
            status: Some(status.into()),
            parent_session_id: parent.map(Into::into),
            ..NewSession::default()
        };
        app.create_session(project.to_string(), wish).await.unwrap();
    }
    project
}

fn wish(by: &Caller, project: &ProjectId, extra: Value) -> NewMail {
    let mut body = json!({"projectId": project, "type": "directive", "subject": "stop"});
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    NewMail::read_from(by, Some(body)).unwrap()
}

async fn inbox(app: &App, project: &ProjectId, of: &str) -> Vec<Mail> {
    let query = InboxQuery::read([("projectId".to_owned(), project.to_string())]).unwrap();
    app.inbox(&SessionId::parse(of).unwrap(), query).await.unwrap()
}

#[tokio::test]
async fn as_many_agents_get_a_mail_as_the_phone_was_told_before() {
    let house = House::build(|mailbox| Arc::new(mailbox));
    let (app, phone) = (&house.app, caller(device("dev_1", "iPhone of Anna")));
    let project = project(app).await;
    for (extra, count, to) in [
        (json!({"toSessionId": "w1"}), 1, vec![Some("w1")]),
        (json!({"scope": "my-workers"}), 1, vec![Some("lead")]),
        (
            json!({"scope": "team", "toSessionId": "lead"}),
            3,
            vec![Some("lead"), Some("w1"), Some("w2")],
        ),
        (json!({}), 3, vec![None]),
    ] {
        let wish = || wish(&phone, &project, extra.clone());
        assert_eq!(app.recipient_count(&phone, wish()).unwrap(), count, "{extra}");
        let sent = app.send_mail(&phone, wish(), None).await.unwrap();
        let got: Vec<_> = sent
            .iter()
            .map(|mail| mail.to_session_id.as_ref().map(SessionId::as_str))
            .collect();
        assert_eq!(got, to, "{extra}");
        for mail in sent {
            assert_eq!(mail.from_session_id.as_str(), "human");
            assert_eq!(
                json!(mail.sender),
                json!({"kind": "human", "verified": true,
                       "device": {"id": "dev_1", "name": "iPhone of Anna"}})
            );
        }
    }
    assert_eq!(inbox(app, &project, "w1").await.len(), 3);
    assert_eq!(
        inbox(app, &project, "done").await.len(),
        1,
        "what is for everybody is for it, too"
    );
}

#[tokio::test]
async fn keys_are_each_devices_own_and_a_new_name_makes_no_new_mail() {
    let house = House::build(|mailbox| Arc::new(mailbox));
    let (app, key) = (&house.app, SendKey::parse("k1").unwrap());
    let project = project(app).await;
    let anna = caller(device("dev_1", "phone"));
    let renamed = caller(device("dev_1", "iPhone of Anna"));
    let other = caller(device("dev_2", "phone"));
    let mut sent = Vec::new();
    for by in [&anna, &anna, &renamed, &other] {
        let wish = wish(by, &project, json!({"toSessionId": "w1"}));
        let mails = app.send_mail(by, wish, Some(key.clone())).await.unwrap();
        sent.push(mails[0].id.clone());
    }
    assert!(sent[0] == sent[1] && sent[1] == sent[2] && sent[2] != sent[3]);
    assert_eq!(inbox(app, &project, "w1").await.len(), 2);
}

#[tokio::test]
async fn a_device_does_what_its_scopes_and_projects_allow_and_nothing_else() {
    let house = House::build(|mailbox| Arc::new(mailbox));
    let app = &house.app;
    let project = project(app).await;
    let elsewhere = caller(Device {
        projects: vec![ProjectId::parse("proj_other").unwrap()],
        scopes: Scope::ALL.into_iter().collect(),
        ..device("dev_1", "phone")
    });
    let viewer = caller(Device {
        scopes: [Scope::View].into_iter().collect(),
        ..device("dev_2", "phone")
    });
    let prompt = || Prompt {
        content: "go on".into(),
        mode: PromptMode::Send,
        sender_session_id: None,
        sender: None,
    };
    let lead = || SessionId::parse("lead").unwrap();
    for by in [&elsewhere, &viewer] {
        let mail = || wish(by, &project, json!({}));
        let refused = |error: &AppError| matches!(error, AppError::Refused(Refusal::Forbidden(_)));
        assert!(refused(&app.send_mail(by, mail(), None).await.unwrap_err()));
        assert!(refused(&app.recipient_count(by, mail()).unwrap_err()));
        assert!(refused(&app.prompt(by, lead(), prompt()).await.unwrap_err()));
        let spawn = SpawnWish {
            project_id: project.to_string(),
            ..SpawnWish::default()
        };
        assert!(matches!(
            app.spawn_session(by, spawn).await,
            Err(SpawnError::Refused(SpawnRefusal::NotYourself(_)))
        ));
    }
    assert_eq!(inbox(app, &project, "lead").await, []);
    let all = caller(Device {
        scopes: Scope::ALL.into_iter().collect(),
        ..device("dev_3", "phone")
    });
    app.prompt(&all, lead(), prompt()).await.unwrap();
    let timeline = app.session(&lead()).await.unwrap().timeline.values().unwrap();
    assert_eq!(
        timeline.last().unwrap()["message"],
        "Received prompt from human (phone): \"go on\""
    );
}
