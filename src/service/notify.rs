//! Talking to systemd: readiness, status, watchdog.
//!
//! Without a `NOTIFY_SOCKET` every call does nothing. The variables stay in our environment (removing them is not
//! safe once there are threads); whoever starts children takes them out of *their* environment.

use std::{
    ffi::{OsStr, OsString},
    fmt::Write,
    io,
    os::unix::net::UnixDatagram,
    sync::Arc,
    time::Duration,
};

use sd_notify::NotifyState as State;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How an environment is read; the process's own is `&|name| std::env::var_os(name)`.
pub type ReadEnv<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The line to systemd, or none. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    socket: Option<Arc<UnixDatagram>>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Follows the environment of this process.
    pub fn from_process() -> Self {
        Self::from_env(&|name| std::env::var_os(name), std::process::id())
    }

    /// Follows `env`, as process `pid`. A socket that cannot be reached is reported and then treated as absent.
    pub fn from_env(env: ReadEnv<'_>, pid: u32) -> Self {
        let socket = env("NOTIFY_SOCKET")
            .filter(|path| !path.is_empty())
            .and_then(|path| {
                connect(&path)
                    .inspect_err(|error| warn!(%error, "the notification socket cannot be used"))
                    .ok()
            });
        Self {
            socket: socket.map(Arc::new),
            watchdog: watchdog_limit(env, pid),
        }
    }

    /// True if somebody listens.
    pub fn is_on(&self) -> bool {
        self.socket.is_some()
    }

    /// We serve; `status` says what is still missing.
    pub fn ready(&self, status: &str) {
        self.send(&[State::Ready, State::Status(&line(status))]);
    }

    /// A reload begins; [`Notifier::ready`] ends it. Carries the time systemd 253 and later insist on.
    pub fn reloading(&self) {
        match State::monotonic_usec_now() {
            Ok(now) => self.send(&[State::Reloading, now]),
            Err(error) => debug!(%error, "no time to tell of a reload"),
        }
    }

    /// A stop begins.
    pub fn stopping(&self, status: &str) {
        self.send(&[State::Stopping, State::Status(&line(status))]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.send(&[State::Status(&line(status))]);
    }

    /// Asks that a start or stop may take `more` from now on.
    pub fn extend_timeout(&self, more: Duration) {
        let micros = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
        self.send(&[State::ExtendTimeoutUsec(micros)]);
    }

    /// How often the watchdog wants to hear of us: a third of its limit, so that one late ping is no restart.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.is_on()).map(|limit| limit / 3)
    }

    /// Pings the watchdog until `stop`, each time only if `healthy` answers within half an interval.
    /// `healthy` must go through whatever would hang if the daemon hung, and through nothing else.
    pub async fn feed_watchdog(self, stop: CancellationToken, healthy: impl AsyncFn() -> bool) {
        let Some(every) = self.watchdog_interval() else {
            return;
        };
        let mut ticks = tokio::time::interval(every);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match tokio::time::timeout(every / 2, healthy()).await {
                Ok(true) => self.send(&[State::Watchdog]),
                Ok(false) => warn!("unhealthy: the watchdog is not fed"),
                Err(_) => warn!("too slow to answer: the watchdog is not fed"),
            }
        }
    }

    fn send(&self, states: &[State<'_>]) {
        let Some(socket) = &self.socket else { return };
        let mut message = String::new();
        for state in states {
            let _ = writeln!(message, "{state}"); // writing to a String cannot fail
        }
        if let Err(error) = socket.send(message.as_bytes()) {
            debug!(%error, "systemd could not be told");
        }
    }
}

/// A newline in a status would begin another message.
fn line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(400)
        .collect()
}

fn connect(path: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not stop us; a second is long for a datagram.
    socket.set_write_timeout(Some(Duration::from_secs(1)))?;
    match path.as_encoded_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
            socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
        }
        _ => socket.connect(path)?,
    }
    Ok(socket)
}

/// A variable that is a number.
pub(super) fn number<T: std::str::FromStr>(env: ReadEnv<'_>, name: &str) -> Option<T> {
    env(name)?.to_str()?.trim().parse().ok()
}

fn watchdog_limit(env: ReadEnv<'_>, pid: u32) -> Option<Duration> {
    let limit = number::<u64>(env, "WATCHDOG_USEC").filter(|micros| *micros > 0)?;
    let is_ours = env("WATCHDOG_PID").is_none() || number(env, "WATCHDOG_PID") == Some(pid);
    is_ours.then(|| Duration::from_micros(limit))
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::shutdown::TaskGroup;

    struct Manager {
        socket: UnixDatagram,
        dir: tempfile::TempDir,
    }

    impl Manager {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let socket = UnixDatagram::bind(dir.path().join("notify")).expect("bound");
            socket
                .set_read_timeout(Some(Duration::from_secs(20)))
                .expect("a deadline");
            Self { socket, dir }
        }

        fn path(&self) -> &Path {
            self.dir.path()
        }

        fn notifier(&self, more: &[(&str, &str)]) -> Notifier {
            let socket = self.path().join("notify");
            let env = |name: &str| match name {
                "NOTIFY_SOCKET" => Some(socket.clone().into_os_string()),
                name => more
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| (*value).into()),
            };
            Notifier::from_env(&env, 7)
        }

        fn heard(&self) -> Vec<String> {
            let mut buffer = [0; 4096];
            let length = self.socket.recv(&mut buffer).expect("a message in time");
            String::from_utf8_lossy(&buffer[..length])
                .lines()
                .map(str::to_owned)
                .collect()
        }
    }

    #[test]
    fn systemd_hears_of_start_reload_status_and_stop() {
        let manager = Manager::new();
        let notifier = manager.notifier(&[]);
        notifier.ready("serving");
        assert_eq!(manager.heard(), ["READY=1", "STATUS=serving"]);
        notifier.reloading();
        let heard = manager.heard();
        assert_eq!(heard[0], "RELOADING=1");
        let time = heard[1]
            .strip_prefix("MONOTONIC_USEC=")
            .expect("systemd 253 wants the time with it");
        assert!(time.parse::<u64>().expect("a number") > 0);
        notifier.status("redis is loading");
        assert_eq!(manager.heard(), ["STATUS=redis is loading"]);
        notifier.extend_timeout(Duration::from_secs(5));
        assert_eq!(manager.heard(), ["EXTEND_TIMEOUT_USEC=5000000"]);
        notifier.stopping("draining");
        assert_eq!(manager.heard(), ["STOPPING=1", "STATUS=draining"]);
    }

    #[test]
    fn a_status_cannot_smuggle_in_another_message() {
        let manager = Manager::new();
        manager.notifier(&[]).status("all well\nMAINPID=1");
        assert_eq!(manager.heard(), ["STATUS=all well MAINPID=1"]);
    }

    #[test]
    fn off_systemd_nothing_happens() {
        let notifier = Notifier::from_env(&|_| None, 7);
        assert!(!notifier.is_on());
        notifier.ready("serving");
        notifier.reloading();
        notifier.stopping("bye");
        assert_eq!(notifier.watchdog_interval(), None);
        let gone = Notifier::from_env(
            &|name| (name == "NOTIFY_SOCKET").then(|| "/nonexistent/notify".into()),
            7,
        );
        assert!(!gone.is_on());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_without_a_file_is_reached_too() {
        use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
        let name = format!("maestro-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("bound");
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a deadline");
        let path = format!("@{name}");
        let notifier = Notifier::from_env(&|name| (name == "NOTIFY_SOCKET").then(|| path.clone().into()), 7);
        notifier.status("x");
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).expect("a message");
        assert_eq!(&buffer[..length], b"STATUS=x\n");
    }

    #[test]
    fn the_watchdog_wants_three_pings_in_its_limit_and_only_from_the_process_it_means() {
        let manager = Manager::new();
        let interval = |env: &[(&str, &str)]| manager.notifier(env).watchdog_interval();
        assert_eq!(
            interval(&[("WATCHDOG_USEC", "30000000")]),
            Some(Duration::from_secs(10))
        );
        assert_eq!(
            interval(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "7")]),
            Some(Duration::from_secs(10))
        );
        assert_eq!(
            interval(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "8")]),
            None
        );
        assert_eq!(interval(&[("WATCHDOG_USEC", "soon")]), None);
        assert_eq!(interval(&[("WATCHDOG_USEC", "0")]), None);
    }

    #[tokio::test]
    async fn the_watchdog_is_fed_while_we_are_well_and_starves_when_we_are_not() {
        let manager = Manager::new();
        let notifier = manager.notifier(&[("WATCHDOG_USEC", "30000")]);
        let asked = Arc::new(AtomicU32::new(0));
        let group = TaskGroup::default();
        let count = asked.clone();
        group.spawn("watchdog", |stop| {
            notifier.feed_watchdog(stop, async move || count.fetch_add(1, Ordering::SeqCst) < 2)
        });
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while asked.load(Ordering::SeqCst) < 5 {
            assert!(
                tokio::time::Instant::now() < deadline,
                "the health is asked for again and again"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(group.close(Duration::from_secs(20)).await);
        assert_eq!(manager.heard(), ["WATCHDOG=1"]);
        assert_eq!(manager.heard(), ["WATCHDOG=1"]);
        manager.socket.set_nonblocking(true).expect("set");
        assert!(manager.socket.recv(&mut [0; 64]).is_err(), "no third ping");
    }
}
