//! Turning an invocation into a process that inherits nothing but its lock and its output file.
//!
//! No session of its own (launchd could not sweep it), no parent-death signal (a child shall survive us and
//! be adopted), no pipe (nobody must keep reading for the child to live).

#![allow(unsafe_code)] // between fork and exec there are system calls and nothing else

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::fd::{AsRawFd, RawFd},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use super::spec::{Grouping, Invocation};

/// Variables a child may see, if we have them. An allow-list: what init systems and shells put into ours
/// (NOTIFY_SOCKET, WATCHDOG_*, LISTEN_*, JOURNAL_STREAM, XPC_*, tokens) is none of its business.
const ALLOWED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The environment of a child: what is allowed of ours, then what its spec adds.
pub fn environment(
    ours: impl Iterator<Item = (OsString, OsString)>,
    added: &[(OsString, OsString)],
) -> Vec<(OsString, OsString)> {
    let allowed = |name: &OsStr| {
        name.to_str()
            .is_some_and(|name| ALLOWED.contains(&name) || name.starts_with("LC_"))
    };
    let mut env: Vec<_> = ours.filter(|(name, _)| allowed(name)).collect();
    env.retain(|(name, _)| added.iter().all(|(new, _)| new != name));
    env.extend(added.iter().cloned());
    env
}

/// What a child is given besides its invocation.
pub struct Gifts {
    /// Its lock, held by us; ours is closed when this is dropped.
    pub lock: File,
    /// Where stdout and stderr go, opened for appending.
    pub output: File,
    /// Its process group.
    pub grouping: Grouping,
    /// See `ChildSpec`.
    pub oom_score_adj: Option<i32>,
}

/// Spawns; returns the pid once the program is executing. The caller reaps it. Blocks for about a millisecond.
pub fn spawn(invocation: &Invocation, gifts: &Gifts) -> io::Result<i32> {
    let mut command = Command::new(&invocation.program);
    command
        .args(&invocation.args)
        .env_clear()
        .envs(environment(std::env::vars_os(), &invocation.env))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(gifts.output.try_clone()?)
        .stderr(gifts.output.try_clone()?);
    if gifts.grouping == Grouping::Own {
        command.process_group(0);
    }
    let lock = gifts.lock.as_raw_fd();
    let oom = gifts.oom_score_adj;
    // SAFETY: the closure makes only async-signal-safe calls, on descriptors that stay open until exec.
    unsafe { command.pre_exec(move || become_child(lock, oom)) };
    let child = command.spawn()?;
    // Dropping std's handle neither kills nor reaps.
    Ok(child.id().cast_signed())
}

/// Runs between fork and exec: async-signal-safe calls only, no allocation. std has already emptied the
/// signal mask and restored SIGPIPE.
fn become_child(lock: RawFd, oom: Option<i32>) -> io::Result<()> {
    // SAFETY: plain system calls with valid arguments; no memory is shared with the parent.
    unsafe {
        libc::umask(0o077);
        reset_signals();
        close_on_exec_all();
        if libc::fcntl(lock, libc::F_SETFD, 0) < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut digits = Digits::of(i64::from(libc::getpid()));
        let text = digits.line();
        if libc::ftruncate(lock, 0) < 0 || libc::pwrite(lock, text.as_ptr().cast(), text.len(), 0) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    if let Some(score) = oom {
        set_oom_score(score);
    }
    Ok(())
}

/// Ignored signals stay ignored across exec: none shall.
unsafe fn reset_signals() {
    for signal in 1..32 {
        if signal != libc::SIGKILL && signal != libc::SIGSTOP {
            // SAFETY: the default action is valid for every other signal.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

/// Ours are opened close-on-exec anyway; this is for those that a library or an init system handed us.
#[cfg(target_os = "linux")]
unsafe fn close_on_exec_all() {
    // SAFETY: touches flags only.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if done != 0 {
        // SAFETY: as above.
        unsafe { close_on_exec_each() };
    }
}

#[cfg(not(target_os = "linux"))]
unsafe fn close_on_exec_all() {
    // SAFETY: touches flags only.
    unsafe { close_on_exec_each() };
}

unsafe fn close_on_exec_each() {
    for fd in 3..4096 {
        // SAFETY: fails harmlessly for descriptors that are not open.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Best effort: lowering it needs a privilege that we may not have.
#[cfg(target_os = "linux")]
fn set_oom_score(score: i32) {
    let mut digits = Digits::of(i64::from(score));
    let text = digits.line();
    // SAFETY: a constant path and a buffer of its own length.
    unsafe {
        let fd = libc::open(
            c"/proc/self/oom_score_adj".as_ptr(),
            libc::O_WRONLY | libc::O_CLOEXEC,
        );
        if fd >= 0 {
            libc::write(fd, text.as_ptr().cast(), text.len());
            libc::close(fd);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn set_oom_score(_score: i32) {}

/// A number as a line of text, made without allocating.
struct Digits {
    buffer: [u8; 24],
    value: i64,
}

impl Digits {
    fn of(value: i64) -> Digits {
        Digits {
            buffer: [0; 24],
            value,
        }
    }

    fn line(&mut self) -> &[u8] {
        let mut at = self.buffer.len() - 1;
        self.buffer[at] = b'\n';
        let mut rest = self.value.unsigned_abs();
        loop {
            at -= 1;
            self.buffer[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if self.value < 0 {
            at -= 1;
            self.buffer[at] = b'-';
        }
        &self.buffer[at..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_allocating() {
        for value in [0, 7, 10, -998, i64::from(i32::MAX), i64::MIN] {
            assert_eq!(Digits::of(value).line(), format!("{value}\n").as_bytes());
        }
    }

    #[test]
    fn a_child_sees_neither_the_managers_variables_nor_our_secrets() {
        let ours = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("NOTIFY_SOCKET", "/run/n"),
            ("WATCHDOG_USEC", "1"),
            ("WATCHDOG_PID", "1"),
            ("LISTEN_FDS", "1"),
            ("LISTEN_PID", "1"),
            ("JOURNAL_STREAM", "8:1"),
            ("XPC_SERVICE_NAME", "x"),
            ("API_TOKEN", "secret"),
            ("REDIS_URL", "redis://:pw@h"),
            ("HOME", "/root"),
        ];
        let ours = ours.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let added = [(OsString::from("HOME"), OsString::from("/nowhere"))];
        let env = environment(ours.into_iter(), &added);
        let env: Vec<_> = env
            .iter()
            .map(|(n, v)| (n.to_str().unwrap_or(""), v.to_str().unwrap_or("")))
            .collect();
        assert_eq!(env, [("PATH", "/bin"), ("LC_ALL", "C"), ("HOME", "/nowhere")]);
    }
}
