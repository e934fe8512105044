//! On a terminal and off it: colours, progress, and what goes to which stream.

use std::{
    io::Read,
    os::fd::OwnedFd,
    process::{Command, Stdio},
};

use nix::pty::openpty;

use crate::{code, harness::Setup, text};

/// Runs a program whose three streams are a terminal; what it shows there.
fn on_a_terminal(command: &mut Command) -> String {
    let pty = openpty(None, None).expect("a terminal");
    let slave: OwnedFd = pty.slave;
    let copy = || Stdio::from(slave.try_clone().expect("a second handle"));
    let mut child = command
        .stdin(copy())
        .stdout(copy())
        .stderr(copy())
        .spawn()
        .expect("it runs");
    // The command keeps what it was given; nobody else may, or the end is never seen.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    drop(slave);
    let mut shown = Vec::new();
    let mut master = std::fs::File::from(pty.master);
    let mut buffer = [0; 4096];
    // Linux answers with an error, macOS with an end, once the other side is closed.
    while let Ok(read @ 1..) = master.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..read]);
    }
    child.wait().expect("it ends");
    String::from_utf8_lossy(&shown).into_owned()
}

#[tokio::test]
async fn colours_are_for_terminals_and_both_conventions_are_kept() {
    let daemon = Setup::new().start().await;
    let status = || {
        let mut command = daemon.setup().command(env!("CARGO_BIN_EXE_maestroctl"));
        command.arg("status");
        command
    };
    let coloured = |text: &str| text.contains("\u{1b}[");
    assert!(coloured(&on_a_terminal(&mut status())));
    assert!(!coloured(&on_a_terminal(status().env("NO_COLOR", "1"))));
    assert!(!coloured(&text(&status().output().unwrap())));
    assert!(coloured(&text(
        &status().env("CLICOLOR_FORCE", "1").output().unwrap()
    )));
    let both = status()
        .env("CLICOLOR_FORCE", "1")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(!coloured(&text(&both)));
}

#[tokio::test]
async fn long_work_shows_how_far_it_is_on_a_terminal_and_only_its_report_elsewhere() {
    let daemon = Setup::new().start().await;
    let root = daemon.place().root().to_owned();
    let ctl = |verb: &str, place: &str| {
        let mut command = daemon.setup().command(env!("CARGO_BIN_EXE_maestroctl"));
        command.arg(verb).arg(root.join(place)).env("TERM", "xterm");
        command
    };
    for (verb, place, again) in [("export", "out", "out2"), ("backup", "a.db", "b.db")] {
        let shown = on_a_terminal(&mut ctl(verb, place));
        assert!(
            shown.contains('\u{1b}') || shown.contains('\r'),
            "{verb}: {shown:?}"
        );
        let quiet = ctl(verb, again).output().unwrap();
        assert_eq!(code(&quiet), 0, "{}", text(&quiet));
        assert!(
            quiet.stderr.is_empty() && !text(&quiet).contains('\u{1b}'),
            "{}",
            text(&quiet)
        );
    }
    let shown = on_a_terminal(&mut ctl("import", "out"));
    assert!(shown.contains('\u{1b}') || shown.contains('\r'), "{shown:?}");
}
