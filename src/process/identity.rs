//! Which process is this? A pid alone is no answer: pids are reused, and a zombie still has one.
//!
//! A process is named by pid, start token and boot (with the pid namespace); its program by the file it runs.
//! What cannot be verified is never signalled; that decision is the caller's, the evidence is ours.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
#[path = "identity/linux.rs"]
mod platform;
#[cfg(target_os = "macos")]
#[path = "identity/macos.rs"]
mod platform;

/// Names one process for as long as the machine runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its process id.
    pub pid: i32,
    /// When it started, in the kernel's own unit (Linux: ticks since boot; macOS: microseconds of wall time).
    pub token: u64,
    /// This boot of the machine, and this pid namespace.
    pub boot: String,
}

/// The file a process executes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Where it was when the process started.
    pub path: PathBuf,
    /// Its device and inode: the same file, whatever lies at the path by now.
    pub inode: (u64, u64),
}

/// Whether a process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It does.
    Alive,
    /// It does, but the kernel does not let it run (SIGSTOP, a debugger).
    Frozen,
    /// It does not: gone, a zombie, or the pid is somebody else's by now.
    Dead,
}

/// What the kernel tells of a pid.
struct Seen {
    life: Life,
    token: u64,
}

/// Identity of the living process `pid`; `None` if there is none or it is a zombie. Pids that mean groups or
/// init (`pid <= 1`) are never processes of ours.
pub fn of(pid: i32) -> io::Result<Option<Identity>> {
    if pid <= 1 {
        return Ok(None);
    }
    let seen = platform::see(pid)?;
    let Some(Seen {
        life: Life::Alive | Life::Frozen,
        token,
    }) = seen
    else {
        return Ok(None);
    };
    Ok(Some(Identity {
        pid,
        token,
        boot: platform::boot()?,
    }))
}

impl Identity {
    /// Does this very process live?
    pub fn life(&self) -> io::Result<Life> {
        if self.pid <= 1 || self.boot != platform::boot()? {
            return Ok(Life::Dead);
        }
        Ok(match platform::see(self.pid)? {
            Some(seen) if seen.token == self.token => seen.life,
            _ => Life::Dead,
        })
    }

    /// How long it has been there; `None` if that cannot be told. Precise to about 10 ms.
    pub fn age(&self) -> Option<Duration> {
        platform::age(self.token)
    }

    /// True if it is of this boot but of another pid namespace: our kernel's answers are about other processes.
    pub fn is_of_another_namespace(&self) -> io::Result<bool> {
        let here = platform::boot()?;
        let boot = |text: &str| text.split(' ').next().map(str::to_owned);
        Ok(self.boot != here && boot(&self.boot) == boot(&here))
    }
}

/// The file that process `pid` executes; `None` if we may not know or it is gone.
pub fn image(pid: i32) -> Option<Image> {
    platform::image(pid)
}

/// Does process `pid` hold `path` open? `None` if the platform does not tell.
pub fn has_open(pid: i32, path: &Path) -> Option<bool> {
    platform::has_open(pid, path)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Sleeper(Child);

    impl Sleeper {
        fn new() -> Sleeper {
            let child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn();
            Sleeper(child.expect("sleep starts"))
        }

        fn pid(&self) -> i32 {
            i32::try_from(self.0.id()).expect("a pid")
        }

        fn identity(&self) -> Identity {
            of(self.pid()).expect("readable").expect("alive")
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn until(mut condition: impl FnMut() -> bool) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !condition() {
            assert!(std::time::Instant::now() < deadline, "in time");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_living_process_is_recognised_and_a_zombie_is_dead() {
        let mut sleeper = Sleeper::new();
        let identity = sleeper.identity();
        assert_eq!(identity.life().expect("readable"), Life::Alive);
        sleeper.0.kill().expect("killed");
        // Nobody waits for it: it is a zombie, and kill(pid, 0) would still succeed.
        until(|| identity.life().expect("readable") == Life::Dead);
        assert_eq!(of(sleeper.pid()).expect("readable"), None);
    }

    #[test]
    fn a_reused_pid_is_somebody_else() {
        let sleeper = Sleeper::new();
        let mut identity = sleeper.identity();
        identity.token += 1;
        assert_eq!(identity.life().expect("readable"), Life::Dead);
        let mut identity = sleeper.identity();
        identity.boot.push('x');
        assert_eq!(identity.life().expect("readable"), Life::Dead, "another boot");
    }

    #[test]
    fn a_stopped_process_is_frozen() {
        let sleeper = Sleeper::new();
        let identity = sleeper.identity();
        let signal = |signal| nix::sys::signal::kill(nix::unistd::Pid::from_raw(sleeper.pid()), signal);
        signal(nix::sys::signal::SIGSTOP).expect("stopped");
        until(|| identity.life().expect("readable") == Life::Frozen);
        signal(nix::sys::signal::SIGCONT).expect("continued");
        until(|| identity.life().expect("readable") == Life::Alive);
    }

    #[test]
    fn pids_that_mean_a_group_or_init_are_nobodys() {
        for pid in [1, 0, -1, -7, i32::MAX] {
            assert_eq!(of(pid).expect("readable"), None, "{pid}");
            let identity = Identity {
                pid,
                token: 0,
                boot: platform::boot().expect("readable"),
            };
            assert_eq!(identity.life().expect("readable"), Life::Dead, "{pid}");
        }
    }

    #[test]
    fn the_age_of_a_process_grows_from_its_start() {
        let began = std::time::Instant::now();
        let identity = Sleeper::new().identity();
        let age = identity.age().expect("known");
        let slack = Duration::from_millis(50);
        assert!(age <= began.elapsed() + slack, "{age:?}");
        let me = of(std::process::id().cast_signed())
            .expect("readable")
            .expect("alive");
        assert!(me.age().expect("known") + slack >= age);
    }

    #[test]
    fn another_boot_is_not_another_namespace() {
        let me = of(std::process::id().cast_signed())
            .expect("readable")
            .expect("alive");
        let named = |boot: String| Identity { boot, ..me.clone() };
        assert!(!me.is_of_another_namespace().expect("readable"));
        let other = named(format!("{} pid:[1]", me.boot.split(' ').next().expect("an id")));
        assert!(other.is_of_another_namespace().expect("readable"));
        assert!(
            !named("x pid:[1]".into())
                .is_of_another_namespace()
                .expect("readable")
        );
    }

    #[test]
    fn the_program_of_a_process_is_known_by_its_file() {
        let me = image(std::process::id().cast_signed()).expect("my own");
        assert_eq!(
            Some(me.path),
            std::env::current_exe()
                .ok()
                .and_then(|path| path.canonicalize().ok())
        );
        assert_ne!(
            Some(me.inode),
            image(Sleeper::new().pid()).map(|image| image.inode)
        );
    }

    #[test]
    fn who_holds_a_file_open_can_be_told() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let me = std::process::id().cast_signed();
        assert_ne!(has_open(me, file.path()), Some(false));
        assert_ne!(has_open(Sleeper::new().pid(), file.path()), Some(true));
    }
}
