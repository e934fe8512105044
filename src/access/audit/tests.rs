use std::os::unix::fs::PermissionsExt;

use super::*;

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Millis {
        Millis(1)
    }
}

fn open(dir: &Path) -> Audit {
    Audit::open(dir, Size::default(), Arc::new(StoppedClock)).unwrap()
}

fn entry(action: Action) -> Entry {
    Entry::new(action, Millis(1))
}

fn file(dir: &Path) -> String {
    fs::read_to_string(dir.join(FILE)).unwrap_or_default()
}

#[tokio::test]
async fn what_was_recorded_is_in_the_file_when_it_is_answered_and_the_file_is_ours_alone() {
    let dir = tempfile::tempdir().unwrap();
    let audit = open(dir.path());
    audit.record(entry(Action::Pair)).await.unwrap();
    let text = file(dir.path());
    assert!(
        text.contains(r#""action":"pair""#) && text.ends_with("}\n"),
        "{text}"
    );
    let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_follower_gets_the_newest_and_all_that_comes_without_gap_or_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let audit = open(dir.path());
    let writing = {
        let audit = audit.clone();
        tokio::spawn(async move {
            for n in 0..200 {
                let entry = entry(Action::View).note(&n.to_string());
                audit.record(entry).await.unwrap();
            }
        })
    };
    let mut followed = audit.lines(1000).await.unwrap();
    let mut seen = followed.newest;
    while seen.len() < 200 {
        seen.push(followed.following.recv().await.unwrap().to_string());
    }
    writing.await.unwrap();
    let notes: Vec<usize> = seen
        .iter()
        .map(|line| serde_json::from_str::<Entry>(line).unwrap())
        .filter_map(|entry| entry.note?.parse().ok())
        .collect();
    assert_eq!(notes, (0..200).collect::<Vec<_>>());
    assert_eq!(audit.lines(3).await.unwrap().newest.len(), 3);
}

#[tokio::test]
async fn a_burst_of_refusals_is_two_lines_once_the_audit_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let audit = open(dir.path());
    for _ in 0..300 {
        audit.refused(entry(Action::Authenticate).refused("unknown_device"));
    }
    audit.close().await;
    let text = file(dir.path());
    let lines: Vec<Entry> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((lines.len(), lines[1].times), (2, Some(299)));
    assert_eq!(audit.record(entry(Action::Pair)).await, Err(AuditError::Closed));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_refuses_says_so_and_mends_itself() {
    let dir = tempfile::tempdir().unwrap();
    // A folder in its place: not even root can write lines into that.
    fs::create_dir(dir.path().join(FILE)).unwrap();
    let audit = open(dir.path());
    assert!(audit.trouble().is_some() && audit.check().is_err());
    let refused = audit.record(entry(Action::Answer)).await;
    assert!(matches!(refused, Err(AuditError::Unwritable(_))), "{refused:?}");
    fs::remove_dir(dir.path().join(FILE)).unwrap();
    let mended = async {
        while audit.check().is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), mended).await;
    waited.expect("it mends itself");
    audit.record(entry(Action::Answer)).await.unwrap();
    let text = file(dir.path());
    assert!(
        text.contains(r#""action":"gap""#) && text.contains(r#""action":"answer""#),
        "{text}"
    );
}

#[tokio::test]
async fn a_hub_without_an_audit_lets_nothing_pass() {
    let audit = Audit::default();
    assert_eq!(audit.check(), Err(AuditError::Absent));
    assert_eq!(audit.record(entry(Action::Pair)).await, Err(AuditError::Absent));
}
