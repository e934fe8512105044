//! Moves, and interruptions of moves at every single step.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use tempfile::TempDir;

use crate::domain::{Letter, Millis};
use crate::mail::{
    CHAPTER, EmbeddedMailbox, Home, StandIn, StreamMailbox,
    suite::{Hand, letter, project, sending, session, to},
};
use crate::ports::{Once, Sending};
use crate::redis_link::{
    RedisLink,
    testbed::{PATIENCE as LONG, Server},
};
use crate::shutdown::TaskGroup;
use crate::sqlite::Database;

use super::*;

/// A place that is lost at some step: before it is taken, or after, when only the answer is lost.
struct Fragile {
    place: Arc<dyn Place>,
    steps: Arc<AtomicI64>,
    after: bool,
}

impl Fragile {
    /// `step` is begun when its turn comes: a place may begin a change as soon as it is asked.
    fn step<'a, T: Send + 'a>(
        &'a self,
        step: impl FnOnce(&'a dyn Place) -> Pending<'a, Result<T, MailError>> + Send + 'a,
    ) -> Pending<'a, Result<T, MailError>> {
        Box::pin(async move {
            let last = self.steps.fetch_sub(1, Ordering::SeqCst) == 1;
            let lost = || Err(MailError::Engine("interrupted".into()));
            if last && !self.after {
                return lost();
            }
            let result = step(&*self.place).await;
            if last { lost() } else { result }
        })
    }
}

impl StandIn for Fragile {
    fn mailbox(&self) -> &dyn Mailbox {
        &*self.place
    }
}

impl MailArchive for Fragile {
    fn put(&self, mails: Vec<Mail>) -> Pending<'_, Result<u64, MailError>> {
        self.step(move |place| place.put(mails))
    }
    fn page<'a>(
        &'a self,
        after: Option<&'a MailId>,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        self.step(move |place| place.page(after, most.min(3))) // several pages even of few mails
    }
}

impl Place for Fragile {
    fn name(&self) -> Pending<'_, Result<String, MailError>> {
        self.step(move |place| place.name())
    }
    fn stage<'a>(&'a self, from: &'a str) -> Pending<'a, Result<Stage, MailError>> {
        self.step(move |place| place.stage(from))
    }
    fn receive<'a>(&'a self, from: &'a str, mails: Vec<Mail>) -> Pending<'a, Result<(), MailError>> {
        self.step(move |place| place.receive(from, mails))
    }
    fn undo<'a>(&'a self, from: &'a str) -> Pending<'a, Result<(), MailError>> {
        self.step(move |place| place.undo(from))
    }
    fn settle(&self) -> Pending<'_, Result<(), MailError>> {
        self.step(move |place| place.settle())
    }
    fn missing(&self, ids: Vec<MailId>) -> Pending<'_, Result<Vec<MailId>, MailError>> {
        self.step(move |place| place.missing(ids))
    }
    fn complete<'a>(&'a self, from: &'a str) -> Pending<'a, Result<(), MailError>> {
        self.step(move |place| place.complete(from))
    }
    fn finish<'a>(&'a self, from: &'a str) -> Pending<'a, Result<(), MailError>> {
        self.step(move |place| place.finish(from))
    }
    fn received<'a>(&'a self, from: &'a str) -> Pending<'a, Result<Vec<MailId>, MailError>> {
        self.step(move |place| place.received(from))
    }
    fn forget(&self, ids: Vec<MailId>) -> Pending<'_, Result<(), MailError>> {
        self.step(move |place| place.forget(ids))
    }
    fn receipts(&self) -> Pending<'_, Result<Vec<Receipt>, MailError>> {
        self.step(move |place| place.receipts())
    }
    fn keep(&self, receipts: Vec<Receipt>) -> Pending<'_, Result<(), MailError>> {
        self.step(move |place| place.keep(receipts))
    }
    fn unfinished(&self) -> Pending<'_, Result<Vec<String>, MailError>> {
        self.place.unfinished()
    }
    fn newest<'a>(
        &'a self,
        project: Option<&'a ProjectId>,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        self.place.newest(project, most)
    }
    fn count(&self) -> Pending<'_, Result<u64, MailError>> {
        self.place.count()
    }
}

fn embedded(dir: &TempDir, name: &str) -> Arc<dyn Place> {
    let db = Database::open(&dir.path().join(name), &[CHAPTER]).unwrap();
    Arc::new(EmbeddedMailbox::new(db, Arc::new(Hand::default())))
}

async fn streams(server: &Server, tasks: &TaskGroup) -> Arc<dyn Place> {
    let link = RedisLink::open(server.settings(), tasks);
    link.until_up(LONG).await.unwrap();
    let mailbox = StreamMailbox::new(link, "maestro:mail:", Arc::new(Hand::default()));
    Arc::new(mailbox.without_syncing())
}

/// Everything in a place, by id.
async fn all(place: &dyn Place) -> BTreeMap<MailId, Mail> {
    let (mut found, mut last) = (BTreeMap::new(), None);
    loop {
        let page = place.page(last.as_ref(), TOGETHER).await.unwrap();
        let Some(mail) = page.last() else { return found };
        last = Some(mail.id.clone());
        found.extend(page.into_iter().map(|mail| (mail.id.clone(), mail)));
    }
}

/// Some to one, some to everybody, and a conversation.
async fn fill(place: &dyn Place) -> BTreeMap<MailId, Mail> {
    for n in 0..6 {
        place
            .send(sending(letter(), &[(n % 2 == 0).then_some("b"), Some("c")]))
            .await
            .unwrap();
    }
    let first = place.send(to(letter(), &["b"])).await.unwrap().mails[0].clone();
    let reply = Letter {
        reply_to_mail_id: Some(first.id.clone()),
        ..letter()
    };
    place.send(to(reply, &["a"])).await.unwrap();
    all(place).await
}

/// Interrupts the move at every step in turn, deletes one mail where mail then lies, and lets the move go on.
async fn survives_interruption_anywhere(source: Arc<dyn Place>, place: Arc<dyn Place>, after: bool) {
    let mut interrupted_at = 0;
    loop {
        interrupted_at += 1;
        let mut expected = all(&*place).await;
        expected.extend(fill(&*source).await);
        let steps = Arc::new(AtomicI64::new(interrupted_at));
        let fragile = |place: &Arc<dyn Place>| Fragile {
            place: place.clone(),
            steps: steps.clone(),
            after,
        };
        let cut = carry(&fragile(&source), &fragile(&place)).await.is_err();
        // Whoever deletes a mail now does so where it is used: at the source until the move is complete.
        let from = source.name().await.unwrap();
        let used = match place.stage(&from).await.unwrap() {
            Stage::Complete => &place,
            Stage::Nothing if all(&*source).await.is_empty() => &place,
            Stage::Nothing | Stage::Receiving => &source,
        };
        let deleted = all(&**used).await.into_keys().next().unwrap();
        used.delete(&deleted).await.unwrap();
        expected.remove(&deleted);
        carry(&*source, &*place).await.unwrap();
        let found = all(&*place).await;
        let gone: Vec<_> = expected.keys().filter(|id| !found.contains_key(*id)).collect();
        let back: Vec<_> = found.keys().filter(|id| !expected.contains_key(*id)).collect();
        assert!(
            gone.is_empty() && back.is_empty(),
            "interrupted at {interrupted_at}, {after}: {gone:?} are gone, {back:?} came back"
        );
        assert!(found == expected, "mails were changed");
        assert!(all(&*source).await.is_empty());
        assert_eq!(place.stage(&from).await.unwrap(), Stage::Nothing);
        if !cut {
            assert!(interrupted_at > 10, "so few steps?");
            return;
        }
    }
}

#[tokio::test]
async fn a_move_interrupted_at_any_step_goes_on_and_ends_complete() {
    for after in [false, true] {
        let dir = TempDir::new().unwrap();
        survives_interruption_anywhere(embedded(&dir, "a"), embedded(&dir, "b"), after).await;
    }
}

#[tokio::test]
async fn a_move_into_redis_interrupted_at_any_step_goes_on_and_ends_complete() {
    let (dir, server, tasks) = (TempDir::new().unwrap(), Server::start(), TaskGroup::default());
    for after in [false, true] {
        survives_interruption_anywhere(embedded(&dir, "a"), streams(&server, &tasks).await, after).await;
    }
}

#[tokio::test]
async fn a_move_out_of_redis_interrupted_at_any_step_goes_on_and_ends_complete() {
    let (dir, server, tasks) = (TempDir::new().unwrap(), Server::start(), TaskGroup::default());
    for after in [false, true] {
        survives_interruption_anywhere(streams(&server, &tasks).await, embedded(&dir, "b"), after).await;
    }
}

/// Interrupts the move at every step in turn, and goes back; and then there once more.
async fn survives_turning_round_anywhere(source: Arc<dyn Place>, place: Arc<dyn Place>, after: bool) {
    let mut interrupted_at = 0;
    loop {
        interrupted_at += 1;
        let mut expected = fill(&*source).await;
        let steps = Arc::new(AtomicI64::new(interrupted_at));
        let fragile = |place: &Arc<dyn Place>| Fragile {
            place: place.clone(),
            steps: steps.clone(),
            after,
        };
        let cut = carry(&fragile(&source), &fragile(&place)).await.is_err();
        // On the way back it is interrupted as well, and somebody deletes and sends there in between.
        steps.store(interrupted_at, Ordering::SeqCst);
        let _cut_too = carry(&fragile(&place), &fragile(&source)).await;
        carry(&*place, &*source).await.unwrap();
        assert!(all(&*place).await.is_empty());
        assert!(
            all(&*source).await == expected,
            "back, interrupted at {interrupted_at}, {after}"
        );
        let deleted = expected.pop_first().unwrap().0;
        source.delete(&deleted).await.unwrap();
        carry(&*source, &*place).await.unwrap();
        assert!(all(&*source).await.is_empty());
        assert!(
            all(&*place).await == expected,
            "there, interrupted at {interrupted_at}, {after}"
        );
        for (at, from) in [(&source, &place), (&place, &source)] {
            let from = from.name().await.unwrap();
            assert_eq!(at.stage(&from).await.unwrap(), Stage::Nothing);
        }
        place.forget(expected.into_keys().collect()).await.unwrap();
        if !cut {
            assert!(interrupted_at > 10, "so few steps?");
            return;
        }
    }
}

#[tokio::test]
async fn who_turns_round_in_the_middle_of_a_move_loses_nothing_either() {
    let (dir, server, tasks) = (TempDir::new().unwrap(), Server::start(), TaskGroup::default());
    for after in [false, true] {
        survives_turning_round_anywhere(embedded(&dir, "a"), embedded(&dir, "b"), after).await;
    }
    survives_turning_round_anywhere(embedded(&dir, "c"), streams(&server, &tasks).await, true).await;
}

#[tokio::test]
async fn from_a_redis_that_others_use_too_only_our_own_projects_mail_is_taken() {
    let (dir, server, tasks) = (TempDir::new().unwrap(), Server::start(), TaskGroup::default());
    let link = RedisLink::open(server.settings(), &tasks);
    link.until_up(LONG).await.unwrap();
    let shared = StreamMailbox::new(link, "maestro:mail:", Arc::new(Hand::default())).without_syncing();
    shared.settle_in("we").await.unwrap();
    assert!(!shared.is_shared("we").await.unwrap());
    shared.settle_in("they").await.unwrap();
    assert!(shared.is_shared("we").await.unwrap());
    let ours = fill(&shared).await;
    let theirs = Letter {
        project_id: project("theirs"),
        ..letter()
    };
    shared.send(to(theirs, &["b"])).await.unwrap();
    let home = embedded(&dir, "a");
    let part = shared.clone().of_projects(|id| *id == project("p"));
    assert_eq!(part.count().await.unwrap(), ours.len() as u64);
    assert_eq!(carry(&part, &*home).await.unwrap(), ours.len());
    shared.move_out("we").await.unwrap();
    assert_eq!(all(&*home).await, ours);
    assert_eq!(shared.count().await.unwrap(), 1);
    assert!(!shared.is_shared("they").await.unwrap());
}

#[tokio::test]
async fn a_sending_is_known_after_the_move_as_before_it() {
    let (dir, server, tasks) = (TempDir::new().unwrap(), Server::start(), TaskGroup::default());
    let (embedded, streams) = (embedded(&dir, "a"), streams(&server, &tasks).await);
    let first = embedded.send(to(letter(), &["b"])).await.unwrap().mails[0].clone();
    let reply = Letter {
        reply_to_mail_id: Some(first.id.clone()),
        ..letter()
    };
    let keyed = |letter: Letter, key: &str| Sending {
        once: Some(Once {
            key: crate::domain::SendKey::parse(key).unwrap(),
            fingerprint: [7; 32],
        }),
        ..sending(letter, &[Some("b"), None])
    };
    let mut sent = Vec::new();
    for (letter, key) in [(letter(), "k:1"), (reply, "k2")] {
        let mails = embedded.send(keyed(letter.clone(), key)).await.unwrap().mails;
        sent.push((letter, key, mails));
    }
    let places = [&embedded, &streams, &embedded];
    for way in places.windows(2) {
        carry(&**way[0], &**way[1]).await.unwrap();
        assert_eq!(way[1].receipts().await.unwrap().len(), 2);
        for (letter, key, mails) in &sent {
            let again = way[1].send(keyed(letter.clone(), key)).await.unwrap();
            assert!(again.repeated, "{key}");
            assert_eq!(again.mails, *mails);
        }
        let mut other = keyed(letter(), "k2");
        other.once.as_mut().unwrap().fingerprint = [8; 32];
        let refused = way[1].send(other).await.map(drop).unwrap_err();
        assert!(matches!(refused, MailError::KeyReused), "{refused:?}");
    }
}

#[tokio::test]
async fn there_and_back_nothing_changes() {
    let (dir, server, tasks) = (TempDir::new().unwrap(), Server::start(), TaskGroup::default());
    let (embedded, streams) = (embedded(&dir, "a"), streams(&server, &tasks).await);
    let before = fill(&*embedded).await;
    let inbox = |place: Arc<dyn Place>| async move {
        place
            .inbox(&project("p"), &session("b"), Millis(0))
            .await
            .unwrap()
    };
    let shown = inbox(embedded.clone()).await;
    assert_eq!(carry(&*embedded, &*streams).await.unwrap(), before.len());
    assert_eq!(inbox(streams.clone()).await, shown);
    let newest = |place: Arc<dyn Place>, of: Option<&'static str>| async move {
        let of = of.map(project);
        place.newest(of.as_ref(), 3).await.unwrap()
    };
    let first = newest(streams.clone(), None).await;
    let mut by_time: Vec<Mail> = before.values().cloned().collect();
    by_time.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    assert_eq!(first, by_time[..3]);
    assert_eq!(newest(streams.clone(), Some("p")).await, first);
    assert_eq!(newest(streams.clone(), Some("q")).await, []);
    let thread = shown.last().unwrap().thread_id.clone();
    assert_eq!(streams.thread(&thread).await.unwrap().len(), 2);
    assert_eq!(carry(&*streams, &*embedded).await.unwrap(), before.len());
    assert_eq!(all(&*embedded).await, before);
    assert_eq!(inbox(embedded.clone()).await, shown);
    assert_eq!(newest(embedded.clone(), Some("p")).await, first);
    assert_eq!(newest(embedded.clone(), Some("q")).await, []);
    assert_eq!(
        carry(&*streams, &*embedded).await.unwrap(),
        0,
        "nothing is left to move"
    );
    let left: Vec<String> = server.ask(&["KEYS", "*"]);
    assert!(
        left.iter()
            .all(|key| !key.contains("moving") && !key.contains("received")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_home_that_waits_for_its_mail_says_so_and_opens_when_it_came() {
    let dir = TempDir::new().unwrap();
    let (old, new) = (embedded(&dir, "a"), embedded(&dir, "b"));
    let before = fill(&*old).await;
    let home = Home::closed(new).impatient();
    let refused = home.get(before.keys().next().unwrap()).await;
    assert!(
        matches!(refused, Err(MailError::Unavailable { .. })),
        "{refused:?}"
    );
    assert_eq!(home.take_in(&*old).await.unwrap(), before.len());
    assert!(home.get(before.keys().next().unwrap()).await.is_err(), "not yet");
    home.open().await.unwrap();
    assert_eq!(home.count().await.unwrap(), before.len() as u64);
    for (id, mail) in before {
        assert_eq!(home.get(&id).await.unwrap(), Some(mail));
    }
}

#[tokio::test]
async fn a_home_shows_nothing_of_a_move_that_was_broken_off() {
    let dir = TempDir::new().unwrap();
    let (old, new) = (embedded(&dir, "a"), embedded(&dir, "b"));
    let before = fill(&*old).await;
    let from = old.name().await.unwrap();
    new.receive(&from, before.values().take(3).cloned().collect())
        .await
        .unwrap();
    let home = Home::closed(new);
    home.open().await.unwrap();
    assert_eq!(home.page(None, 10).await.unwrap(), []);
    assert_eq!(home.take_in(&*old).await.unwrap(), before.len());
    assert_eq!(home.page(None, 100).await.unwrap().len(), before.len());
}

#[tokio::test]
async fn a_source_that_was_used_again_keeps_what_came_since() {
    let dir = TempDir::new().unwrap();
    let (old, new) = (embedded(&dir, "a"), embedded(&dir, "b"));
    let mut expected = fill(&*old).await;
    let from = old.name().await.unwrap();
    new.receive(&from, expected.values().cloned().collect())
        .await
        .unwrap();
    new.complete(&from).await.unwrap();
    // Interrupted here, and the old place used again for a while.
    let since = old.send(to(letter(), &["b"])).await.unwrap().mails[0].clone();
    expected.insert(since.id.clone(), (*since).clone());
    carry(&*old, &*new).await.unwrap();
    assert_eq!(all(&*new).await, expected);
    assert!(all(&*old).await.is_empty());
}
