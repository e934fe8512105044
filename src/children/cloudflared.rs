//! cloudflared as the way in from outside: a generated configuration that leads to our ingress socket and nowhere else, the
//! secret in a file that is only named, readiness by `/ready` alone.
//!
//! Deliberately not here: whether a tunnel is wanted, what its public address is good for, and asking that address.

use std::{
    ffi::OsString,
    io,
    net::{Ipv4Addr, TcpListener},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{
    binary::{self, Stamp},
    files,
};
use crate::supervisor::{
    Blocked, BoxFuture, Code, ExitReport, Facts, Fault, Invocation, Outcome, Output, Program,
};

mod ask;
mod command;
mod conf;
mod ends;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod judge;
mod note;
mod patience;
mod probing;
mod secret;
mod told;
mod words;

pub use self::{note::QuickPauses, patience::cloudflared, told::told};
use self::{
    note::{Notes, Pauses, RunNote},
    words::{Growth, Words},
};

/// The child's name: of its files, in logs and for operators.
pub const TUNNEL: &str = "tunnel";

/// Which tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On trial: Cloudflare gives a name, another at each start; one connection, no promise.
    Quick,
    /// Ours, made by `cloudflared tunnel create`.
    Named {
        /// Its id.
        id: String,
        /// The file with its secret.
        credentials: PathBuf,
        /// Public host names that lead in.
        hosts: Vec<String>,
    },
    /// Made in Cloudflare's dashboard, whose configuration overrules ours.
    Token {
        /// The file with the token.
        file: PathBuf,
        /// Public host names that lead in.
        hosts: Vec<String>,
    },
}

/// What may differ from one installation to the next.
#[derive(Clone, Debug)]
pub struct TunnelParams {
    /// Ours: holds lock, record, and `cloudflared/` with configuration and notes.
    pub state_dir: PathBuf,
    /// Holds the output.
    pub log_dir: PathBuf,
    /// The unix socket that strangers come in by.
    pub ingress: PathBuf,
    /// Which tunnel.
    pub kind: Kind,
    /// This program and no other; otherwise `name` is looked for before every start.
    pub binary: Option<PathBuf>,
    /// What the program is called.
    pub name: String,
    /// Where to look, in the form of PATH; ours and the usual places if not given.
    pub search_path: Option<OsString>,
    /// How often a quick tunnel may be asked for.
    pub pauses: QuickPauses,
}

impl TunnelParams {
    /// The defaults, with everything in these directories.
    pub fn new(state_dir: PathBuf, log_dir: PathBuf, ingress: PathBuf, kind: Kind) -> TunnelParams {
        TunnelParams {
            state_dir,
            log_dir,
            ingress,
            kind,
            binary: None,
            name: "cloudflared".to_owned(),
            search_path: None,
            pauses: QuickPauses::default(),
        }
    }
}

/// The program: see [`Program`].
#[derive(Debug)]
pub struct Cloudflared {
    params: TunnelParams,
    notes: Notes,
    words: Words,
    seen: Mutex<Seen>,
    quick_host: watch::Sender<Option<String>>,
}

/// What is remembered from one question to the next.
#[derive(Debug)]
struct Seen {
    run: RunNote,
    pauses: Pauses,
    output: Option<Output>,
    growth: Growth,
    was_connected: bool,
    version: Option<String>,
    astray: Option<Code>,
    /// What a change of is a sign that something was done about a block.
    causes: Vec<Option<Stamp>>,
}

impl Seen {
    fn written(&self) -> u64 {
        self.output.as_ref().map_or(0, Output::written)
    }

    fn floods(&mut self) -> bool {
        self.growth.floods(self.written(), Instant::now())
    }
}

impl Cloudflared {
    /// Takes up what an earlier life noted.
    pub fn new(params: TunnelParams) -> Cloudflared {
        let notes = Notes::new(params.state_dir.join("cloudflared"));
        let words = Words::new(&params.log_dir.join(format!("{TUNNEL}.log")));
        let seen = Seen {
            run: notes.run(),
            pauses: notes.pauses(),
            output: None,
            growth: Growth::new(0, Instant::now()),
            was_connected: false,
            version: None,
            astray: None,
            causes: Vec::new(),
        };
        Cloudflared {
            params,
            notes,
            words,
            seen: Mutex::new(seen),
            quick_host: watch::Sender::new(None),
        }
    }

    /// Which tunnel.
    pub fn kind(&self) -> &Kind {
        &self.params.kind
    }

    /// The host that Cloudflare gave a quick tunnel, while it lives.
    pub fn quick_host(&self) -> watch::Receiver<Option<String>> {
        self.quick_host.subscribe()
    }

    /// What came of asking the public address: why it does not lead to us, or nothing. Shown by the next probe.
    pub fn led_astray(&self, why: Option<Code>) {
        self.seen(|seen| seen.astray = why);
    }

    /// The program that would be started now, if there is one.
    pub fn binary(&self) -> Option<PathBuf> {
        if let Some(path) = &self.params.binary {
            return binary::is_executable(path).then(|| path.clone());
        }
        let ours = std::env::var_os("PATH");
        let (search, wide) = match &self.params.search_path {
            Some(search) => (Some(search), false),
            None => (ours.as_ref(), true),
        };
        binary::find(&[&self.params.name], search.map(OsString::as_os_str), wide)
    }

    /// The secret can be used; for those who want to know before anything starts.
    ///
    /// # Errors
    /// Why not, with the remedy.
    pub fn check_secret(kind: &Kind) -> Result<(), Blocked> {
        secret::check(kind)
    }

    fn is_quick(&self) -> bool {
        self.params.kind == Kind::Quick
    }

    fn dir(&self) -> PathBuf {
        self.params.state_dir.join("cloudflared")
    }

    fn conf_path(&self) -> PathBuf {
        self.dir().join("config.yml")
    }

    fn seen<T>(&self, with: impl FnOnce(&mut Seen) -> T) -> T {
        with(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn found_binary(&self) -> Result<PathBuf, Fault> {
        let remedy = || {
            match &self.params.binary {
            Some(path) => format!(
                "{} is not an executable file; install cloudflared or correct tunnel.binary",
                path.display()
            ),
            None => "cloudflared was not found on PATH or where Homebrew puts it; install it (brew install cloudflared, \
                     or Cloudflare's package) and the tunnel starts by itself"
                .to_owned(),
        }
        };
        self.binary()
            .ok_or_else(|| Fault::Permanent(Blocked::new("binary_missing", remedy())))
    }

    /// A quick tunnel that would be refused, or asked for too often, is not asked for.
    fn pause(&self) -> Result<(), Fault> {
        if !self.is_quick() {
            return Ok(());
        }
        let left = self.seen(|seen| seen.pauses.left(&self.params.pauses, note::now_ms()));
        let Some((floor, limited)) = left else {
            return Ok(());
        };
        let code = if limited { "rate_limited" } else { "quick_pause" };
        Err(Fault::Transient {
            code: code.into(),
            floor,
        })
    }

    async fn make_ready(&self) -> Result<Invocation, Fault> {
        self.quick_host.send_if_modified(|host| host.take().is_some());
        let program = self.found_binary()?;
        self.note_causes(&program);
        secret::check(&self.params.kind).map_err(Fault::Permanent)?;
        self.pause()?;
        let dir = self.dir();
        let unwritable = |err: io::Error| Fault::Permanent(ends::unwritable(&dir, &err));
        files::private_dir(&dir).map_err(unwritable)?;
        files::write_private(&self.conf_path(), &conf::text(&self.params)).map_err(unwritable)?;
        let port = free_port().map_err(|err| Fault::transient(format!("no_port: {err}")))?;
        let run = RunNote {
            port,
            connector: None,
            log_from: self.words.len(),
        };
        self.notes.write_run(&run).map_err(unwritable)?;
        let pauses = self.seen(|seen| {
            seen.growth = Growth::new(seen.written(), Instant::now());
            seen.run = run;
            (seen.was_connected, seen.version, seen.astray) = (false, None, None);
            seen.pauses.began_ms = note::now_ms();
            seen.pauses.clone()
        });
        if self.is_quick() {
            self.notes.write_pauses(&pauses);
        }
        Ok(Invocation {
            program,
            args: command::args(&self.params.kind, &self.conf_path(), port),
            env: Vec::new(),
        })
    }

    /// Of what can be looked at, what a change of may mend a refusal.
    fn note_causes(&self, program: &std::path::Path) {
        let causes = self.causes(program);
        self.seen(|seen| seen.causes = causes);
    }

    fn causes(&self, program: &std::path::Path) -> Vec<Option<Stamp>> {
        let secret = secret::file(&self.params.kind).map(binary::stamp);
        vec![binary::stamp(program), secret.flatten()]
    }

    fn is_cleared(&self, why: &Blocked) -> bool {
        match why.code.as_ref() {
            "binary_missing" => self.binary().is_some(),
            "secret_unreadable" | "secret_exposed" | "secret_empty" => {
                secret::check(&self.params.kind).is_ok()
            }
            "disk_full" => files::has_room(&self.params.state_dir),
            "dir_unwritable" => files::is_writable(&self.dir()),
            "foreign_metrics" => true,
            _ => self.binary().is_some_and(|program| {
                let now = self.causes(&program);
                self.seen(|seen| seen.causes != now)
            }),
        }
    }
}

/// A port that nobody has at this moment. Somebody may take it before the child does: then another is tried.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Program for Cloudflared {
    fn attach(&self, output: &Output) {
        self.seen(|seen| {
            seen.output = Some(output.clone());
            seen.growth = Growth::new(output.written(), Instant::now());
        });
    }

    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(conf::text(&self.params));
        // All arguments but the port, which is another one each time.
        for arg in command::args(&self.params.kind, &self.conf_path(), 0) {
            hash.update(arg.as_bytes());
            hash.update([0]);
        }
        hash.update(secret::digest(&self.params.kind).unwrap_or_default());
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn prepare(&self, _repair: bool) -> BoxFuture<'_, Result<Invocation, Fault>> {
        Box::pin(self.make_ready())
    }

    fn probe(&self, _pid: i32) -> BoxFuture<'_, (Outcome, Facts)> {
        Box::pin(self.ask())
    }

    fn classify(&self, report: &ExitReport) -> Fault {
        ends::classify(report, self.is_quick())
    }

    fn remember(&self, fault: Fault) -> Fault {
        self.quick_host.send_if_modified(|host| host.take().is_some());
        if !self.is_quick() {
            return fault;
        }
        let rule = &self.params.pauses;
        let (fault, pauses) = self.seen(|seen| {
            let fault = match fault {
                Fault::Transient { code, .. } if code == "rate_limited" => Fault::Transient {
                    code,
                    floor: seen.pauses.limited(rule, note::now_ms()),
                },
                Fault::Transient { code, floor } => Fault::Transient {
                    code,
                    floor: floor.max(rule.between),
                },
                Fault::RetryNow { .. } => {
                    seen.pauses.began_ms = 0; // another port, at once
                    fault
                }
                Fault::Repair { .. } | Fault::Permanent(_) => fault,
            };
            (fault, seen.pauses.clone())
        });
        self.notes.write_pauses(&pauses);
        fault
    }

    fn classify_spawn(&self, err: &io::Error) -> Fault {
        binary::spawn_fault("cloudflared", err)
    }

    fn cleared<'a>(&'a self, why: &'a Blocked) -> BoxFuture<'a, bool> {
        Box::pin(async { self.is_cleared(why) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel(kind: Kind) -> Cloudflared {
        Cloudflared::new(TunnelParams::new(
            "/srv/m".into(),
            "/srv/m/logs".into(),
            "/run/m/i.sock".into(),
            kind,
        ))
    }

    #[test]
    fn another_secret_host_or_socket_is_another_tunnel_and_another_port_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("token");
        std::fs::write(&file, "one").expect("written");
        let token = |host: &str| Kind::Token {
            file: file.clone(),
            hosts: vec![host.to_owned()],
        };
        let first = tunnel(token("a.example")).fingerprint();
        assert_eq!(tunnel(token("a.example")).fingerprint(), first);
        assert_ne!(tunnel(token("b.example")).fingerprint(), first);
        std::fs::write(&file, "two").expect("written");
        assert_ne!(tunnel(token("a.example")).fingerprint(), first);
    }
}
