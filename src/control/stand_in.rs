//! A daemon that has little to say and says it at once: what the tests and the fuzzers ask.

#![allow(clippy::unwrap_used)] // there is room for the few lines it says

use std::path::PathBuf;

use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::{
    DeviceDesk, Lines, Operations, Pending,
    protocol::{
        ChildAct, LogSource, MailAsk, Problem, Progress, Status, TunnelReport,
        devices::{DeviceAct, DeviceActDone, DeviceList, PairAsk, PairStep, RedeemAnswer, RedeemAsk},
    },
    server::MOST_LINES,
};

/// The daemon.
pub(super) struct StandIn {
    /// The number that its status shows.
    pub changes: watch::Sender<u64>,
    /// False: nothing will ever change, and whoever watches ends after the first look.
    pub lasting: bool,
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
        match self.lasting {
            true => self.changes.subscribe(),
            false => watch::channel(0).1,
        }
    }
    fn config(&self) -> serde_json::Value {
        json!({"values": {}, "text": ""})
    }
    fn metrics(&self) -> Pending<'_, String> {
        Box::pin(async { "maestro_ready 1\n".to_owned() })
    }
    fn agents(&self) -> Pending<'_, serde_json::Value> {
        Box::pin(async { json!([]) })
    }
    fn device_desk(&self) -> &dyn DeviceDesk {
        self
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
    fn logs(&self, source: LogSource, most: usize, _: bool) -> Result<Lines, Problem> {
        assert!(most <= MOST_LINES, "{most} lines at once");
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
