//! A living process: hear of its exit, signal it, reap it. Decides nothing.
//!
//! Our own children are waited for without being reaped first, so that their pid (and the id of their process
//! group) stays theirs until we are done with it. Adopted ones are signalled through a pidfd, or, where there
//! is none, only right after their identity was checked again.

use std::{io, time::Duration};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill, killpg},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpgid},
};

use crate::process::{Identity, Life, Watch};

use super::event::{Blow, Exit};

/// One process that we watch.
#[derive(Debug)]
pub struct Process {
    identity: Identity,
    own: bool,
    watch: Watch,
}

impl Process {
    /// A child that was just spawned by this process and not reaped yet.
    pub fn own(identity: Identity) -> Process {
        let watch = Watch::new(&identity).unwrap_or_else(|_| Watch::polling(&identity));
        Process {
            identity,
            own: true,
            watch,
        }
    }

    /// A process of an earlier life, verified by the caller. `None` if it ended meanwhile: the watch is opened
    /// first and the identity compared then, so no other process can slip in between.
    pub fn adopted(identity: Identity) -> io::Result<Option<Process>> {
        let Ok(watch) = Watch::new(&identity) else {
            return Ok(None);
        };
        if identity.life()? == Life::Dead {
            return Ok(None);
        }
        Ok(Some(Process {
            identity,
            own: false,
            watch,
        }))
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.identity.pid
    }

    /// Does the kernel let it run?
    pub fn is_frozen(&self) -> bool {
        matches!(self.identity.life(), Ok(Life::Frozen))
    }

    /// Waits for its end, then sweeps what is left of its process group and reaps it. To be called to its end
    /// by one caller only.
    pub async fn exited(&self) -> Exit {
        self.watch.ended().await;
        if !self.own {
            return Exit::Unknown;
        }
        self.sweep();
        loop {
            match waitpid(self.raw(), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, code)) => return Exit::Code(code),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Exit::Signal(signal as i32),
                Ok(_) | Err(Errno::EINTR) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(_) => return Exit::Unknown,
            }
        }
    }

    /// Forks of a dead child (a background save, say) must not outlive it with its lock. Its zombie still
    /// owns the group's id here.
    fn sweep(&self) {
        if self.leads_group() {
            let _ = killpg(self.raw(), Signal::SIGKILL);
        }
    }

    fn raw(&self) -> Pid {
        Pid::from_raw(self.identity.pid)
    }

    fn leads_group(&self) -> bool {
        getpgid(Some(self.raw())) == Ok(self.raw())
    }

    /// Signals it, and its process group if it leads one. A process that is gone is no error.
    pub fn signal(&self, blow: Blow) -> io::Result<()> {
        let signal = match blow {
            Blow::Term => Signal::SIGTERM,
            Blow::Cont => Signal::SIGCONT,
            Blow::Kill => Signal::SIGKILL,
        };
        // Not reaped yet: the pid is our child's, alive or not.
        if !self.own && self.identity.life()? == Life::Dead {
            return Ok(());
        }
        let sent = if self.leads_group() {
            killpg(self.raw(), signal)
        } else if self.own {
            kill(self.raw(), signal)
        } else {
            return self.watch.signal(self.raw(), signal);
        };
        match sent {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }
}
