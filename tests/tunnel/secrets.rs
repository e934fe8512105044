//! Where the token of a tunnel must not be, and what a tunnel must not be told.

use std::{fs, path::Path};

use crate::{
    harness::{Edge, Setup, output::text, tunnel::TOKEN},
    operator::tunnel_becomes,
};

/// What init systems and careless shells put into a daemon's environment.
const FOREIGN: &[(&str, &str)] = &[
    ("NOTIFY_SOCKET", "/nowhere/notify"),
    ("WATCHDOG_USEC", "90000000"),
    ("LISTEN_FDNAMES", "x"),
    ("JOURNAL_STREAM", "8:1234"),
    ("TUNNEL_TOKEN", "eyJzdG9sZW4iOiJ5ZXMifQ=="),
    ("TUNNEL_URL", "http://evil.example"),
    ("ANTHROPIC_API_KEY", "sk-key"),
];

fn files(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

#[tokio::test]
async fn the_token_is_in_its_file_and_nowhere_else() {
    let edge = Edge::start().await;
    let mut setup = Setup::new().config(&edge.config()).env("LOG_LEVEL", "trace");
    for (name, value) in FOREIGN {
        setup = setup.env(name, *value);
    }
    let daemon = setup.start().await;
    tunnel_becomes(&daemon, "ready").await;
    let shown = [
        text(&daemon.ctl(&["status"]).await),
        text(&daemon.ctl(&["tunnel", "status", "--json"]).await),
        text(&daemon.ctl(&["config", "show"]).await),
        text(&daemon.ctl(&["logs", "hub"]).await),
        text(&daemon.ctl(&["logs", "tunnel"]).await),
        text(&daemon.ctl(&["doctor"]).await),
    ];
    assert!(
        shown.iter().all(|text| !text.contains(TOKEN)),
        "shown to an operator"
    );

    let mut everything = Vec::new();
    files(daemon.place().root(), &mut everything);
    assert!(
        everything
            .iter()
            .any(|file| file.ends_with("cloudflared/config.yml"))
    );
    for file in everything {
        let held = fs::read(&file).unwrap_or_default();
        let has = held.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
        assert!(!has, "in {}", file.display());
    }

    let start = edge.starts().pop().expect("started");
    let line = fs::read(format!("/proc/{}/cmdline", start.pid)).expect("alive");
    let line = String::from_utf8_lossy(&line).into_owned();
    assert!(line.contains("--token-file") && !line.contains(TOKEN), "{line}");
    let env = fs::read(format!("/proc/{}/environ", start.pid)).expect("alive");
    let env = String::from_utf8_lossy(&env).into_owned();
    assert!(!env.contains(TOKEN));
    for (name, _) in FOREIGN {
        assert!(!env.contains(name), "{name} in its environment");
    }
}

#[tokio::test]
async fn what_is_written_for_it_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let edge = Edge::start().await;
    let daemon = Setup::new().config(&edge.config()).start().await;
    tunnel_becomes(&daemon, "ready").await;
    let dir = daemon.place().state_dir().join("cloudflared");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("config.yml")), 0o600);
    assert_eq!(mode(&daemon.place().state_dir().join("logs/tunnel.log")), 0o600);
}

#[tokio::test]
async fn a_token_file_open_to_others_keeps_the_tunnel_shut_and_doctor_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let edge = Edge::start().await;
    fs::set_permissions(edge.token_file(), fs::Permissions::from_mode(0o644)).expect("set");
    let setup = Setup::new();
    setup
        .place()
        .write("home/.cloudflared/config.yml", "ingress: []\n");
    let daemon = setup.config(&edge.config()).start().await;
    let part = tunnel_becomes(&daemon, "blocked").await;
    assert_eq!(part["reason"], "secret_exposed");
    assert!(
        part["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.contains("chmod 600")),
        "{part}"
    );
    assert_eq!(edge.starts().len(), 0);
    let file = daemon.place().root().join("maestro.toml");
    let doctor = text(
        &daemon
            .ctl(&["--config", file.to_str().expect("text"), "doctor"])
            .await,
    );
    assert!(doctor.contains("is open to others (mode 644)"), "{doctor}");
    assert!(
        doctor.contains(".cloudflared/config.yml is there and is not used"),
        "{doctor}"
    );
}
