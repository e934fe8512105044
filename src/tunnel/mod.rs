//! The way in from outside: which one there is to be, whether it is wanted, its public address, and whether that address
//! really leads to us.
//!
//! It is shut while nobody could come in rightfully (`wanted`), and while an operator wants it shut. Deliberately not here:
//! who may come in, and what the ingress socket answers.

mod check;
mod plan;
mod seen;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::{Mutex, broadcast, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::access::{PublicUrl, nonce::Prover};
use crate::children::{self, Cloudflared, TunnelKind, TunnelParams, cloudflared};
use crate::config::{Config, Program};
use crate::shutdown::TaskGroup;
use crate::supervisor::{ChildSpec, Grouping, Handle, Transition, is_orphaned, supervise};

pub use self::{
    check::Verdict,
    plan::{Plan, plan},
    seen::{Checked, Seen, Standing},
};

/// How often the public address is asked while phones are connected, or while it led astray.
pub const CHECK_EVERY: Duration = Duration::from_secs(60);

/// Counts connected phones.
pub type Phones = Arc<dyn Fn() -> usize + Send + Sync>;

/// What a tunnel needs of the rest.
pub struct Parts {
    /// Could anybody come in rightfully: a paired device, or a live code?
    pub wanted: watch::Receiver<bool>,
    /// How many phones are connected.
    pub phones: Phones,
    /// Proves on the ingress that it is us.
    pub prover: Prover,
    /// The unix socket that strangers come in by.
    pub ingress: PathBuf,
    /// Whose process group the child joins.
    pub grouping: Grouping,
    /// How often the public address is asked, when it is: [`CHECK_EVERY`].
    pub check_every: Duration,
}

/// An operator's wish that cannot be granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The configuration has none to run.
    #[error("there is no tunnel to start or stop: {0}")]
    NoChild(String),
    /// Nobody could come in rightfully.
    #[error("the tunnel stays closed: nobody is paired")]
    NobodyPaired,
    /// No public address is known.
    #[error("no public address is known yet")]
    NoAddress,
    /// The daemon is stopping.
    #[error("maestrod is stopping")]
    Stopping,
}

/// What an operator may want of the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It shall run, as far as anybody may come in.
    Start,
    /// It shall not, whoever is paired.
    Stop,
    /// It shall run afresh.
    Restart,
}

/// The way in. Clones share it.
#[derive(Clone)]
pub struct Tunnel {
    inner: Arc<Inner>,
}

struct Inner {
    mode: &'static str,
    plan: Plan,
    ingress: PathBuf,
    prover: Prover,
    child: Option<Kept>,
    wanted: watch::Receiver<bool>,
    /// An operator wants it shut.
    held: watch::Sender<bool>,
    public: watch::Sender<Option<PublicUrl>>,
    checked: watch::Sender<Option<Checked>>,
    /// One question at a time.
    asking: Mutex<()>,
}

/// The child, if we keep one.
struct Kept {
    handle: Handle,
    program: Arc<Cloudflared>,
}

impl Tunnel {
    /// Takes up what `config` asks for. The child lives in `children`, what looks after it in `background`.
    pub async fn start(
        config: &Config,
        parts: Parts,
        children: &TaskGroup,
        background: &TaskGroup,
        transitions: broadcast::Sender<Transition>,
    ) -> Self {
        let plan = plan(config);
        let (kind, public) = match &plan {
            Plan::Run(kind, public) => (Some(kind.clone()), public.clone()),
            Plan::External(public) => (None, Some(public.clone())),
            Plan::Off | Plan::Refused(_) => (None, None),
        };
        if let Plan::Refused(why) = &plan {
            warn!(reason = %why.code, "the tunnel stays closed: {}", why.remedy);
        }
        let spec = |kind| spec(config, &parts, kind);
        let child = match kind {
            Some(kind) => {
                let (spec, program) = spec(kind);
                let orphan = is_orphaned(&spec);
                let handle = supervise(spec, children, transitions);
                if orphan && !*parts.wanted.borrow() {
                    end_orphan(&handle).await;
                }
                Some(Kept { handle, program })
            }
            None => {
                let (spec, _) = spec(TunnelKind::Quick);
                // What an earlier daemon was asked for, and this one is not, must not stay open behind our back.
                if is_orphaned(&spec) {
                    end_orphan(&supervise(spec, children, transitions)).await;
                }
                None
            }
        };
        let inner = Inner {
            mode: config.tunnel.mode.as_str(),
            plan,
            ingress: parts.ingress,
            prover: parts.prover,
            child,
            wanted: parts.wanted,
            held: watch::Sender::new(false),
            public: watch::Sender::new(public),
            checked: watch::Sender::new(None),
            asking: Mutex::new(()),
        };
        let tunnel = Self {
            inner: Arc::new(inner),
        };
        tunnel.look_after(parts.phones, parts.check_every, background);
        tunnel
    }

    fn look_after(&self, phones: Phones, check_every: Duration, group: &TaskGroup) {
        if self.inner.child.is_some() {
            let tunnel = self.clone();
            group.spawn("tunnel want", move |stop| tunnel.follow_want(stop));
        }
        if matches!(self.inner.plan, Plan::Run(TunnelKind::Quick, _)) {
            let tunnel = self.clone();
            group.spawn("tunnel address", move |stop| tunnel.follow_name(stop));
        }
        if !matches!(self.inner.plan, Plan::Off | Plan::Refused(_)) {
            let tunnel = self.clone();
            group.spawn("tunnel check", move |stop| {
                tunnel.keep_checking(phones, check_every, stop)
            });
        }
    }

    /// The public address, as soon as it is known, and while it is: what the ingress admits and what a phone is told.
    pub fn public_url(&self) -> watch::Receiver<Option<PublicUrl>> {
        self.inner.public.subscribe()
    }

    /// True if the address is known only once the tunnel is up, and may be another each time.
    pub fn learns_its_address(&self) -> bool {
        matches!(self.inner.plan, Plan::Run(TunnelKind::Quick, _))
    }

    /// What proves on the ingress that it is this process that answers.
    pub fn prover(&self) -> &Prover {
        &self.inner.prover
    }

    /// The child's remote control, if we keep one.
    pub fn handle(&self) -> Option<&Handle> {
        self.inner.child.as_ref().map(|child| &child.handle)
    }

    /// How it is.
    pub fn seen(&self) -> Seen {
        let inner = &self.inner;
        let standing = match (&inner.plan, *inner.wanted.borrow(), *inner.held.borrow()) {
            (Plan::Off, ..) => Standing::Off,
            (Plan::Refused(why), ..) => Standing::Refused(why.clone()),
            (_, false, _) => Standing::NobodyPaired,
            (Plan::External(_), ..) => Standing::External,
            (Plan::Run(..), true, true) => Standing::Held,
            (Plan::Run(..), true, false) => Standing::Open,
        };
        let public = inner.public.borrow().clone();
        let checked = inner.checked.borrow().clone();
        Seen {
            mode: inner.mode,
            trial: matches!(inner.plan, Plan::Run(TunnelKind::Quick, _)),
            ingress: inner.ingress.clone(),
            child: self.handle().map(Handle::status),
            checked: checked.filter(|checked| public.as_ref().is_some_and(|url| url.origin() == checked.url)),
            public,
            standing,
        }
    }

    /// Carries out an operator's wish.
    ///
    /// # Errors
    /// Why it cannot be granted.
    pub async fn wish(&self, wish: Wish) -> Result<(), Refusal> {
        let Some(handle) = self.handle() else {
            return Err(Refusal::NoChild(format!("tunnel.mode is {}", self.inner.mode)));
        };
        let stop = wish == Wish::Stop;
        if !stop && !*self.inner.wanted.borrow() {
            return Err(Refusal::NobodyPaired);
        }
        self.inner.held.send_replace(stop);
        let taken = match wish {
            Wish::Start => handle.start().await,
            Wish::Stop => handle.stop().await,
            Wish::Restart => handle.restart().await,
        };
        taken.map_err(|_| Refusal::Stopping)
    }

    /// Asks the public address whether it leads to us.
    ///
    /// # Errors
    /// There is no address to ask.
    pub async fn check(&self) -> Result<Checked, Refusal> {
        let inner = &self.inner;
        let _one = inner.asking.lock().await;
        let url = inner.public.borrow().clone().ok_or(Refusal::NoAddress)?;
        let begin = Instant::now();
        let verdict = check::ask(&url, &inner.prover).await;
        let checked = Checked {
            url: url.origin().to_owned(),
            at_ms: now_ms(),
            took: begin.elapsed(),
            verdict,
        };
        if let Some(child) = &inner.child {
            let why = match &checked.verdict {
                Verdict::Astray { code, .. } => Some((*code).into()),
                Verdict::Ours | Verdict::Unreachable { .. } => None,
            };
            child.program.led_astray(why);
        }
        inner.checked.send_replace(Some(checked.clone()));
        Ok(checked)
    }

    /// Open exactly while somebody could come in rightfully and no operator wants it shut.
    async fn follow_want(self, stop: CancellationToken) {
        let Some(handle) = self.handle() else { return };
        let (mut wanted, mut held) = (self.inner.wanted.clone(), self.inner.held.subscribe());
        let mut is_open = false;
        loop {
            let open = *wanted.borrow_and_update() && !*held.borrow_and_update();
            if open != is_open {
                info!(open, "the way in from outside");
                let taken = if open {
                    handle.start().await
                } else {
                    handle.stop().await
                };
                if taken.is_err() {
                    return;
                }
                is_open = open;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                // Whoever knew is gone: it stays as it is.
                Ok(()) = wanted.changed() => {}
                Ok(()) = held.changed() => {}
                else => return,
            }
        }
    }

    /// A quick tunnel has another address at each start.
    async fn follow_name(self, stop: CancellationToken) {
        let Some(child) = &self.inner.child else { return };
        let (mut host, mut status) = (child.program.quick_host(), child.handle.watch());
        loop {
            let lives = status.borrow_and_update().pid.is_some();
            let url = host
                .borrow_and_update()
                .as_ref()
                .filter(|_| lives)
                .and_then(|host| PublicUrl::parse(&format!("https://{host}")));
            let changed = self.inner.public.send_if_modified(|known| {
                let changed = *known != url;
                known.clone_from(&url);
                changed
            });
            if let (true, Some(url)) = (changed, &url) {
                info!(%url, "the quick tunnel (on trial) has its address");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = host.changed() => if changed.is_err() { return },
                changed = status.changed() => if changed.is_err() { return },
            }
        }
    }

    /// While phones are connected, and while it led astray, the address is asked regularly.
    async fn keep_checking(self, phones: Phones, every: Duration, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(every) => {}
            }
            let is_astray = self
                .inner
                .checked
                .borrow()
                .as_ref()
                .is_some_and(|checked| matches!(checked.verdict, Verdict::Astray { .. }));
            if !is_astray && phones() == 0 {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _shown = self.check() => {}
            }
        }
    }
}

fn spec(config: &Config, parts: &Parts, kind: TunnelKind) -> (ChildSpec, Arc<Cloudflared>) {
    let state = config.state_dir.clone();
    let mut params = TunnelParams::new(state.clone(), state.join("logs"), parts.ingress.clone(), kind);
    match &config.tunnel.binary {
        Program::Name(name) => params.name.clone_from(name),
        Program::Path(path) => params.binary = Some(path.clone()),
    }
    let program = Arc::new(Cloudflared::new(params));
    let mut spec = cloudflared(program.clone());
    spec.grouping = parts.grouping;
    (spec, program)
}

/// Its lock is held, so nothing is started: it is found, verified and ended.
async fn end_orphan(handle: &Handle) {
    info!("a tunnel of an earlier life is open and nobody wants it: ending it");
    // A child's task that has ended keeps nothing open.
    let _ended = handle.start().await;
    let _ended = handle.stop().await;
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What is said of a code, for people: the reason and the remedy.
pub fn told(code: &str) -> Option<(&'static str, &'static str)> {
    children::tunnel_told(code)
}
