//! Sockets that systemd opened for us (`sd_listen_fds`), so that no client is refused while we restart.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tracing::warn;

use super::notify::{ReadEnv, number};

/// A socket the manager opened, with the name it has in the unit.
#[derive(Debug)]
pub struct Activated {
    pub fd: OwnedFd,
    pub name: String,
}

/// The first descriptor handed over, by the rules of `sd_listen_fds`.
const FIRST_FD: RawFd = 3;
/// No unit of ours hands over more; a larger number is not meant for us.
const MOST_FDS: usize = 64;

/// Which descriptors the variables speak of, if they speak to process `pid`.
fn announced(env: ReadEnv<'_>, pid: u32) -> Vec<(RawFd, String)> {
    let count = number::<usize>(env, "LISTEN_FDS")
        .filter(|count| *count <= MOST_FDS)
        .unwrap_or(0);
    if number(env, "LISTEN_PID") != Some(pid) {
        return Vec::new();
    }
    let names = env("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.to_string_lossy();
    let mut names = names.split(':');
    (FIRST_FD..)
        .take(count)
        .map(|fd| {
            (
                fd,
                names
                    .next()
                    .filter(|name| !name.is_empty())
                    .unwrap_or("unknown")
                    .to_owned(),
            )
        })
        .collect()
}

/// Takes the sockets this process was started with, and keeps them from its children. Call once, before anything
/// else opens descriptors: they are known by number only.
pub fn take_activated() -> Vec<Activated> {
    let found = announced(&|name| std::env::var_os(name), std::process::id());
    found
        .into_iter()
        .filter_map(|(fd, name)| take(fd, name))
        .collect()
}

#[allow(unsafe_code)]
fn take(fd: RawFd, name: String) -> Option<Activated> {
    // SAFETY: the manager opened this number for us (LISTEN_PID is ours), and nobody else takes it: the caller does
    // this once, first thing. A number that is not open is refused right below, before anybody uses it.
    let is_open = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
    if !is_open {
        warn!(fd, "a socket was announced and is not there");
        return None;
    }
    // SAFETY: open, as just seen, and ours, as said above.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some(Activated { fd, name })
}

#[cfg(test)]
mod tests {
    use std::os::{
        fd::{AsRawFd, IntoRawFd},
        unix::net::UnixDatagram,
    };

    use super::*;

    #[test]
    fn sockets_are_taken_only_if_they_were_opened_for_us() {
        let announced_to = |pid, env: &'static [(&str, &str)]| {
            let read = move |name: &str| {
                env.iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| (*value).into())
            };
            announced(&read, pid)
        };
        const TWO: &[(&str, &str)] = &[
            ("LISTEN_PID", "7"),
            ("LISTEN_FDS", "2"),
            ("LISTEN_FDNAMES", "hub:"),
        ];
        assert_eq!(
            announced_to(7, TWO),
            [(3, "hub".to_owned()), (4, "unknown".to_owned())]
        );
        assert_eq!(announced_to(8, TWO), []);
        for env in [
            &[("LISTEN_PID", "7")] as &[_],
            &[("LISTEN_PID", "7"), ("LISTEN_FDS", "-1")],
            &[("LISTEN_PID", "7"), ("LISTEN_FDS", "4000000000")],
            &[("LISTEN_FDS", "1")],
        ] {
            assert_eq!(announced_to(7, env), [], "{env:?}");
        }
    }

    #[test]
    fn a_socket_that_is_taken_is_not_passed_on_to_children() {
        let (one, _other) = UnixDatagram::pair().expect("a pair");
        let open = one.as_raw_fd();
        fcntl(&one, FcntlArg::F_SETFD(FdFlag::empty())).expect("inheritable, as systemd hands it over");
        assert_eq!(one.into_raw_fd(), open);
        let taken = take(open, "hub".into()).expect("it is open");
        let flags = fcntl(&taken.fd, FcntlArg::F_GETFD).expect("readable");
        assert_eq!(FdFlag::from_bits_truncate(flags), FdFlag::FD_CLOEXEC);
        assert!(take(1_000_000, "x".into()).is_none());
    }
}
