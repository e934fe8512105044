//! Pairing, devices and the audit, as an operator on this machine asks for them.

use tokio::sync::{broadcast::error::RecvError, mpsc};

use crate::access::{ChangeError, CodeId, CodeWatch, Devices, Fate, Introduction, MintRefused, Minted, Pass};
use crate::control::protocol::{
    Problem, Warning,
    devices::{
        DeviceAct, DeviceActDone, DeviceCounts, DeviceList, DeviceRow, PairAsk, PairStep, PushOf, PushRow,
        RedeemAnswer, RedeemAsk,
    },
};
use crate::control::{DeviceDesk, Lines, Pending};
use crate::domain::{Caller, Device, DeviceId, Id, ProjectId, Scopes};
use crate::push::{Privacy, Shown};

use super::{Inner, Operator};

/// Steps of a pairing, or lines of the audit, on their way to one operator.
const QUEUE: usize = 64;

impl DeviceDesk for Operator {
    fn pair(&self, ask: PairAsk) -> Pending<'_, Result<mpsc::Receiver<PairStep>, Problem>> {
        Box::pin(async move {
            let pass = self.pass(&ask)?;
            let minted = self.devices().mint(pass, &Caller::Local).await;
            let minted = minted.map_err(|refused| no_code(&refused))?;
            // The first step is in the queue before anybody waits, so that it fits.
            let (steps, told) = mpsc::channel(QUEUE);
            let _fits = steps.try_send(self.code(&minted));
            if ask.wait {
                let watch = self.devices().watch_code(minted.id);
                tokio::spawn(self.clone().wait_for_device(minted, watch, steps));
            }
            Ok(told)
        })
    }

    fn redeem(&self, ask: RedeemAsk) -> Pending<'_, Result<RedeemAnswer, Problem>> {
        Box::pin(async move {
            let who = Introduction {
                name: ask.name,
                ..Introduction::default()
            };
            let now = self.inner.hub.app().now();
            let paired = self.devices().redeem(&ask.code, who, now).await;
            let paired = paired.map_err(|refused| Problem::new(refused.code(), refused.to_string()))?;
            Ok(RedeemAnswer {
                device: self.row(&paired.device),
                cookie: paired.cookie,
                token: paired.token,
            })
        })
    }

    fn cancel(&self, id: u64) -> Pending<'_, bool> {
        Box::pin(async move { self.devices().cancel(CodeId(id), &Caller::Local).await })
    }

    fn list(&self) -> DeviceList {
        let devices = self.devices();
        DeviceList {
            devices: devices.all().iter().map(|device| self.row(device)).collect(),
            live_codes: devices.live_codes(),
            locked_since: devices.locked().map(|since| since.0),
        }
    }

    fn change(&self, act: DeviceAct) -> Pending<'_, Result<DeviceActDone, Problem>> {
        Box::pin(async move {
            let done = self.carry_out(act).await;
            self.reloaded();
            done
        })
    }

    fn audit(&self, lines: usize, follow: bool) -> Pending<'_, Result<Lines, Problem>> {
        Box::pin(async move {
            let read = self.devices().audit().lines(lines).await;
            let mut read = read.map_err(|error| Problem::new("no_audit", error.to_string()))?;
            let stop = self.inner.hub.stopping().clone();
            let (tx, rx) = mpsc::channel(QUEUE);
            tokio::spawn(async move {
                for line in read.newest {
                    if tx.send(line).await.is_err() {
                        return;
                    }
                }
                if !follow {
                    return;
                }
                loop {
                    let line = tokio::select! {
                        () = stop.cancelled() => return,
                        () = tx.closed() => return,
                        line = read.following.recv() => line,
                    };
                    let sent = match line {
                        Ok(line) => tx.send(line.to_string()).await,
                        Err(RecvError::Lagged(missed)) => {
                            let told =
                                serde_json::json!({"missed": missed, "remedy": "read them again without -f"});
                            tx.send(told.to_string()).await
                        }
                        Err(RecvError::Closed) => return,
                    };
                    if sent.is_err() {
                        return;
                    }
                }
            });
            Ok(rx)
        })
    }
}

impl Operator {
    fn devices(&self) -> &Devices {
        self.inner.hub.devices()
    }

    /// Where the page that redeems this code is, if the hub can be reached from outside.
    fn page(&self, minted: &Minted) -> Option<String> {
        let public = self.inner.tunnel.public_url().borrow().clone()?;
        Some(format!("{}/pair/{}", public.origin(), minted.code.plain()))
    }

    fn code(&self, minted: &Minted) -> PairStep {
        PairStep::Code {
            id: minted.id.0,
            code: minted.code.to_string(),
            scopes: words(minted.pass.scopes),
            projects: minted.pass.projects.iter().map(ToString::to_string).collect(),
            expires_at: minted.expires_at.0,
            url: self.page(minted),
            url_may_come: self.inner.tunnel.learns_its_address(),
        }
    }

    fn pass(&self, ask: &PairAsk) -> Result<Pass, Problem> {
        let scopes = match ask.scopes.as_slice() {
            [] => Scopes::of_a_phone(),
            words => parsed(words)?,
        };
        let projects = ask.projects.iter().map(|project| self.project(project));
        Ok(Pass {
            name: ask.name.clone(),
            scopes,
            projects: projects.collect::<Result<_, _>>()?,
        })
    }

    /// A project that is there: one that is not would let the device see nothing, and nobody would know why.
    fn project(&self, text: &str) -> Result<ProjectId, Problem> {
        let known = self.inner.hub.app().view().projects();
        let id = Id::parse(text).ok();
        let id = id.filter(|id: &ProjectId| known.iter().any(|project| project.id == *id));
        id.ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|project| project.id.to_string()).collect();
            let remedy = match names.is_empty() {
                true => "there is no project yet".to_owned(),
                false => format!("known here: {}", names.join(", ")),
            };
            Problem::new("unknown_project", format!("there is no project `{text}`")).remedy(remedy)
        })
    }

    async fn wait_for_device(self, minted: Minted, mut watch: CodeWatch, steps: mpsc::Sender<PairStep>) {
        let stop = self.inner.hub.stopping().clone();
        let mut public = self.inner.tunnel.public_url();
        let mut page = self.page(&minted);
        let mut may_come = true;
        let fate = loop {
            tokio::select! {
                () = stop.cancelled() => return, // codes end with the daemon
                () = steps.closed() => {
                    self.devices().cancel(minted.id, &Caller::Local).await;
                    return;
                }
                fate = watch.end() => break fate,
                changed = public.changed(), if may_come => {
                    may_come = changed.is_ok();
                    let now = self.page(&minted);
                    if let Some(url) = now.clone().filter(|_| now != page)
                        && steps.send(PairStep::Url { url }).await.is_err()
                    {
                        continue; // the next turn takes the code back
                    }
                    page = now;
                }
            }
        };
        let _hung_up = steps.send(self.end(&fate)).await;
    }

    fn end(&self, fate: &Fate) -> PairStep {
        let ended = |how: &str, message: &str| PairStep::Ended {
            how: how.into(),
            message: message.into(),
        };
        match fate {
            Fate::Redeemed(id) => match self.devices().device(id) {
                Some(device) => PairStep::Paired {
                    device: self.row(&device),
                },
                None => ended("revoked", "the device was paired, and revoked already"),
            },
            Fate::Burned => ended(
                "burned",
                "the code was given up: too many wrong ones were tried, by somebody else perhaps",
            ),
            Fate::Withdrawn => ended("withdrawn", "the code was taken back"),
            Fate::Expired | Fate::Live => ended("expired", "the code is over: nobody used it in time"),
        }
    }

    async fn carry_out(&self, act: DeviceAct) -> Result<DeviceActDone, Problem> {
        let (devices, by) = (self.devices(), &Caller::Local);
        let one = |device: &Device, revoked| DeviceActDone {
            device: Some(self.row(device)),
            revoked,
            changed: true,
        };
        match act {
            DeviceAct::Revoke { device } => {
                let done = devices.revoke(&self.named(&device)?, by).await;
                done.map(|device| one(&device, 1))
            }
            DeviceAct::Rename { device, name } => {
                let done = devices.rename(&self.named(&device)?, &name, by).await;
                done.map(|device| one(&device, 0))
            }
            DeviceAct::Scopes { device, scopes } => {
                let (id, scopes) = (self.named(&device)?, parsed(&scopes)?);
                let done = devices.set_scopes(&id, scopes, by).await;
                done.map(|device| one(&device, 0))
            }
            DeviceAct::RevokeAll => devices.revoke_all(by).await.map(|revoked| DeviceActDone {
                revoked,
                changed: revoked > 0,
                device: None,
            }),
            DeviceAct::Lockdown => {
                let was = devices.locked().is_some();
                let done = devices.lockdown(by).await;
                done.map(|revoked| DeviceActDone {
                    revoked,
                    changed: !was,
                    device: None,
                })
            }
            DeviceAct::Lift => devices.lift(by).await.map(|changed| DeviceActDone {
                changed,
                ..DeviceActDone::default()
            }),
        }
        .map_err(|error| unchanged(&error))
    }

    fn row(&self, device: &Device) -> DeviceRow {
        row(device, self.inner.push_of(device))
    }

    fn named(&self, text: &str) -> Result<DeviceId, Problem> {
        let found = self.devices().find(text);
        found.map(|device| device.id.clone()).map_err(|unfound| {
            Problem::new("unknown_device", unfound.to_string())
                .remedy("`maestroctl devices` shows them; an id, a name, or the beginning of one will do")
        })
    }

    /// A device that is gone or changed shows in a watched status.
    pub(in crate::daemon) fn follow_devices(&self, group: &crate::shutdown::TaskGroup) {
        let operator = self.clone();
        let (mut changes, mut open) = (self.devices().changes(), self.devices().open());
        group.spawn("device news", move |stop| async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    // What was missed does not matter: the status is read afresh.
                    news = changes.recv() => match news {
                        Ok(_) | Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => return,
                    },
                    opened = open.changed() => if opened.is_err() {
                        return;
                    },
                }
                operator.reloaded();
            }
        });
    }
}

impl Inner {
    pub(super) fn device_counts(&self) -> DeviceCounts {
        let devices = self.hub.devices();
        DeviceCounts {
            paired: devices.all().len(),
            live_codes: devices.live_codes(),
            locked_since: devices.locked().map(|since| since.0),
            push: self.all_push(),
        }
    }

    fn push_of(&self, device: &Device) -> Option<PushRow> {
        self.hub.push()?.shown(&device.id).map(pushed)
    }

    fn all_push(&self) -> Vec<PushOf> {
        let devices = self.hub.devices().all();
        let each = devices.iter().filter_map(|device| {
            Some(PushOf {
                device: device.id.to_string(),
                name: device.name.clone(),
                push: self.push_of(device)?,
            })
        });
        each.collect()
    }

    /// What an operator should know about who comes from outside.
    pub(super) fn access_warnings(&self, warnings: &mut Vec<Warning>) {
        let devices = self.hub.devices();
        let mut warn = |code: &str, text: String, remedy: &str| {
            warnings.push(Warning {
                code: code.into(),
                text,
                remedy: Some(remedy.into()),
            });
        };
        if devices.locked().is_some() {
            warn(
                "lockdown",
                "locked down: nobody comes in from outside, and nobody can be paired".into(),
                "maestroctl lockdown --lift",
            );
        }
        if devices.burned().is_some() {
            warn(
                "codes_burned",
                "the pairing codes were given up: too many wrong ones were tried".into(),
                "make a new one: maestroctl pair; who it was: maestroctl audit",
            );
        }
        if self.hub.push().is_none() {
            warn(
                "push_broken",
                "phones are not notified: the key for it cannot be used".into(),
                "maestroctl logs hub; restore a backup of the store",
            );
        }
        for of in self.all_push() {
            if let Some(reason) = &of.push.stopped_reason {
                warn(
                    "push_stopped",
                    format!("{} gets no notifications any more: {reason}", of.name),
                    "open the page on it: it turns them on again",
                );
            }
        }
        if let Some(trouble) = devices.audit().trouble() {
            warn(
                "audit_trouble",
                format!("the audit cannot be written, so devices may do nothing: {trouble}"),
                "free some room or mend the disk; it is tried again by itself",
            );
        }
    }
}

fn row(device: &Device, push: Option<PushRow>) -> DeviceRow {
    DeviceRow {
        push,
        id: device.id.to_string(),
        name: device.name.clone(),
        scopes: words(device.scopes),
        projects: device.projects.iter().map(ToString::to_string).collect(),
        paired_at: device.paired_at.0,
        last_seen: device.last_seen.0,
    }
}

fn pushed(shown: Shown) -> PushRow {
    let (last_at, last) = shown.last.map(|last| (last.at.0, last)).unzip();
    let (stopped_since, stopped_reason) = shown.stopped.map(|end| (end.since.0, end.reason)).unzip();
    PushRow {
        service: shown.service,
        privacy: match shown.privacy {
            Privacy::Nothing => "nothing",
            Privacy::Names => "names",
            Privacy::Preview => "preview",
        }
        .to_owned(),
        since: shown.since.0,
        last_at,
        last_outcome: last.as_ref().map(|last| last.outcome.clone()),
        last_detail: last.and_then(|last| last.detail),
        stopped_since,
        stopped_reason,
    }
}

fn words(scopes: Scopes) -> Vec<String> {
    scopes.iter().map(|scope| scope.word().to_owned()).collect()
}

fn parsed(words: &[String]) -> Result<Scopes, Problem> {
    let scopes = Scopes::parse(&words.join(","));
    scopes.map_err(|error| Problem::new("unknown_scope", error.to_string()))
}

fn no_code(refused: &MintRefused) -> Problem {
    let (code, remedy) = match refused {
        MintRefused::LockedDown => ("locked_down", Some("maestroctl lockdown --lift")),
        MintRefused::TooManyCodes => (
            "too_many_codes",
            Some("use one of them, or wait: a code ends after ten minutes"),
        ),
        MintRefused::TooManyDevices => (
            "too_many_devices",
            Some("`maestroctl devices` shows them; revoke what is not used"),
        ),
        MintRefused::NoScope => ("no_scope", Some("--scopes view,answer,mail")),
        MintRefused::BadName => ("bad_name", None),
        MintRefused::Unaudited(_) => ("unaudited", None),
        MintRefused::NoRandomness(_) => ("no_randomness", None),
    };
    let problem = Problem::new(code, refused.to_string());
    match remedy {
        Some(remedy) => problem.remedy(remedy),
        None => problem,
    }
}

fn unchanged(error: &ChangeError) -> Problem {
    let code = match error {
        ChangeError::Gone => "unknown_device",
        ChangeError::NoScope => "no_scope",
        ChangeError::BadName => "bad_name",
        ChangeError::Unaudited(_) => "unaudited",
        ChangeError::Unwritten(_) => "unwritten",
    };
    let problem = Problem::new(code, error.to_string());
    match error {
        ChangeError::Unwritten(_) => {
            problem.remedy("nothing has changed; mend the disk (`maestroctl status`) and do it again")
        }
        _ => problem,
    }
}
