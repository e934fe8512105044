//! Client and server over a real socket; the daemon behind it is a stand-in that says what the test wants.

use std::{os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::private_socket::SocketError;
use crate::shutdown::TaskGroup;

use super::{
    DeviceDesk, Lines, Operations, Pending,
    client::{Client, ClientError},
    protocol::{
        ChildAct, LogSource, Problem, Progress, Status, TunnelReport,
        devices::{
            CodeRef, DeviceAct, DeviceActDone, DeviceList, PairAsk, PairStep, RedeemAnswer, RedeemAsk,
        },
    },
    server::ControlSocket,
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

impl DeviceDesk for StandIn {
    fn pair(&self, ask: PairAsk) -> Pending<'_, Result<mpsc::Receiver<PairStep>, Problem>> {
        let (tx, rx) = mpsc::channel(4);
        tx.try_send(PairStep::Ended {
            how: "expired".into(),
            message: ask.scopes.join(","),
        })
        .unwrap();
        Box::pin(async move { Ok(rx) })
    }
    fn redeem(&self, _: RedeemAsk) -> Pending<'_, Result<RedeemAnswer, Problem>> {
        Box::pin(async { Err(Problem::new("wrong_code", "no")) })
    }
    fn cancel(&self, id: u64) -> Pending<'_, bool> {
        Box::pin(async move { id == 7 })
    }
    fn list(&self) -> DeviceList {
        DeviceList {
            live_codes: 2,
            ..DeviceList::default()
        }
    }
    fn change(&self, act: DeviceAct) -> Pending<'_, Result<DeviceActDone, Problem>> {
        Box::pin(async move {
            match act {
                DeviceAct::Revoke { device } => Err(Problem::new("unknown_device", device)),
                _ => Ok(DeviceActDone {
                    revoked: 3,
                    ..DeviceActDone::default()
                }),
            }
        })
    }
    fn audit(&self, _: usize, _: bool) -> Pending<'_, Result<Lines, Problem>> {
        Box::pin(async { Ok(lines(&["{}"])) })
    }
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
    fn device_desk(&self) -> &dyn DeviceDesk {
        self
    }
    fn act(&self, child: String, _: ChildAct) -> Pending<'_, Result<(), Problem>> {
        Box::pin(async move {
            let no =
                Problem::new("unknown_child", format!("there is no child {child}")).remedy("redis or tunnel");
            if child == "redis" { Ok(()) } else { Err(no) }
        })
    }
    fn tunnel(&self, check: bool) -> Pending<'_, Result<TunnelReport, Problem>> {
        Box::pin(async move {
            let report = TunnelReport {
                mode: "quick".into(),
                trial: true,
                ..TunnelReport::default()
            };
            if check {
                Err(Problem::new("no_address", "no public address is known yet"))
            } else {
                Ok(report)
            }
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
async fn the_way_in_is_reported_and_a_check_that_cannot_be_made_says_why() {
    let desk = open().await;
    let mut client = Client::connect(&desk.path).await.unwrap();
    assert!(client.tunnel(false).await.unwrap().trial);
    let refused = client.tunnel(true).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused(problem) if problem.code == "no_address"));
    desk.group.close(Duration::from_secs(5)).await;
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
async fn devices_are_asked_for_and_changed_with_what_is_to_be_done_in_the_body() {
    let desk = open().await;
    let mut client = Client::connect(&desk.path).await.unwrap();
    assert_eq!(
        client.get::<DeviceList>("/v1/devices").await.unwrap().live_codes,
        2
    );
    let all: DeviceActDone = client
        .post_json("/v1/devices", &DeviceAct::RevokeAll)
        .await
        .unwrap();
    assert_eq!(all.revoked, 3);
    let one = DeviceAct::Revoke {
        device: "moon".into(),
    };
    let refused = client.post_json::<DeviceActDone>("/v1/devices", &one).await;
    assert_eq!(refused.unwrap_err().to_string(), "moon");
    let code = CodeRef { id: 7 };
    let taken: serde_json::Value = client.post_json("/v1/pairing/cancel", &code).await.unwrap();
    assert_eq!(taken, json!({"ok": true}));
    let ask = PairAsk {
        scopes: vec!["view".into(), "mail".into()],
        ..PairAsk::default()
    };
    let mut steps = client.post_lines("/v1/pairing", &ask).await.unwrap();
    let PairStep::Ended { message, .. } = steps.next_json().await.unwrap().unwrap() else {
        panic!("it says what it was asked")
    };
    assert_eq!(message, "view,mail");
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
async fn the_socket_is_ours_alone_and_a_live_one_is_not_replaced() {
    let desk = open().await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&desk.path), 0o600);
    assert_eq!(mode(desk.path.parent().unwrap()), 0o700);
    assert!(matches!(
        ControlSocket::bind(&desk.path).await,
        Err(SocketError::Taken(_))
    ));
}
