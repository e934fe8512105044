//! One evening with the phone, from the QR code to the lost phone.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Ask, eventually};
use crate::scene::{ALL, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_chain_from_pairing_to_the_end() {
    let scene = Scene::open().await;
    let (hub, project) = (&scene.daemon, &scene.project);
    let painter = scene.agent("Painter").await;
    let keeper = scene.agent("Keeper").await;
    let phone = scene.paired("iPhone of Anna", ALL).await;

    // An agent is at work, and dies of something.
    phone.see("At work").await;
    phone.see("Painter").await;
    painter.crash(&scene);
    phone.see("Its agent is gone").await;
    phone.see("Trouble").await;

    // Another one asks, and waits for the answer.
    let request = scene
        .asks(&keeper.session, "Which colour shall the door have?")
        .await;
    let path = format!(
        "/api/sessions/{}/input?requestId={request}&timeout=120000",
        keeper.session
    );
    let waiting = tokio::spawn(
        Ask::new("GET", path)
            .within(Duration::from_secs(120))
            .to(hub.port()),
    );
    phone.see("Needs you").await;
    phone.see("1 waits for you").await;
    phone.tap("Keeper").await;
    phone.see("Which colour shall the door have?").await;
    phone.write("Your answer", "Blue").await;
    phone.tap("Send answer").await;
    phone.see("Answered by you").await;
    let told = waiting.await.expect("it was waited for").expect(200);
    assert!(told.to_string().contains("Blue"), "{told}");

    // Mail, there and back.
    let mail = json!({
        "projectId": project, "fromSessionId": keeper.session, "toSessionId": "human", "type": "query",
        "subject": "The lamp", "body": {"message": "It flickers. Shall I change it?"},
    });
    hub.post("/api/mail", mail).await.expect(201);
    phone.go("#/mail").await;
    phone.tap("The lamp").await;
    phone.see("It flickers. Shall I change it?").await;
    phone.write("Reply to", "Yes, tonight").await;
    phone.tap("Send").await;
    phone.see("Yes, tonight").await;
    let inbox = format!("/api/mail/inbox/{}?projectId={project}", keeper.session);
    let mail = eventually("the agent has the reply", || async {
        let mails = hub.get(&inbox).await.expect(200);
        let mails = mails.as_array().expect("a list").clone();
        mails.into_iter().find(|mail| mail["fromSessionId"] == "human")
    })
    .await;
    assert_eq!(mail["body"]["message"], "Yes, tonight");
    assert_eq!(
        mail["sender"]["device"]["name"], "iPhone of Anna",
        "and by whom is proved"
    );

    // A new agent.
    let members = hub
        .get(&format!("/api/team-members?projectId={project}"))
        .await
        .expect(200);
    let member = members[0]["name"].as_str().expect("a name").to_owned();
    phone.go("#/").await;
    phone.tap("Start").await;
    phone.tap(&member).await;
    phone.choose("Task", "Paint the tower").await;
    phone.write("First message", "Begin with the red").await;
    phone.tap("Continue").await;
    phone.tap("Start").await;
    let spawned = eventually("a session was made", || async {
        let sessions = hub
            .get(&format!("/api/sessions?projectId={project}"))
            .await
            .expect(200);
        let sessions = sessions.as_array().expect("a list").clone();
        sessions
            .into_iter()
            .find(|session| session["status"] == "spawning")
    })
    .await;
    assert_eq!(spawned["taskIds"], json!([scene.task]));
    phone.see("Starting").await;

    // The phone is lost.
    let revoked = hub.ctl(&["devices", "revoke", "iPhone of Anna"]).await;
    assert!(revoked.status.success());
    phone.see("This device was revoked").await;
    assert!(phone.has("Pair this phone").await);
    let text = phone.text().await;
    assert!(
        !text.contains("Keeper") && !text.contains("lamp"),
        "what it knew is gone: {text}"
    );
    assert_eq!(phone.token().await, "", "and what proved it");

    // And found.
    let code = scene.code("view").await;
    phone.write("Code", &code).await;
    phone.tap("Pair this phone").await;
    phone.see("Keeper").await;
    phone.end().await;
}
