//! What every mailbox does, whatever keeps its mail: one suite, run against each backend.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use serde_json::{Map, json};

use crate::domain::{Letter, Mail, MailId, MailPriority, MailType, Millis, ProjectId, SendKey, SessionId};
use crate::ports::{Clock, MailError, Mailbox, Once, Sending};

/// A clock that stands where it was put.
pub struct Hand(AtomicI64);

impl Default for Hand {
    fn default() -> Self {
        Self(AtomicI64::new(1_700_000_000_000))
    }
}

impl Clock for Hand {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

impl Hand {
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    pub fn turn_back(&self, millis: i64) {
        self.advance(-millis);
    }
}

/// A mailbox, the clock it looks at, and what it stands on.
pub struct Scene {
    pub mailbox: Arc<dyn Mailbox>,
    pub clock: Arc<Hand>,
    /// Dropped last: a directory, a server.
    pub _ground: Box<dyn Any + Send>,
}

impl Scene {
    /// Sends one mail from `a` in `p`.
    async fn send(&self, recipient: Option<&str>) -> Arc<Mail> {
        let sent = self.mailbox.send(sending(letter(), &[recipient])).await.unwrap();
        assert!(!sent.repeated);
        sent.mails[0].clone()
    }

    async fn reply(&self, answered: &MailId) -> Arc<Mail> {
        let letter = Letter {
            reply_to_mail_id: Some(answered.clone()),
            ..letter()
        };
        self.mailbox.send(to(letter, &["b"])).await.unwrap().mails[0].clone()
    }

    async fn inbox(&self, owner: &str, since: Millis) -> Vec<MailId> {
        let inbox = self
            .mailbox
            .inbox(&project("p"), &session(owner), since)
            .await
            .unwrap();
        inbox.into_iter().map(|mail| mail.id).collect()
    }
}

pub fn project(id: &str) -> ProjectId {
    ProjectId::parse(id).unwrap()
}

pub fn session(id: &str) -> SessionId {
    SessionId::parse(id).unwrap()
}

/// From `a`, in `p`.
pub fn letter() -> Letter {
    Letter {
        project_id: project("p"),
        from_session_id: session("a"),
        reply_to_mail_id: None,
        mail_type: MailType::StatusUpdate,
        subject: "Übergabe 🦀".into(),
        body: Map::from_iter([
            ("text".into(), json!("zeile\n\0\u{7f}")),
            ("n".into(), json!(1.5)),
        ]),
        priority: Some(MailPriority::High),
        sender: serde_json::from_value(json!({
            "kind": "human", "verified": true, "device": {"id": "dev_1", "name": "Ännes 📱"},
        }))
        .unwrap(),
    }
}

pub fn sending(letter: Letter, recipients: &[Option<&str>]) -> Sending {
    Sending {
        letter,
        to: recipients.iter().map(|to| to.map(session)).collect(),
        once: None,
    }
}

pub fn to(letter: Letter, recipients: &[&str]) -> Sending {
    let recipients: Vec<_> = recipients.iter().copied().map(Some).collect();
    sending(letter, &recipients)
}

fn once(key: &str, fingerprint: u8) -> Option<Once> {
    Some(Once {
        key: SendKey::parse(key).unwrap(),
        fingerprint: [fingerprint; 32],
    })
}

fn ids<'a>(mails: impl IntoIterator<Item = &'a Arc<Mail>>) -> Vec<MailId> {
    mails.into_iter().map(|mail| mail.id.clone()).collect()
}

/// One test for each sentence below.
macro_rules! behaves_as_a_mailbox {
    ($scene:path) => {
        crate::mail::suite::behaves_as_a_mailbox! { $scene:
            what_is_sent_is_found_again_field_by_field
            what_was_never_sent_is_not_found
            an_inbox_holds_what_is_for_its_owner_and_for_everybody
            what_somebody_wrote_is_found_the_newest_of_it
            a_reader_who_goes_on_after_the_last_mail_misses_none_and_sees_none_twice
            order_outlives_a_clock_that_is_turned_back
            order_outlives_a_clock_turned_back_after_the_newest_mail_was_deleted
            a_sending_to_many_is_one_mail_each
            a_reply_joins_the_conversation_in_any_project
            a_reply_is_later_than_what_it_answers_in_another_project_too
            a_reply_to_an_unknown_mail_begins_a_conversation
            a_deleted_mail_is_gone_everywhere
            a_repeated_sending_is_one_mail
            a_sending_is_repeated_even_if_its_mail_was_deleted
            the_same_key_for_another_mail_is_refused
            a_key_belongs_to_its_sender
            a_key_is_forgotten_after_a_day
            simultaneous_repeats_are_one_mail
            simultaneous_senders_lose_nothing_and_keep_order
            a_large_mail_is_kept_whole
        }
    };
    ($scene:path: $($sentence:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $sentence() {
            crate::mail::suite::$sentence($scene().await).await;
        }
    )*};
}
pub(super) use behaves_as_a_mailbox;

pub async fn what_is_sent_is_found_again_field_by_field(scene: Scene) {
    let mail = scene.send(Some("b")).await;
    assert_eq!(mail.created_at, scene.clock.now());
    assert_eq!(mail.thread_id, mail.id);
    assert!(mail.id.as_str().starts_with("mail_1700000000000_"), "{}", mail.id);
    assert_eq!(
        *mail,
        letter().seal(mail.id.clone(), mail.created_at, Some(session("b")), None)
    );
    assert_eq!(scene.mailbox.get(&mail.id).await.unwrap(), Some((*mail).clone()));
    let inbox = scene
        .mailbox
        .inbox(&project("p"), &session("b"), Millis(0))
        .await
        .unwrap();
    assert_eq!(inbox, [(*mail).clone()]);
}

pub async fn what_was_never_sent_is_not_found(scene: Scene) {
    let id = MailId::parse("mail_none").unwrap();
    assert_eq!(scene.mailbox.get(&id).await.unwrap(), None);
    assert_eq!(scene.mailbox.thread(&id).await.unwrap(), []);
    assert_eq!(scene.mailbox.delete(&id).await.unwrap(), None);
    assert_eq!(scene.inbox("b", Millis(0)).await, []);
}

pub async fn an_inbox_holds_what_is_for_its_owner_and_for_everybody(scene: Scene) {
    let first = scene.send(Some("b")).await;
    let other = scene.send(Some("c")).await;
    let all = scene.send(None).await;
    let last = scene.send(Some("b")).await;
    let elsewhere = Letter {
        project_id: project("q"),
        ..letter()
    };
    scene.mailbox.send(to(elsewhere, &["b"])).await.unwrap();
    assert_eq!(scene.inbox("b", Millis(0)).await, ids([&first, &all, &last]));
    assert_eq!(scene.inbox("c", Millis(0)).await, ids([&other, &all]));
    // The sender's own broadcasts too.
    assert_eq!(scene.inbox("a", Millis(0)).await, ids([&all]));
    assert_eq!(scene.inbox("b", first.created_at).await, ids([&all, &last]));
    assert_eq!(scene.inbox("b", last.created_at).await, []);
}

pub async fn what_somebody_wrote_is_found_the_newest_of_it(scene: Scene) {
    let (first, second) = (scene.send(Some("b")).await, scene.send(None).await);
    let of_b = Letter {
        from_session_id: session("b"),
        ..letter()
    };
    scene.mailbox.send(to(of_b, &["a"])).await.unwrap();
    let written = async |from: &str, place: &str, most| {
        let found = scene.mailbox.written(&project(place), &session(from), most).await;
        let found = found.unwrap().into_iter();
        found.map(|mail| mail.id).collect::<Vec<_>>()
    };
    assert_eq!(written("a", "p", 10).await, [first.id.clone(), second.id.clone()]);
    assert_eq!(written("a", "p", 1).await, std::slice::from_ref(&second.id));
    assert_eq!(written("a", "q", 10).await, []);
    assert_eq!(written("b", "p", 10).await.len(), 1);
}

pub async fn a_reader_who_goes_on_after_the_last_mail_misses_none_and_sees_none_twice(scene: Scene) {
    let mut sent = Vec::new();
    for n in 0..40 {
        sent.push(scene.send((n % 3 != 0).then_some("b")).await.id.clone());
        scene.clock.advance(n % 2); // most of them within one millisecond
    }
    let (mut seen, mut since) = (Vec::new(), Millis(0));
    loop {
        let inbox = scene
            .mailbox
            .inbox(&project("p"), &session("b"), since)
            .await
            .unwrap();
        let Some(next) = inbox.first() else { break };
        seen.push(next.id.clone());
        since = next.created_at;
    }
    assert_eq!(seen, sent);
}

pub async fn order_outlives_a_clock_that_is_turned_back(scene: Scene) {
    let before = scene.send(Some("b")).await;
    scene.clock.turn_back(86_400_000);
    let after = scene.send(Some("b")).await;
    assert!(after.created_at > before.created_at);
    assert!(after.id > before.id, "{} {}", after.id, before.id);
    assert_eq!(scene.inbox("b", Millis(0)).await, ids([&before, &after]));
    assert_eq!(scene.inbox("b", before.created_at).await, ids([&after]));
}

pub async fn order_outlives_a_clock_turned_back_after_the_newest_mail_was_deleted(scene: Scene) {
    let before = scene.send(Some("b")).await;
    scene.mailbox.delete(&before.id).await.unwrap();
    scene.clock.turn_back(1000);
    let after = scene.send(Some("b")).await;
    assert!(after.created_at > before.created_at);
}

pub async fn a_sending_to_many_is_one_mail_each(scene: Scene) {
    let recipients: Vec<String> = (0..50).map(|n| format!("b{n}")).collect();
    let names: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let sent = scene.mailbox.send(to(letter(), &names)).await.unwrap();
    assert_eq!(sent.mails.len(), 50);
    let mut sorted = ids(&sent.mails);
    sorted.sort();
    assert_eq!(
        sorted,
        ids(&sent.mails),
        "ids sort in the order of the recipients"
    );
    for (mail, name) in sent.mails.iter().zip(names) {
        assert_eq!(mail.to_session_id, Some(session(name)));
        assert_eq!(mail.thread_id, mail.id);
        assert_eq!(scene.inbox(name, Millis(0)).await, ids([mail]));
    }
}

pub async fn a_reply_joins_the_conversation_in_any_project(scene: Scene) {
    let first = scene.send(Some("b")).await;
    let second = scene.reply(&first.id).await;
    scene.send(Some("b")).await; // of another conversation
    let elsewhere = Letter {
        project_id: project("q"),
        reply_to_mail_id: Some(second.id.clone()),
        ..letter()
    };
    scene.clock.advance(10); // projects have times of their own
    let third = scene
        .mailbox
        .send(sending(elsewhere, &[None]))
        .await
        .unwrap()
        .mails[0]
        .clone();
    assert_eq!(third.reply_to_mail_id, Some(second.id.clone()));
    assert_eq!(third.thread_id, first.id);
    let thread = scene.mailbox.thread(&first.id).await.unwrap();
    let found: Vec<MailId> = thread.into_iter().map(|mail| mail.id).collect();
    assert_eq!(found, ids([&first, &second, &third]));
    assert_eq!(scene.mailbox.thread(&second.id).await.unwrap(), []);
}

pub async fn a_reply_is_later_than_what_it_answers_in_another_project_too(scene: Scene) {
    let first = scene.send(Some("b")).await;
    scene.clock.turn_back(1000);
    let reply = Letter {
        project_id: project("q"),
        reply_to_mail_id: Some(first.id.clone()),
        ..letter()
    };
    let reply = scene.mailbox.send(to(reply, &["a"])).await.unwrap().mails[0].clone();
    assert!(reply.created_at > first.created_at);
    assert_eq!(
        scene.mailbox.thread(&first.id).await.unwrap(),
        [(*first).clone(), (*reply).clone()]
    );
}

pub async fn a_reply_to_an_unknown_mail_begins_a_conversation(scene: Scene) {
    let stray = scene.reply(&MailId::parse("mail_none").unwrap()).await;
    assert_eq!(stray.thread_id, stray.id);
    assert_eq!(stray.reply_to_mail_id, MailId::parse("mail_none").ok());
}

pub async fn a_deleted_mail_is_gone_everywhere(scene: Scene) {
    let first = scene.send(Some("b")).await;
    let broadcast = scene.send(None).await;
    let reply = scene.reply(&first.id).await;
    assert_eq!(
        scene.mailbox.delete(&first.id).await.unwrap(),
        Some((*first).clone())
    );
    assert_eq!(scene.mailbox.delete(&first.id).await.unwrap(), None);
    assert_eq!(scene.mailbox.get(&first.id).await.unwrap(), None);
    assert_eq!(scene.inbox("b", Millis(0)).await, ids([&broadcast, &reply]));
    let thread = scene.mailbox.thread(&first.id).await.unwrap();
    assert_eq!(
        thread,
        [(*reply).clone()],
        "a conversation outlives its first mail"
    );
    scene.mailbox.delete(&broadcast.id).await.unwrap();
    assert_eq!(scene.inbox("c", Millis(0)).await, []);
}

pub async fn a_repeated_sending_is_one_mail(scene: Scene) {
    let sending = Sending {
        once: once("k", 1),
        ..to(letter(), &["b", "c"])
    };
    let nothing = scene
        .mailbox
        .sent(&letter(), sending.once.as_ref().unwrap())
        .await
        .unwrap();
    assert!(nothing.is_none());
    let first = scene.mailbox.send(sending.clone()).await.unwrap();
    scene.clock.advance(5000);
    // The recipients of a team may be others by now; it is the same sending all the same.
    let other = Sending {
        to: vec![Some(session("d"))],
        ..sending.clone()
    };
    for again in [sending.clone(), other] {
        let again = scene.mailbox.send(again).await.unwrap();
        assert!(again.repeated && !first.repeated);
        assert_eq!(again.mails, first.mails);
    }
    let sent = scene
        .mailbox
        .sent(&letter(), sending.once.as_ref().unwrap())
        .await
        .unwrap();
    assert_eq!(sent, Some(first.mails.clone()));
    assert_eq!(scene.inbox("b", Millis(0)).await, ids([&first.mails[0]]));
    assert_eq!(scene.inbox("d", Millis(0)).await, []);
}

pub async fn a_sending_is_repeated_even_if_its_mail_was_deleted(scene: Scene) {
    let sending = Sending {
        once: once("k", 1),
        ..to(letter(), &["b"])
    };
    let first = scene.mailbox.send(sending.clone()).await.unwrap();
    scene.mailbox.delete(&first.mails[0].id).await.unwrap();
    let again = scene.mailbox.send(sending).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.mails, first.mails);
    assert_eq!(scene.inbox("b", Millis(0)).await, []);
}

pub async fn the_same_key_for_another_mail_is_refused(scene: Scene) {
    let sending = Sending {
        once: once("k", 1),
        ..to(letter(), &["b"])
    };
    scene.mailbox.send(sending.clone()).await.unwrap();
    let other = Sending {
        once: once("k", 2),
        ..sending
    };
    let refused = scene
        .mailbox
        .sent(&other.letter, other.once.as_ref().unwrap())
        .await;
    assert!(matches!(refused, Err(MailError::KeyReused)), "{refused:?}");
    let refused = scene.mailbox.send(other).await;
    assert!(matches!(refused, Err(MailError::KeyReused)), "{refused:?}");
    assert_eq!(scene.inbox("b", Millis(0)).await.len(), 1);
}

pub async fn a_key_belongs_to_its_sender(scene: Scene) {
    let first = Sending {
        once: once("k", 1),
        ..to(letter(), &["b"])
    };
    let mut second = first.clone();
    second.letter.from_session_id = session("z");
    second.once = once("k", 2);
    scene.mailbox.send(first).await.unwrap();
    assert!(!scene.mailbox.send(second).await.unwrap().repeated);
}

pub async fn a_key_is_forgotten_after_a_day(scene: Scene) {
    let sending = Sending {
        once: once("k", 1),
        ..to(letter(), &["b"])
    };
    scene.mailbox.send(sending.clone()).await.unwrap();
    scene.clock.advance(86_400_000 - 1);
    assert!(scene.mailbox.send(sending.clone()).await.unwrap().repeated);
    scene.clock.advance(1);
    assert!(!scene.mailbox.send(sending).await.unwrap().repeated);
}

pub async fn simultaneous_repeats_are_one_mail(scene: Scene) {
    let sending = Sending {
        once: once("k", 1),
        ..to(letter(), &["b"])
    };
    let repeats = (0..32).map(|_| scene.mailbox.send(sending.clone()));
    let sent = futures_util::future::try_join_all(repeats).await.unwrap();
    assert_eq!(sent.iter().filter(|sent| !sent.repeated).count(), 1);
    assert!(sent.iter().all(|other| other.mails == sent[0].mails));
    assert_eq!(scene.inbox("b", Millis(0)).await.len(), 1);
}

pub async fn simultaneous_senders_lose_nothing_and_keep_order(scene: Scene) {
    let sends = (0..200).map(|n| {
        scene
            .mailbox
            .send(sending(letter(), &[(n % 2 == 0).then_some("b")]))
    });
    let sent = futures_util::future::try_join_all(sends).await.unwrap();
    let mut sent: Vec<(Millis, MailId)> = sent
        .iter()
        .map(|sent| (sent.mails[0].created_at, sent.mails[0].id.clone()))
        .collect();
    sent.sort();
    let inbox = scene
        .mailbox
        .inbox(&project("p"), &session("b"), Millis(0))
        .await
        .unwrap();
    let found: Vec<(Millis, MailId)> = inbox.into_iter().map(|mail| (mail.created_at, mail.id)).collect();
    assert_eq!(found, sent);
    assert!(
        found.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "each mail has a time of its own"
    );
}

pub async fn a_large_mail_is_kept_whole(scene: Scene) {
    let body = Map::from_iter([("text".into(), json!("ä".repeat(1_000_000)))]);
    let letter = Letter { body, ..letter() };
    let sent = scene.mailbox.send(to(letter, &["b"])).await.unwrap();
    let mail = scene.mailbox.get(&sent.mails[0].id).await.unwrap();
    assert_eq!(mail.as_ref(), Some(&*sent.mails[0]));
}
