//! What a phone is told is what its owner chose and what it may know.

use serde_json::json;

use crate::harness::PushService;
use crate::house::{ask, nothing_came, setup, subscribe};
use crate::phone::{Phone, World};

#[tokio::test]
async fn failures_ends_and_mail_are_pushed_by_choice_all_of_one_length() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, "view,answer,mail", None).await;
    subscribe(&daemon, &phone, &mut service, json!({"privacy": "preview"})).await;
    let session = world.fill("/api/sessions/{id}");
    let set = async |status: &str| {
        daemon
            .patch(&session, json!({"status": status}))
            .await
            .expect(200);
    };
    let mail = |subject: &str| {
        json!({
            "projectId": world.project, "fromSessionId": world.session, "toSessionId": "human", "type": "query",
            "subject": subject,
        })
    };

    set("failed").await;
    let failed = service.next().await;
    assert_eq!(
        (&failed["payload"]["kind"], &failed["payload"]["agent"]),
        (&json!("failed"), &json!("Worker"))
    );
    set("working").await;
    set("completed").await;
    let finished = service.next().await;
    assert_eq!(finished["payload"]["kind"], "finished");
    assert!(finished["ttl"].as_i64().unwrap() <= 600);
    daemon
        .post("/api/mail", mail("Which database shall it be?"))
        .await
        .expect(201);
    let letter = service.next().await;
    assert_eq!(letter["payload"]["kind"], "mail");
    assert_eq!(letter["payload"]["agent"], "Worker");
    assert_eq!(letter["payload"]["text"], "Which database shall it be?");
    let lengths = [&failed, &finished, &letter].map(|push| push["bytes"].clone());
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
    assert!(
        [&failed, &finished, &letter]
            .iter()
            .all(|push| push["urgency"] == "normal")
    );

    // What the person wrote with this phone is no news to this phone; nor is what is between agents.
    let written = json!({
        "projectId": world.project, "toSessionId": world.session, "type": "directive", "subject": "Go on",
    });
    phone.post("/api/mail", written).await.expect(201);
    nothing_came(&phone, &mut service).await;

    let kinds = json!({"finished": false, "failed": false, "mail": false});
    subscribe(
        &daemon,
        &phone,
        &mut service,
        json!({"privacy": "nothing", "kinds": kinds}),
    )
    .await;
    set("working").await;
    set("completed").await;
    set("working").await;
    set("failed").await;
    daemon.post("/api/mail", mail("Anybody?")).await.expect(201);
    nothing_came(&phone, &mut service).await;
    set("working").await;
    ask(&daemon, &world, "Secret?").await;
    let asked = service.next().await;
    assert_eq!(asked["payload"]["kind"], "needsInput");
    let text = asked["payload"].to_string();
    for word in ["Secret", "Worker", "Demo"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

#[tokio::test]
async fn a_phone_hears_only_of_what_it_may_see_and_that_is_asked_anew_each_time() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let other = json!({"name": "Other", "workingDir": daemon.place().work_dir().display().to_string()});
    let other = daemon.post("/api/projects", other).await.expect(201);
    let guest = Phone::named(&daemon, "guest", "view,answer,mail", other["id"].as_str()).await;
    let reader = Phone::named(&daemon, "reader", "mail", None).await;
    let phone = Phone::named(&daemon, "phone", "view,answer", None).await;
    for phone in [&guest, &reader, &phone] {
        subscribe(&daemon, phone, &mut service, json!({})).await;
    }
    ask(&daemon, &world, "Which port?").await;
    assert_eq!(service.next().await["push"], *phone.id, "to nobody else");
    let mail = json!({
        "projectId": world.project, "fromSessionId": world.session, "toSessionId": "human", "type": "query",
        "subject": "Anybody?",
    });
    daemon.post("/api/mail", mail).await.expect(201);
    assert_eq!(service.next().await["push"], *reader.id, "to nobody else");

    let narrowed = daemon.ctl(&["devices", "scopes", "phone", "mail"]).await;
    assert!(narrowed.status.success());
    daemon
        .patch(&world.fill("/api/sessions/{id}"), json!({"status": "failed"}))
        .await
        .expect(200);
    for phone in [&guest, &reader, &phone] {
        nothing_came(phone, &mut service).await;
    }
}

#[tokio::test]
async fn whoever_may_see_everything_is_told_of_a_new_device() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::named(&daemon, "mine", "view", None).await;
    let guest = Phone::named(&daemon, "guest", "view", Some(&world.project)).await;
    for phone in [&phone, &guest] {
        subscribe(&daemon, phone, &mut service, json!({})).await;
    }
    let new = Phone::named(&daemon, "iPad of Eve", "view", None).await;
    let push = service.next().await;
    assert_eq!(push["push"], *phone.id);
    assert_eq!(
        (&push["payload"]["kind"], &push["payload"]["device"]),
        (&json!("paired"), &json!("iPad of Eve"))
    );
    nothing_came(&guest, &mut service).await;
    drop(new);
}
