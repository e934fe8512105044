//! A supervised tunnel in directories of its own, with a patience that makes tests short.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use maestro::{
    children::{Cloudflared, QuickPauses, TunnelKind, TunnelParams, cloudflared},
    shutdown::TaskGroup,
    supervisor::{Backoff, ChildSpec, ChildStatus, Handle, Policy, State, Transition, supervise},
};
use tokio::sync::broadcast;

use crate::harness::{Edge, PATIENCE};

/// Everything is the same, only sooner.
pub fn quick(policy: Policy) -> Policy {
    let ms = Duration::from_millis;
    Policy {
        stable_after: ms(0),
        recheck_interval: ms(20),
        live_interval: ms(20),
        degraded_limit: PATIENCE,
        hung_limit: ms(100),
        min_restart_interval: ms(0),
        spawn_limit: 1_000,
        backoff: Backoff {
            first: ms(20),
            steps: vec![ms(20); 8],
            crash_loop: vec![ms(50)],
            floor: ms(0),
        },
        ..policy
    }
}

pub struct House {
    dir: tempfile::TempDir,
    pub group: TaskGroup,
}

impl House {
    pub fn new() -> House {
        let dir = tempfile::Builder::new()
            .prefix("t")
            .tempdir_in("/tmp")
            .expect("a directory");
        House {
            dir,
            group: TaskGroup::default(),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn ingress(&self) -> PathBuf {
        self.path().join("ingress.sock")
    }

    pub fn log(&self) -> PathBuf {
        self.path().join("log")
    }

    pub fn params(&self, edge: &Edge, kind: TunnelKind) -> TunnelParams {
        let mut params = TunnelParams::new(self.path().join("state"), self.log(), self.ingress(), kind);
        params.binary = Some(edge.binary());
        params.pauses = QuickPauses {
            between: Duration::ZERO,
            limited_first: Duration::from_millis(50),
            limited_most: Duration::from_millis(100),
        };
        params
    }

    pub fn token(edge: &Edge) -> TunnelKind {
        TunnelKind::Token {
            file: edge.token_file(),
            hosts: vec!["127.0.0.1".to_owned()],
        }
    }

    pub fn spec(&self, params: TunnelParams) -> (ChildSpec, Arc<Cloudflared>) {
        let program = Arc::new(Cloudflared::new(params));
        let spec = cloudflared(program.clone());
        let policy = quick(spec.policy.clone());
        (ChildSpec { policy, ..spec }, program)
    }

    pub async fn supervise(&self, spec: ChildSpec) -> Kept {
        let (transitions, seen) = broadcast::channel(1_024);
        let handle = supervise(spec, &self.group, transitions);
        handle.start().await.expect("supervised");
        Kept { handle, seen }
    }

    /// A tunnel by token, wanted.
    pub async fn tunnel(&self, edge: &Edge) -> Kept {
        self.supervise(self.spec(self.params(edge, Self::token(edge))).0)
            .await
    }

    /// A quick tunnel, wanted.
    pub async fn quick_tunnel(&self, edge: &Edge) -> Kept {
        self.supervise(self.spec(self.params(edge, TunnelKind::Quick)).0)
            .await
    }
}

/// A supervised child and what is heard of it.
pub struct Kept {
    pub handle: Handle,
    pub seen: broadcast::Receiver<Transition>,
}

impl Kept {
    pub async fn is(&self, state: State) -> ChildStatus {
        let reached = self.handle.wait(PATIENCE, |status| status.state == state).await;
        reached.unwrap_or_else(|| panic!("not {state:?} but {:#?}", self.handle.status()))
    }

    pub async fn ready(&self) -> i32 {
        self.is(State::Ready).await.pid.expect("alive")
    }

    /// Ready with another process than `pid`.
    pub async fn ready_anew(&self, pid: i32) -> i32 {
        let reached = |status: &ChildStatus| status.state == State::Ready && status.pid != Some(pid);
        let status = self.handle.wait(PATIENCE, reached).await;
        status
            .unwrap_or_else(|| panic!("no new process: {:#?}", self.handle.status()))
            .pid
            .expect("alive")
    }

    /// The next change to this state.
    pub async fn change_to(&mut self, state: State) -> Transition {
        let next = async {
            loop {
                let transition = self.seen.recv().await.expect("not lagging");
                if transition.to == state {
                    return transition;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next)
            .await
            .unwrap_or_else(|_| panic!("never {state:?}: {:#?}", self.handle.status()))
    }

    pub async fn end(&self) {
        assert!(
            self.handle.shutdown(PATIENCE).await,
            "{:#?}",
            self.handle.status()
        );
    }
}

pub fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("it can be signalled");
}

/// Bytes in the files directly in `dir`.
pub fn bytes_in(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}
