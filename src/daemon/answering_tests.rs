//! Answering those who wait, with every real part between the client's connection and the database, in this process:
//! from outside one cannot see who waits, nor have a mailbox fail.

use std::{
    future::{pending, ready},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Map, json};
use tokio::{
    task::yield_now,
    time::{Instant, timeout},
};

use crate::app::{AnswerPauses, App, AppError};
use crate::bus::{Bounds, Kind};
use crate::domain::{
    Answer, Caller, Device, DeviceId, How, InputAnswer, InputState, Late, Maybe, Millis, NewProject,
    NewSession, ProjectId, Question, Refusal, RequestId, Scope, Scopes, SessionId, SessionWish,
};
use crate::mail::{EmbeddedMailbox, StandIn};
use crate::ports::{MailError, Mailbox, Pending, Sending, Sent};

use super::waiting_tests::{House, Open, PATIENCE, answer};

/// A session at work in a project of its own.
struct Asking<'a> {
    app: &'a App,
    project: ProjectId,
    id: SessionId,
}

impl<'a> Asking<'a> {
    async fn new(app: &'a App) -> Self {
        let wish = NewProject {
            name: "P".into(),
            ..NewProject::default()
        };
        let project = app.create_project(wish).await.unwrap().id.clone();
        let wish = NewSession {
            status: Some("working".into()),
            ..NewSession::default()
        };
        let session = app.create_session(project.to_string(), wish).await.unwrap();
        Self {
            app,
            project,
            id: session.head.id.clone(),
        }
    }

    async fn ask(&self, message: &str) -> RequestId {
        let question = Question {
            active: true,
            message: Maybe::Value(message.into()),
            since: Maybe::Absent,
            extra: Map::new(),
        };
        let wish = SessionWish {
            needs_input: Maybe::Value(question),
            ..SessionWish::default()
        };
        let session = self.app.update_session(self.id.clone(), wish).await.unwrap();
        session.head.open_request().cloned().unwrap()
    }

    fn says(&self, request: Option<&RequestId>, text: &str) -> InputAnswer {
        InputAnswer {
            session: self.id.clone(),
            request: request.cloned(),
            text: text.into(),
            choice: None,
            key: None,
        }
    }

    fn kept(&self) -> Answer {
        let head = self.app.session_head(&self.id).unwrap();
        head.answers.last().cloned().unwrap()
    }

    async fn mails(&self) -> usize {
        let mails = self.app.mailbox().inbox(&self.project, &self.id, Millis(0)).await;
        mails.unwrap().len()
    }
}

fn sound() -> House {
    House::build(|mailbox| Arc::new(mailbox))
}

async fn until_waiting(house: &House, count: usize) {
    let reached = async {
        while house.input_waiters.len() != count {
            yield_now().await;
        }
    };
    timeout(PATIENCE, reached).await.expect("as many wait as should");
}

fn phone(scopes: &[Scope], projects: &[&ProjectId]) -> Caller {
    Caller::Device(Arc::new(Device {
        id: DeviceId::parse("dev_1").unwrap(),
        name: "iPhone of Anna".into(),
        scopes: scopes.iter().copied().collect::<Scopes>(),
        projects: projects.iter().copied().cloned().collect(),
        paired_at: Millis(0),
        last_seen: Millis(0),
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_waits_has_the_answer_and_nobody_else_is_bothered_with_it() {
    let open = Open::door();
    let it = Asking::new(&open.house.app).await;
    let _desktop = open.house.bus.subscribe(Kind::Raw, Bounds::default());
    let request = it.ask("Which?").await;
    let waits = open
        .get(&format!(
            "/api/sessions/{}/input?requestId={request}&timeout=120000",
            it.id
        ))
        .await;
    until_waiting(&open.house, 1).await;
    let begun = Instant::now();
    let answered = it
        .app
        .answer_input(&Caller::Local, it.says(None, "the left"))
        .await
        .unwrap();
    assert_eq!((answered.how, &answered.request), (How::Poll, &request));
    let heard = answer(waits).await;
    eprintln!(
        "an answer was stored and with the agent within {:?}",
        begun.elapsed()
    );
    assert_eq!(
        (&heard["state"], &heard["text"]),
        (&json!("answered"), &json!("the left"))
    );
    assert!(open.house.input_waiters.is_empty() && it.mails().await == 0);
    assert!(!it.kept().pending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_hung_up_is_let_go_and_its_answer_takes_the_next_way() {
    let open = Open::door();
    let it = Asking::new(&open.house.app).await;
    let request = it.ask("Which?").await;
    let path = format!("/api/sessions/{}/input?requestId={request}&timeout=120000", it.id);
    let waits = open.get(&path).await;
    until_waiting(&open.house, 1).await;
    drop(waits);
    until_waiting(&open.house, 0).await;
    let answered = it
        .app
        .answer_input(&Caller::Local, it.says(None, "x"))
        .await
        .unwrap();
    assert_eq!((answered.how, it.mails().await), (How::Mail, 1));
    assert!(!it.kept().pending, "it is sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_wait_when_the_hub_stops_are_told_to_ask_again() {
    let open = Open::door();
    let it = Asking::new(&open.house.app).await;
    let request = it.ask("Which?").await;
    let path = format!("/api/sessions/{}/input?requestId={request}&timeout=120000", it.id);
    let waits = open.get(&path).await;
    until_waiting(&open.house, 1).await;
    open.stopping.cancel();
    assert_eq!(
        answer(waits).await,
        json!({"state": "waiting", "requestId": request})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_falls_between_looking_and_waiting() {
    let house = sound();
    let it = Asking::new(&house.app).await;
    for n in 0..200 {
        let request = it.ask(&n.to_string()).await;
        let (app, id, wanted) = (house.app.clone(), it.id.clone(), request.clone());
        let waits =
            tokio::spawn(async move { app.wait_for_input(&id, Some(&wanted), PATIENCE, pending()).await });
        it.app
            .answer_input(&Caller::Local, it.says(Some(&request), "yes"))
            .await
            .unwrap();
        let heard = timeout(PATIENCE, waits)
            .await
            .expect("it is not waited for in vain");
        match heard.unwrap().unwrap() {
            InputState::Answered(answer) => assert_eq!(answer.request_id, request),
            other => panic!("{other:?}"),
        }
    }
    assert!(house.input_waiters.is_empty());
}

#[tokio::test]
async fn who_does_not_say_what_it_waits_for_gets_the_next_answer() {
    let house = sound();
    let it = Asking::new(&house.app).await;
    let (app, id) = (house.app.clone(), it.id.clone());
    let waits = tokio::spawn(async move { app.wait_for_input(&id, None, PATIENCE, pending()).await });
    until_waiting(&house, 1).await;
    let request = it.ask("Which?").await;
    until_waiting(&house, 1).await;
    it.app
        .answer_input(&Caller::Local, it.says(Some(&request), "yes"))
        .await
        .unwrap();
    assert!(matches!(waits.await.unwrap().unwrap(), InputState::Answered(answer) if answer.text == "yes"));
    let nothing = it
        .app
        .wait_for_input(&it.id, Some(&request), Duration::ZERO, pending())
        .await;
    assert!(
        matches!(nothing.unwrap(), InputState::Answered(_)),
        "and it is found again by its name"
    );
}

/// A mailbox that is away until it is told otherwise.
struct Away {
    inner: EmbeddedMailbox,
    is_back: Arc<AtomicBool>,
}

impl StandIn for Away {
    fn mailbox(&self) -> &dyn Mailbox {
        &self.inner
    }
    fn on_send(&self, sending: Sending) -> Pending<'_, Result<Sent, MailError>> {
        if self.is_back.load(Ordering::SeqCst) {
            return self.inner.send(sending);
        }
        Box::pin(async {
            Err(MailError::Unavailable {
                reason: "away".into(),
                retry_after_s: 1,
            })
        })
    }
}

fn away(is_back: &Arc<AtomicBool>) -> House {
    let is_back = is_back.clone();
    House::build(|inner| Arc::new(Away { inner, is_back }))
}

#[tokio::test]
async fn an_answer_that_could_not_be_sent_on_is_kept_and_mailed_once_at_the_next_start() {
    let is_back = Arc::new(AtomicBool::new(false));
    let house = away(&is_back);
    let it = Asking::new(&house.app).await;
    it.ask("Which?").await;
    let answered = it
        .app
        .answer_input(&Caller::Local, it.says(None, "the left"))
        .await
        .unwrap();
    assert_eq!((answered.how, it.kept().pending), (How::Kept, true));
    it.app.send_kept_answers().await;
    assert!(it.kept().pending, "still away");
    is_back.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        it.app.send_kept_answers().await;
        assert_eq!(
            (it.kept().how, it.kept().pending, it.mails().await),
            (How::Mail, false, 1)
        );
    }
}

#[tokio::test]
async fn what_is_kept_is_mailed_without_a_restart_as_soon_as_mail_is_back_and_so_is_what_is_kept_later() {
    let is_back = Arc::new(AtomicBool::new(false));
    let house = away(&is_back);
    let it = Asking::new(&house.app).await;
    let app = house.app.clone();
    let pauses = AnswerPauses {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(4),
    };
    let sends = tokio::spawn(async move { app.keep_sending_answers(pauses).await });
    for count in 1..=2 {
        is_back.store(false, Ordering::SeqCst);
        it.ask("Which?").await;
        let answered = it.app.answer_input(&Caller::Local, it.says(None, "x")).await;
        assert_eq!((answered.unwrap().how, it.kept().pending), (How::Kept, true));
        is_back.store(true, Ordering::SeqCst);
        let mailed = async {
            while it.kept().pending {
                yield_now().await;
            }
        };
        timeout(PATIENCE, mailed).await.expect("it is tried again");
        assert_eq!((it.kept().how, it.mails().await), (How::Mail, count));
    }
    sends.abort();
}

#[tokio::test]
async fn an_answer_that_could_not_be_sent_on_is_there_for_the_agent_and_not_mailed_after_that() {
    let is_back = Arc::new(AtomicBool::new(false));
    let house = away(&is_back);
    let it = Asking::new(&house.app).await;
    let request = it.ask("Which?").await;
    // The hub stops: nobody waits any more, but what is there is told, though it takes a write.
    let look = || it.app.wait_for_input(&it.id, Some(&request), PATIENCE, ready(()));
    assert!(matches!(look().await.unwrap(), InputState::Waiting(_)));
    it.app
        .answer_input(&Caller::Local, it.says(None, "the left"))
        .await
        .unwrap();
    let found = look().await;
    assert!(matches!(found.unwrap(), InputState::Answered(answer) if answer.text == "the left"));
    is_back.store(true, Ordering::SeqCst);
    it.app.send_kept_answers().await;
    assert_eq!((it.kept().how, it.mails().await), (How::Poll, 0));
}

#[tokio::test]
async fn a_device_answers_what_it_saw_where_it_may() {
    let house = sound();
    let (it, other) = (Asking::new(&house.app).await, Asking::new(&house.app).await);
    let request = it.ask("Which?").await;
    let wish = || it.says(Some(&request), "the left");
    let refusal = |result: Result<_, AppError>| match result {
        Err(AppError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let looks = phone(&[Scope::View], &[]);
    let refused = refusal(it.app.answer_input(&looks, wish()).await);
    assert!(matches!(refused, Refusal::Forbidden(_)), "{refused:?}");
    let elsewhere = phone(&[Scope::Answer], &[&other.project]);
    let refused = refusal(it.app.answer_input(&elsewhere, wish()).await);
    assert_eq!(
        refused,
        Refusal::unknown(&it.id),
        "it does not learn that there is such a session"
    );
    let here = phone(&[Scope::Answer], &[&it.project]);
    let refused = refusal(it.app.answer_input(&here, it.says(None, "the left")).await);
    assert!(
        matches!(refused, Refusal::Invalid(_)),
        "it must say what it saw: {refused:?}"
    );
    it.app.answer_input(&here, wish()).await.unwrap();
    match refusal(it.app.answer_input(&Caller::Local, wish()).await) {
        Refusal::TooLate(late) => {
            assert_eq!(
                (late.why, late.by.unwrap().name.as_str()),
                (Late::AlreadyAnswered, "iPhone of Anna")
            );
        }
        other => panic!("{other:?}"),
    }
}
