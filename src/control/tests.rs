//! Client and server over a real socket; the daemon behind it is a stand-in that says what the test wants.

use std::{os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::shutdown::TaskGroup;

use super::{
    Lines, Operations, Pending,
    client::{Client, ClientError},
    protocol::{ChildAct, LogSource, MailAsk, Problem, Progress, Status},
    server::{ControlError, ControlSocket},
};

struct StandIn {
    changes: watch::Sender<u64>,
}

fn lines(of: &'static [&'static str]) -> Lines {
    let (tx, rx) = mpsc::channel(of.len().max(1));
    for line in of {
        tx.try_send((*line).to_owned()).unwrap();
    }
    rx
}

impl Operations for StandIn {
    fn status(&self) -> Pending<'_, Status> {
        let seq = *self.changes.borrow();
        Box::pin(async move {
            let mut status = Status::default();
            status.daemon.state = "running".into();
            status.hub.seq = seq;
            status
        })
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
    fn config(&self) -> serde_json::Value {
        json!({"values": {}, "text": ""})
    }
    fn agents(&self) -> Pending<'_, serde_json::Value> {
        Box::pin(async { json!([]) })
    }
    fn mail(&self, ask: MailAsk) -> Pending<'_, Result<serde_json::Value, Problem>> {
        Box::pin(async move { Ok(json!(format!("{ask:?}"))) })
    }
    fn act(&self, child: String, _: ChildAct) -> Pending<'_, Result<(), Problem>> {
        Box::pin(async move {
            let no =
                Problem::new("unknown_child", format!("there is no child {child}")).remedy("redis or tunnel");
            if child == "redis" { Ok(()) } else { Err(no) }
        })
    }
    fn events(&self) -> Lines {
        lines(&["{\"event\":\"task:created\"}"])
    }
    fn logs(&self, source: LogSource, _: usize, _: bool) -> Result<Lines, Problem> {
        match source {
            LogSource::Hub => Ok(lines(&["one", "two"])),
            LogSource::Child(child) => Err(Problem::new("unknown_child", child)),
        }
    }
    fn reload(&self) -> Pending<'_, Result<serde_json::Value, Problem>> {
        Box::pin(async { Err(Problem::new("bad_config", "line 3: `prot` is no key")) })
    }
    fn stop(&self) {}
    fn import(&self, _: PathBuf) -> mpsc::Receiver<Progress> {
        let (tx, rx) = mpsc::channel(4);
        tx.try_send(Progress::Working {
            what: "tasks".into(),
            done: 1,
            total: Some(2),
        })
        .unwrap();
        tx.try_send(Progress::Done {
            report: json!({"tasks": 2}),
        })
        .unwrap();
        rx
    }
    fn export(&self, dir: PathBuf) -> mpsc::Receiver<Progress> {
        self.import(dir)
    }
    fn backup(&self, file: PathBuf) -> mpsc::Receiver<Progress> {
        self.import(file)
    }
}

struct Desk {
    path: PathBuf,
    changes: watch::Sender<u64>,
    group: TaskGroup,
    _dir: tempfile::TempDir,
}

async fn open() -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run").join("maestrod.sock");
    let changes = watch::Sender::new(7);
    let group = TaskGroup::default();
    let socket = ControlSocket::bind(&path).await.unwrap();
    socket.serve(
        Arc::new(StandIn {
            changes: changes.clone(),
        }),
        &group,
    );
    Desk {
        path,
        changes,
        group,
        _dir: dir,
    }
}

#[tokio::test]
async fn an_operator_asks_and_is_answered() {
    let desk = open().await;
    let mut client = Client::connect(&desk.path).await.unwrap();
    assert_eq!(client.status().await.unwrap().hub.seq, 7);
    client.act("redis", ChildAct::Restart).await.unwrap();
    let refused = client.act("moon/../x", ChildAct::Stop).await.unwrap_err();
    let ClientError::Refused(problem) = refused else {
        panic!("{refused}")
    };
    assert_eq!(problem.message, "there is no child moon/../x");
    assert_eq!(problem.remedy.as_deref(), Some("redis or tunnel"));
    let reload = client.post::<serde_json::Value>("/v1/reload").await.unwrap_err();
    assert!(reload.to_string().contains("line 3"), "{reload}");
}

#[tokio::test]
async fn logs_come_line_by_line_and_long_work_tells_how_far_it_is() {
    let desk = open().await;
    let mut client = Client::connect(&desk.path).await.unwrap();
    let mut log = client.lines("/v1/logs/hub?lines=5").await.unwrap();
    assert_eq!(log.next().await.unwrap().as_deref(), Some("one"));
    assert_eq!(log.next().await.unwrap().as_deref(), Some("two"));
    assert_eq!(log.next().await.unwrap(), None);
    let mut client = Client::connect(&desk.path).await.unwrap();
    let mut steps = client.long("import", &PathBuf::from("/x")).await.unwrap();
    assert!(matches!(
        steps.step().await.unwrap(),
        Some(Progress::Working { done: 1, .. })
    ));
    assert_eq!(
        steps.step().await.unwrap(),
        Some(Progress::Done {
            report: json!({"tasks": 2})
        })
    );
}

#[tokio::test]
async fn a_watched_status_is_said_again_when_something_changes_and_ends_with_the_daemon() {
    let desk = open().await;
    let mut client = Client::connect(&desk.path).await.unwrap();
    let mut watch = client.lines("/v1/status/watch").await.unwrap();
    let seq = |line: Option<String>| serde_json::from_str::<Status>(&line.unwrap()).unwrap().hub.seq;
    assert_eq!(seq(watch.next().await.unwrap()), 7);
    desk.changes.send_replace(8);
    while seq(watch.next().await.unwrap()) != 8 {}
    assert!(
        desk.group.close(Duration::from_secs(5)).await,
        "a watcher kept the daemon from stopping"
    );
    while let Ok(Some(_)) = watch.next().await {}
    let gone = Client::connect(&desk.path).await.err().unwrap();
    assert!(matches!(gone, ClientError::NotRunning), "{gone}");
    assert!(!desk.path.exists());
}

#[tokio::test]
async fn the_socket_is_ours_alone_and_a_stale_file_is_replaced_but_a_live_one_is_not() {
    let desk = open().await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&desk.path), 0o600);
    assert_eq!(mode(desk.path.parent().unwrap()), 0o700);
    assert!(matches!(
        ControlSocket::bind(&desk.path).await,
        Err(ControlError::Taken(_))
    ));
    let stale = desk.path.with_file_name("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    drop(ControlSocket::bind(&stale).await.unwrap());
    assert!(!stale.exists());
    std::fs::write(&stale, "not a socket").unwrap();
    assert!(matches!(
        ControlSocket::bind(&stale).await,
        Err(ControlError::Io { .. })
    ));
}
