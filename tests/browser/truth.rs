//! One question is one question on every screen, and is answered once.

use crate::scene::{ALL, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_phones_that_answer_at_once_one_is_heard_and_both_know_which() {
    let scene = Scene::open().await;
    let session = scene.session("Keeper").await;
    scene.asks(&session, "Which colour?").await;
    let (anna, ben) = (scene.paired("Anna", ALL).await, scene.paired("Ben", ALL).await);
    for (phone, colour) in [(&anna, "Blue"), (&ben, "Green")] {
        phone.go(&format!("#/session/{session}")).await;
        phone.write("Your answer", colour).await;
    }
    // In the same moment, as far as there is one: whoever learns of the other's answer before that has no button any more.
    let press = "document.querySelector('form.answer button[type=submit]')?.click(); null";
    tokio::join!(anna.run(press), ben.run(press));
    tokio::join!(anna.see("Answered by"), ben.see("Answered by"));
    let record = scene
        .daemon
        .get(&format!("/api/sessions/{session}"))
        .await
        .expect(200);
    assert_eq!(record["answers"].as_array().map(Vec::len), Some(1), "{record}");
    let winner = record["answers"][0]["answeredBy"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let (first, second) = if winner == "Anna" {
        (&anna, &ben)
    } else {
        (&ben, &anna)
    };
    first.see("Answered by you").await;
    second.see(&format!("Answered by {winner}")).await;
    anna.end().await;
    ben.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_notification_leads_to_the_question_that_is_open_now_and_answers_that_one() {
    let scene = Scene::open().await;
    let session = scene.session("Keeper").await;
    let old = scene.asks(&session, "Which colour?").await;
    scene.answers(&session, &old, "Blue").await;
    let new = scene.asks(&session, "And which paint?").await;
    assert_ne!(old, new);
    let phone = scene.paired("phone", ALL).await;
    phone.go(&format!("#/session/{session}?request={old}")).await;
    phone.see("The notification was about an earlier question").await;
    phone.see("And which paint?").await;
    phone.write("Your answer", "Oil").await;
    phone.tap("Send answer").await;
    phone.see("Answered by you").await;
    let record = scene
        .daemon
        .get(&format!("/api/sessions/{session}"))
        .await
        .expect(200);
    let answers = record["answers"].as_array().expect("a list").clone();
    let said = |request: &str| {
        answers
            .iter()
            .find(|answer| answer["requestId"] == *request)
            .cloned()
    };
    assert_eq!(said(&old).expect("an answer")["text"], "Blue");
    assert_eq!(said(&new).expect("an answer")["text"], "Oil");
    phone.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_changes_while_one_writes_is_not_answered_by_what_was_written() {
    let scene = Scene::open().await;
    let session = scene.session("Keeper").await;
    let old = scene.asks(&session, "Which colour?").await;
    let phone = scene.paired("phone", ALL).await;
    phone.go(&format!("#/session/{session}")).await;
    phone.write("Your answer", "Blue").await;
    scene.answers(&session, &old, "Green").await;
    scene.asks(&session, "Shall I burn the rest?").await;
    phone.see("The question changed while you wrote").await;
    phone.see("Shall I burn the rest?").await;
    phone.see("Blue").await;
    let record = scene
        .daemon
        .get(&format!("/api/sessions/{session}"))
        .await
        .expect(200);
    assert_eq!(record["answers"].as_array().map(Vec::len), Some(1));
    phone.end().await;
}
