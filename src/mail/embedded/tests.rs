//! The embedded mailbox alone; what every mailbox does is in the suite.

use tempfile::TempDir;

use super::*;
use crate::mail::suite::{Hand, Scene, letter, project, session, to};

async fn scene() -> Scene {
    let (dir, clock) = (TempDir::new().unwrap(), Arc::new(Hand::default()));
    let db = Database::open(&dir.path().join("maestro.db"), &[CHAPTER]).unwrap();
    let mailbox = Arc::new(EmbeddedMailbox::new(db, clock.clone()));
    Scene {
        mailbox,
        clock,
        _ground: Box::new(dir),
    }
}

crate::mail::suite::behaves_as_a_mailbox!(scene);

#[tokio::test]
async fn mail_is_there_after_the_file_was_opened_again_and_time_goes_on() {
    let (dir, clock) = (TempDir::new().unwrap(), Arc::new(Hand::default()));
    let path = dir.path().join("maestro.db");
    let mut sent = Vec::new();
    for _ in 0..3 {
        let db = Database::open(&path, &[CHAPTER]).unwrap();
        let mailbox = EmbeddedMailbox::new(db.clone(), clock.clone());
        sent.push(mailbox.send(to(letter(), &["b"])).await.unwrap().mails[0].clone());
        db.close();
        clock.turn_back(3_600_000);
    }
    let db = Database::open(&path, &[CHAPTER]).unwrap();
    let mailbox = EmbeddedMailbox::new(db, clock);
    let inbox = mailbox
        .inbox(&project("p"), &session("b"), Millis(0))
        .await
        .unwrap();
    assert_eq!(
        inbox,
        sent.iter().map(|mail| (**mail).clone()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn after_the_database_is_closed_mail_is_not_available_for_a_while() {
    let scene = scene().await;
    let dir = TempDir::new().unwrap();
    let db = Database::open(&dir.path().join("maestro.db"), &[CHAPTER]).unwrap();
    let mailbox = EmbeddedMailbox::new(db.clone(), scene.clock.clone());
    db.close();
    for error in [
        mailbox.send(to(letter(), &["b"])).await.map(drop).unwrap_err(),
        mailbox
            .thread(&MailId::parse("m").unwrap())
            .await
            .map(drop)
            .unwrap_err(),
    ] {
        assert!(matches!(error, MailError::Unavailable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn an_inbox_is_found_by_its_index_whatever_else_lies_there() {
    let dir = TempDir::new().unwrap();
    let db = Database::open(&dir.path().join("maestro.db"), &[CHAPTER]).unwrap();
    let plan = db
        .read(|db| {
            let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {INBOX}"))?;
            let rows = statement.query_map(("p", "b", 0), |row| row.get::<_, String>(3))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })
        .await
        .unwrap();
    let plan = plan.join("; ");
    assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
    let seek = "USING INDEX mail_inbox (project=? AND recipient=? AND created_at>?)";
    assert_eq!(plan.matches(seek).count(), 2, "{plan}");
}
