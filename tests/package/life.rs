//! Installing, upgrading, removing, purging.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use crate::booted::machine::{eventually, property, rights, sh, write};
use crate::booted::share;

/// The version that the package is upgraded to.
const SECOND: &str = "99.0.0-1";
const UNIT: &str = "maestro.service";

/// A machine like any other: a container's image may forbid services to start and manuals to be installed.
pub fn prepare() {
    sh("rm -f /usr/sbin/policy-rc.d /etc/dpkg/dpkg.cfg.d/*").well();
    // The next release: the same, under a higher version.
    sh(&format!(
        "cd {} && dpkg-deb --raw-extract first.deb /opt/next && sed -i 's/^Version: .*/Version: {SECOND}/' \
         /opt/next/DEBIAN/control && dpkg-deb -Zgzip -z1 --build /opt/next second.deb && rm -r /opt/next",
        share().display()
    ))
    .well();
    purge();
}

/// As if it had never been here.
pub fn purge() {
    sh("systemctl disable --now maestro.socket maestro.service 2>/dev/null; dpkg --purge maestro 2>&1")
        .well();
}

pub fn install(package: &str) -> String {
    sh(&format!(
        "DEBIAN_FRONTEND=noninteractive dpkg -i {} 2>&1",
        share().join(package).display()
    ))
    .well()
}

fn is_up() {
    sh("maestroctl status --wait ready --timeout 60s").well();
    assert_eq!(property(UNIT, "ActiveState"), "active");
}

fn exists(path: &str) -> bool {
    std::path::Path::new(path).exists()
}

pub fn installed_it_serves_at_once_and_the_status_tells_the_truth() {
    purge();
    install("first.deb");
    is_up();
    let status = sh("maestroctl status").well();
    for part in [
        "systemd (system)",
        "/var/lib/maestro/data",
        "/etc/maestro/maestro.toml",
        "127.0.0.1:3000",
    ] {
        assert!(status.contains(part), "{part} is not in:\n{status}");
    }
    assert_eq!(
        sh("systemctl is-enabled maestro.service").well().trim(),
        "enabled"
    );
    assert_eq!(
        sh("systemctl is-enabled maestro.socket").said.trim(),
        "disabled",
        "an option"
    );
    assert!(
        sh("getent passwd maestro")
            .well()
            .trim()
            .ends_with("/var/lib/maestro:/usr/sbin/nologin")
    );
    assert_eq!(rights("/etc/maestro"), "root:maestro 750");
    assert_eq!(rights("/etc/maestro/maestro.toml"), "root:maestro 640");
    assert_eq!(rights("/var/lib/maestro"), "maestro:maestro 700");
    assert!(sh("systemctl --version | head -1").well().starts_with("systemd"));
    // Somebody else is told, not shown.
    let refused =
        sh("runuser -u nobody -- env HOME=/nonexistent maestroctl --socket /run/maestro/control.sock status");
    assert_eq!(refused.code, Some(4), "{}", refused.said);
}

pub fn upgraded_it_keeps_its_data_and_what_the_administrator_has_changed() {
    purge();
    install("first.deb");
    is_up();
    sh(
        "echo '# mine' >>/etc/maestro/maestro.toml && chmod 600 /etc/maestro/maestro.toml && \
        chown maestro /etc/maestro/maestro.toml",
    )
    .well();
    let daemon = property(UNIT, "MainPID");
    make_project();
    install("second.deb");
    is_up();
    assert_ne!(property(UNIT, "MainPID"), daemon, "the new program runs");
    assert!(has_project(), "on the same store");
    assert!(sh("cat /etc/maestro/maestro.toml").well().contains("# mine"));
    assert_eq!(
        rights("/etc/maestro/maestro.toml"),
        "maestro:maestro 600",
        "an administrator's choice is kept"
    );
    assert_eq!(sh("dpkg-query -W -f '${Version}' maestro").well(), SECOND);

    // What was switched off stays off.
    sh("systemctl disable --now maestro").well();
    install("first.deb");
    assert_eq!(property(UNIT, "ActiveState"), "inactive");
    assert_eq!(sh("systemctl is-enabled maestro.service").said.trim(), "disabled");
}

/// One request to the hub, whole.
fn http(method: &str, path: &str, body: &str) -> String {
    let mut hub = TcpStream::connect("127.0.0.1:3000").expect("the hub");
    let length = body.len();
    write!(
        hub,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .expect("asked");
    let mut answer = String::new();
    hub.read_to_string(&mut answer).expect("answered");
    answer
}

/// Leaves something in the store.
fn make_project() {
    let made = http(
        "POST",
        "/api/projects",
        r#"{"name": "Kept", "workingDir": "/tmp"}"#,
    );
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
}

fn has_project() -> bool {
    http("GET", "/api/projects", "").contains("\"Kept\"")
}

pub fn removed_it_leaves_the_data_for_the_next_installation_and_purged_nothing() {
    purge();
    install("first.deb");
    is_up();
    make_project();
    write("/etc/maestro/tunnel-token", "secret");
    sh("dpkg --remove maestro 2>&1").well();
    assert_eq!(property(UNIT, "ActiveState"), "inactive");
    for gone in [
        "/usr/bin/maestrod",
        "/usr/bin/maestroctl",
        "/usr/lib/systemd/system/maestro.service",
    ] {
        assert!(!exists(gone), "{gone} is still there");
    }
    for kept in [
        "/var/lib/maestro/data/maestro.db",
        "/etc/maestro/maestro.toml",
        "/etc/maestro/tunnel-token",
    ] {
        assert!(exists(kept), "{kept} is gone");
    }
    install("first.deb");
    is_up();
    assert!(has_project(), "the same store");

    sh("dpkg --purge maestro 2>&1").well();
    for gone in [
        "/var/lib/maestro",
        "/var/log/maestro",
        "/run/maestro",
        "/etc/maestro",
        "/usr/bin/maestrod",
    ] {
        assert!(!exists(gone), "{gone} is still there");
    }
    let left =
        sh("find /etc/systemd /var/lib/systemd/deb-systemd-helper* -name '*maestro*' 2>/dev/null").said;
    assert_eq!(left, "", "no link, no mask, no note");
}

pub fn it_is_installed_though_another_server_has_the_port() {
    purge();
    let node = TcpListener::bind("127.0.0.1:3000").expect("free");
    install("first.deb");
    assert_eq!(
        sh("dpkg-query -W -f '${db:Status-Status}' maestro").well(),
        "installed"
    );
    let why = eventually("the status says why", || {
        let shown = sh("systemctl status maestro --no-pager --full").said;
        shown.contains("is taken by another program").then_some(shown)
    });
    assert!(why.contains("exited, status=75"), "{why}");
    let journal = sh("journalctl -u maestro -p err -o cat --no-pager").well();
    assert!(journal.contains("lsof -i :3000"), "and what to do: {journal}");
    drop(node);
    is_up();
    assert!(TcpStream::connect("127.0.0.1:3000").is_ok());
}
