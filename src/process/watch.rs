//! Hearing of the end of a process that may not be our child: pidfd on Linux, kqueue on macOS, and asking
//! again and again where neither is to be had.

use std::{io, os::fd::OwnedFd, time::Duration};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{Identity, Life};

/// How often the fallback asks. Exits are then found late, never lost.
const POLL: Duration = Duration::from_millis(50);

/// Knows when one process ends (a zombie has ended).
#[derive(Debug)]
pub enum Watch {
    /// The kernel tells through this descriptor.
    Kernel(AsyncFd<OwnedFd>),
    /// We ask.
    Poll(Identity),
}

impl Watch {
    /// Watches the process; must be called in a tokio runtime. Falls back to asking if the kernel will not
    /// tell (old kernel, seccomp). The error is that of a process that is gone.
    #[allow(unsafe_code)] // tokio asks for a promise about the descriptor
    pub fn new(identity: &Identity) -> io::Result<Watch> {
        match open(identity.pid) {
            // SAFETY: an owned descriptor stays open and the same for as long as the AsyncFd owns it.
            Ok(fd) => Ok(Watch::Kernel(unsafe {
                AsyncFd::register_with_interest(fd, Interest::READABLE)?
            })),
            Err(err) if err.raw_os_error() == Some(libc::ESRCH) => Err(err),
            Err(_) => Ok(Watch::polling(identity)),
        }
    }

    /// The fallback.
    pub fn polling(identity: &Identity) -> Watch {
        Watch::Poll(identity.clone())
    }

    /// Returns when the process has ended.
    pub async fn ended(&self) {
        match self {
            Watch::Kernel(fd) => {
                // An error would mean that the descriptor is not ours any more: then nothing can be waited for.
                let _ = fd.readable().await;
            }
            Watch::Poll(identity) => {
                while !matches!(identity.life(), Ok(Life::Dead)) {
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }

    /// Signals the watched process, through the descriptor if that names it.
    pub fn signal(&self, pid: Pid, signal: Signal) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Watch::Kernel(fd) => pidfd_signal(fd.get_ref(), signal),
            _ => match kill(pid, signal) {
                Ok(()) | Err(Errno::ESRCH) => Ok(()),
                Err(err) => Err(err.into()),
            },
        }
    }
}

#[cfg(target_os = "linux")]
fn open(pid: i32) -> io::Result<OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    let pid = Pid::from_raw(pid).ok_or(Errno::ESRCH)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

#[cfg(target_os = "linux")]
fn pidfd_signal(fd: &OwnedFd, signal: Signal) -> io::Result<()> {
    use rustix::{
        io::Errno,
        process::{Signal as Raw, pidfd_send_signal},
    };

    let raw = match signal {
        Signal::SIGTERM => Raw::TERM,
        Signal::SIGCONT => Raw::CONT,
        _ => Raw::KILL,
    };
    match pidfd_send_signal(fd, raw) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

/// A kqueue with the one event NOTE_EXIT is readable once the process ended; it works for processes that are
/// not our children, and fails with ESRCH if there is none (kqueue(2)).
#[cfg(target_os = "macos")]
#[allow(unsafe_code)] // nix offers no owned kqueue descriptor
fn open(pid: i32) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;

    // SAFETY: takes nothing.
    let fd = unsafe { libc::kqueue() };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let ident = usize::try_from(pid).map_err(io::Error::other)?;
    let change = libc::kevent {
        ident,
        filter: libc::EVFILT_PROC,
        flags: libc::EV_ADD | libc::EV_CLEAR,
        fflags: libc::NOTE_EXIT,
        data: 0,
        udata: std::ptr::null_mut(),
    };
    // SAFETY: one change, no room for events, no timeout.
    let result = unsafe {
        libc::kevent(
            std::os::fd::AsRawFd::as_raw_fd(&fd),
            &change,
            1,
            std::ptr::null_mut(),
            0,
            std::ptr::null(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(fd)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::process::identity;

    async fn hears_of_the_end(watch: impl Fn(&Identity) -> Watch) {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let pid = child.id().cast_signed();
        let identity = identity::of(pid).expect("readable").expect("alive");
        let watch = watch(&identity);
        let early = tokio::time::timeout(Duration::from_millis(120), watch.ended()).await;
        let signalled = watch.signal(Pid::from_raw(pid), Signal::SIGTERM);
        let late = tokio::time::timeout(Duration::from_secs(10), watch.ended()).await;
        let again = watch.signal(Pid::from_raw(pid), Signal::SIGTERM);
        child.kill().expect("gone");
        child.wait().expect("reaped");
        assert!(early.is_err(), "it lives");
        assert!(
            signalled.is_ok() && late.is_ok() && again.is_ok(),
            "{signalled:?} {late:?} {again:?}"
        );
    }

    #[tokio::test]
    async fn the_kernel_tells_of_the_end_of_a_process() {
        hears_of_the_end(|identity| Watch::new(identity).expect("watched")).await;
    }

    #[tokio::test]
    async fn the_fallback_finds_the_end_of_a_process() {
        hears_of_the_end(Watch::polling).await;
    }

    #[tokio::test]
    async fn a_process_that_is_gone_cannot_be_watched() {
        let identity = Identity {
            pid: i32::MAX,
            token: 1,
            boot: String::new(),
        };
        assert!(Watch::new(&identity).is_err());
        tokio::time::timeout(Duration::from_secs(10), Watch::polling(&identity).ended())
            .await
            .expect("at once");
    }
}
