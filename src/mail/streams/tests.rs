//! The streams against a real server, in good days and bad. What every mailbox does is in the suite.

use std::{sync::Arc, time::Duration};

use nix::sys::signal::Signal;

use crate::domain::{Mail, MailId, Millis};
use crate::mail::{
    StreamMailbox,
    suite::{Hand, Scene, letter, project, sending, session, to},
};
use crate::ports::{MailArchive, MailError, Mailbox};
use crate::redis_link::{
    RedisLink, Timings,
    testbed::{self, PATIENCE, Server},
};
use crate::shutdown::TaskGroup;

const PREFIX: &str = "maestro:mail:";

pub(super) struct Stage {
    pub mailbox: StreamMailbox,
    pub clock: Arc<Hand>,
    pub link: RedisLink,
    pub server: Server,
    _tasks: TaskGroup,
}

impl Stage {
    pub async fn inbox(&self, owner: &str) -> Vec<Mail> {
        self.mailbox
            .inbox(&project("p"), &session(owner), Millis(0))
            .await
            .unwrap()
    }

    async fn until_down(&self) {
        let mut state = self.link.watch();
        let down = state.wait_for(|state| state.up().is_none());
        tokio::time::timeout(PATIENCE, down).await.unwrap().unwrap();
    }

    async fn until_up(&self) {
        self.link.until_up(PATIENCE).await.unwrap();
    }

    /// Another hub at the same server.
    async fn neighbour(&self) -> StreamMailbox {
        let link = RedisLink::open(self.server.settings(), &self._tasks);
        link.until_up(PATIENCE).await.unwrap();
        StreamMailbox::new(link, PREFIX, self.clock.clone())
    }

    fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.server.ask(&["KEYS", "*"]);
        keys.sort();
        keys
    }
}

/// Without patience: what the server does not answer at once has failed.
pub(super) fn quick() -> Timings {
    let mut timings = testbed::quick();
    timings.command = Duration::from_millis(200);
    timings
}

pub(super) async fn stage(timings: Timings) -> Stage {
    on(Server::start(), timings).await
}

async fn on(server: Server, timings: Timings) -> Stage {
    let (clock, tasks) = (Arc::new(Hand::default()), TaskGroup::default());
    let link = RedisLink::open(server.settings().timings(timings), &tasks);
    link.until_up(PATIENCE).await.unwrap();
    Stage {
        mailbox: StreamMailbox::new(link.clone(), PREFIX, clock.clone()),
        clock,
        link,
        server,
        _tasks: tasks,
    }
}

/// For the suite: with all the patience there is.
async fn scene() -> Scene {
    let mut timings = testbed::quick();
    timings.command = PATIENCE;
    let stage = stage(timings).await;
    Scene {
        mailbox: Arc::new(stage.mailbox.clone()),
        clock: stage.clock.clone(),
        _ground: Box::new(stage),
    }
}

crate::mail::suite::behaves_as_a_mailbox!(scene);

#[track_caller]
fn assert_unavailable<T>(result: Result<T, MailError>) {
    match result {
        Err(MailError::Unavailable { retry_after_s, .. }) => assert!(retry_after_s > 0),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it should not be available"),
    }
}

#[tokio::test]
async fn while_redis_is_down_nothing_is_available_and_nothing_is_written() {
    let mut stage = stage(quick()).await;
    let mail = stage.mailbox.send(to(letter(), &["b"])).await.unwrap().mails[0].clone();
    let before = stage.keys();
    stage.server.kill();
    stage.until_down().await;
    let refused = stage.mailbox.send(to(letter(), &["b", "c"])).await;
    let told = refused
        .as_ref()
        .err()
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(!told.contains("may have"), "it has not: {told}");
    assert_unavailable(refused);
    assert_unavailable(stage.mailbox.get(&mail.id).await);
    assert_unavailable(stage.mailbox.inbox(&project("p"), &session("b"), Millis(0)).await);
    assert_unavailable(stage.mailbox.thread(&mail.id).await);
    assert_unavailable(stage.mailbox.delete(&mail.id).await);
    stage.server.restart();
    stage.until_up().await;
    assert_eq!(stage.keys(), before);
    assert_eq!(stage.inbox("b").await, [(*mail).clone()]);
}

#[tokio::test]
async fn a_sending_to_a_server_that_hangs_fails_and_is_not_carried_out_when_it_wakes() {
    let mut stage = stage(quick()).await;
    Arc::get_mut(&mut stage.mailbox.shared).unwrap().patience = Duration::from_millis(500);
    stage.mailbox.send(to(letter(), &["b"])).await.unwrap();
    stage.server.signal(Signal::SIGSTOP);
    let refused = stage.mailbox.send(to(letter(), &["b"])).await;
    // Nobody saw what became of it, and that is said: it may as well have been killed after it took the mail.
    let told = refused
        .as_ref()
        .err()
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(told.contains("it may have taken the mail"), "{told}");
    assert_unavailable(refused);
    stage.server.signal(Signal::SIGCONT);
    stage.until_down().await; // it was silent for a while
    stage.until_up().await;
    assert_eq!(stage.inbox("b").await.len(), 1);
}

#[tokio::test]
async fn a_sending_that_is_cut_off_is_carried_out_once_by_the_server_that_comes_back() {
    let mut stage = stage(quick()).await;
    Arc::get_mut(&mut stage.mailbox.shared).unwrap().patience = PATIENCE;
    stage.mailbox.send(to(letter(), &["b"])).await.unwrap();
    stage.server.signal(Signal::SIGSTOP); // so that it cannot answer before it is killed
    let cut_off = tokio::spawn({
        let mailbox = stage.mailbox.clone();
        async move { mailbox.send(to(letter(), &["b"])).await }
    });
    stage.until_down().await; // the sending made itself missed
    stage.server.restart();
    let sent = cut_off.await.unwrap().unwrap();
    let inbox = stage.inbox("b").await;
    assert_eq!(inbox.len(), 2);
    assert_eq!(inbox[1], *sent.mails[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_kills_under_load_and_is_there_once() {
    let mut timings = testbed::quick();
    (timings.command, timings.probe) = (Duration::from_secs(5), Duration::from_secs(5)); // a busy disk is no trouble
    let mut stage = stage(timings).await;
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        stage.until_up().await;
        let senders: Vec<_> = (0..8)
            .map(|_| {
                let mailbox = stage.mailbox.clone();
                tokio::spawn(async move {
                    let mut sent = Vec::new();
                    for _ in 0..60 {
                        match mailbox.send(sending(letter(), &[Some("b"), None])).await {
                            Ok(done) => sent.extend(done.mails.iter().map(|mail| mail.id.clone())),
                            Err(MailError::Unavailable { .. }) => {}
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                    sent
                })
            })
            .collect();
        while stage.inbox("b").await.len() < 40 * (round + 1) {
            tokio::task::yield_now().await;
        }
        stage.server.restart(); // kill -9
        for sender in senders {
            acknowledged.extend(sender.await.unwrap());
        }
    }
    stage.until_up().await;
    let inbox = stage.inbox("b").await;
    let mut found: Vec<MailId> = inbox.iter().map(|mail| mail.id.clone()).collect();
    found.sort();
    let all = found.len();
    found.dedup();
    assert_eq!(found.len(), all, "twice");
    acknowledged.sort();
    let lost = acknowledged
        .iter()
        .filter(|id| found.binary_search(id).is_err())
        .count();
    assert_eq!(lost, 0, "of {} acknowledged mails", acknowledged.len());
    let own = inbox.iter().filter(|mail| mail.to_session_id.is_some()).count();
    assert_eq!(own * 2, all, "each sending is whole");
}

#[tokio::test]
async fn a_server_without_memory_takes_no_mail_but_shows_and_deletes_what_is_there() {
    let stage = stage(quick()).await;
    let mail = stage.mailbox.send(to(letter(), &["b"])).await.unwrap().mails[0].clone();
    let before = stage.keys();
    let _: () = stage.server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_unavailable(stage.mailbox.send(to(letter(), &["b", "c"])).await);
    assert_eq!(stage.keys(), before, "nothing half-written");
    assert_eq!(stage.inbox("b").await, [(*mail).clone()]);
    assert_eq!(
        stage.mailbox.delete(&mail.id).await.unwrap(),
        Some((*mail).clone())
    );
    assert_eq!(stage.inbox("b").await, []);
}

#[tokio::test]
async fn a_read_only_server_takes_no_mail() {
    let stage = stage(quick()).await;
    let _: () = stage.server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_unavailable(stage.mailbox.send(to(letter(), &["b"])).await);
    assert_eq!(stage.inbox("b").await, []);
}

#[tokio::test]
async fn what_others_deleted_or_trimmed_is_passed_over() {
    let stage = stage(quick()).await;
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.push(stage.mailbox.send(to(letter(), &["b"])).await.unwrap().mails[0].clone());
    }
    let _: () = stage.server.ask(&["DEL", &format!("{PREFIX}{}", sent[3].id)]);
    let _: () = stage
        .server
        .ask(&["XTRIM", &format!("{PREFIX}inbox:b"), "MAXLEN", "3"]);
    let _: () = stage
        .server
        .ask(&["XADD", &format!("{PREFIX}inbox:b"), "*", "what", "ever"]);
    assert_eq!(stage.inbox("b").await, [(*sent[2]).clone(), (*sent[4]).clone()]);
    assert_eq!(
        stage.mailbox.get(&sent[0].id).await.unwrap(),
        Some((*sent[0]).clone())
    );
    assert_eq!(
        stage.mailbox.delete(&sent[0].id).await.unwrap(),
        Some((*sent[0]).clone())
    );
    assert_eq!(stage.mailbox.delete(&sent[3].id).await.unwrap(), None);
    let page = stage.mailbox.page(None, 10).await.unwrap();
    assert_eq!(page.len(), 3);
    let next = stage.mailbox.send(to(letter(), &["b"])).await.unwrap().mails[0].clone();
    assert_eq!(stage.inbox("b").await.last(), Some(&*next));
}

#[tokio::test]
async fn a_deleted_mail_leaves_no_key_of_its_own() {
    let stage = stage(quick()).await;
    let first = stage.mailbox.send(to(letter(), &["b"])).await.unwrap().mails[0].clone();
    let reply = crate::domain::Letter {
        reply_to_mail_id: Some(first.id.clone()),
        ..letter()
    };
    let reply = stage.mailbox.send(sending(reply, &[None])).await.unwrap().mails[0].clone();
    for mail in [first, reply] {
        stage.mailbox.delete(&mail.id).await.unwrap();
    }
    // Empty streams stay: they remember their newest time.
    let names = ["broadcast:p", "clock", "inbox:b"].map(|name| format!("{PREFIX}{name}"));
    assert_eq!(stage.keys(), names);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hubs_share_one_order() {
    let stage = stage(testbed::quick()).await;
    let other = stage.neighbour().await;
    let sends = (0..200).map(|n| match n % 2 {
        0 => stage.mailbox.send(to(letter(), &["b"])),
        _ => other.send(sending(letter(), &[None])),
    });
    futures_util::future::try_join_all(sends).await.unwrap();
    let inbox = stage.inbox("b").await;
    assert_eq!(inbox.len(), 200);
    assert!(
        inbox
            .windows(2)
            .all(|pair| pair[0].created_at < pair[1].created_at)
    );
    assert!(inbox.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert_eq!(
        other
            .inbox(&project("p"), &session("b"), Millis(0))
            .await
            .unwrap(),
        inbox
    );
}

#[tokio::test]
async fn mail_from_elsewhere_finds_its_place_among_the_others() {
    let stage = stage(quick()).await;
    let made = |n: i64, at: i64, to: Option<&str>| {
        let id = MailId::parse(&format!("old_{n}")).unwrap();
        letter().seal(id, Millis(at), to.map(session), None)
    };
    let new = stage.mailbox.send(to(letter(), &["b"])).await.unwrap().mails[0].clone();
    let batch = vec![
        made(3, 300, Some("b")),
        made(1, 100, Some("b")),
        made(2, 100, None),
        made(5, 300, Some("b")),
        made(4, 0, Some("b")),
    ];
    assert_eq!(stage.mailbox.put(batch.clone()).await.unwrap(), 5);
    assert_eq!(stage.mailbox.put(batch[..2].to_vec()).await.unwrap(), 0);
    assert_eq!(stage.mailbox.put(vec![made(6, 200, Some("b"))]).await.unwrap(), 1);
    let ids: Vec<String> = stage
        .inbox("b")
        .await
        .into_iter()
        .map(|mail| mail.id.to_string())
        .collect();
    assert_eq!(
        ids[..6],
        ["old_1", "old_2", "old_6", "old_3", "old_5", new.id.as_str()].map(String::from)[..]
    );
    assert_eq!(
        ids.len(),
        6,
        "what has no time at all is not after the beginning of time"
    );
    let own = stage.mailbox.get(&MailId::parse("old_4").unwrap()).await.unwrap();
    assert_eq!(own, Some(made(4, 0, Some("b"))));
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = stage.mailbox.page(after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        seen.extend(page.into_iter().map(|mail| mail.id));
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted());
    for n in 1..=6 {
        let id = MailId::parse(&format!("old_{n}")).unwrap();
        assert!(stage.mailbox.delete(&id).await.unwrap().is_some());
    }
    assert_eq!(stage.inbox("b").await, [(*new).clone()]);
}

#[tokio::test]
async fn a_mail_takes_about_a_kilobyte() {
    let stage = stage(testbed::quick()).await;
    let used = || -> u64 {
        let info: String = stage.server.ask(&["INFO", "memory"]);
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        used.unwrap().trim().parse().unwrap()
    };
    let text = "The port is taken by another program; shall I take the next free one, or wait? ".repeat(3);
    let body = serde_json::Map::from_iter([("text".to_owned(), text.into())]);
    let letter = crate::domain::Letter { body, ..letter() };
    let before = used();
    const MAILS: u64 = 5000;
    for n in 0..MAILS / 50 {
        let names: Vec<String> = (0..50)
            .map(|k| format!("sess_1700000000000_{:09}", (n * 50 + k) % 100))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        stage.mailbox.send(to(letter.clone(), &names)).await.unwrap();
    }
    let each = (used() - before) / MAILS;
    let bare = serde_json::to_string(&letter).unwrap().len();
    eprintln!("{each} bytes a mail in redis, of which its letter is {bare}");
    assert!(each < 1500, "{each} bytes a mail");
}
