//! Places where a test can have the daemon killed: one between any two steps of whatever takes several.
//!
//! `MAESTRO_CRASH_AT=name` or `name:n` kills the process, as `kill -9` would, when it passes that place for the first
//! or the n-th time. `tests/crashes` reads the names in the source, so that none can be forgotten. Nothing of this is in
//! a release.

/// Dies here, if that was asked for.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    if let Some((wanted, left)) = asked()
        && wanted == name
        && left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1
    {
        let _dead = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
        loop {
            std::thread::park(); // the signal is on its way: nothing more is done here
        }
    }
}

/// Dies nowhere.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_name: &'static str) {}

/// Where to die, and how often that place is passed before.
#[cfg(debug_assertions)]
fn asked() -> Option<&'static (String, std::sync::atomic::AtomicI64)> {
    use std::sync::{OnceLock, atomic::AtomicI64};

    static ASKED: OnceLock<Option<(String, AtomicI64)>> = OnceLock::new();
    let asked = ASKED.get_or_init(|| {
        let text = std::env::var("MAESTRO_CRASH_AT").ok()?;
        let (name, times) = match text.split_once(':') {
            Some((name, times)) => (name, times.parse().unwrap_or(1)),
            None => (&*text, 1),
        };
        Some((name.to_owned(), AtomicI64::new(times)))
    });
    asked.as_ref()
}
