//! The operator's hand: services, the formula, the doctor, the editor, Tab, colours. The real `maestroctl` and the real
//! `maestrod`; launchd, brew, and systemd where it is not process 1, are played by the programs in `fakes/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails with a message"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod brew;
mod completion;
mod doctor;
mod edit;
mod launchd;
mod plists;
mod systemd;
mod terminal;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use harness::{
    Place,
    output::{code, parsed, text},
};

fn fakes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operator/fakes")
}

/// A user's own machine: a home, and the managers that are played there. The daemon is configured by a file, because a
/// service sees nothing of a shell's environment.
struct Desk {
    place: Place,
}

impl Desk {
    fn new() -> Self {
        let place = Place::new();
        place.write(
            "home/.config/maestro/maestro.toml",
            "[listen]\nport = 0\n\n[redis]\nmode = \"off\"\n",
        );
        Self { place }
    }

    fn home(&self) -> PathBuf {
        self.place.home()
    }

    fn state_dir(&self) -> PathBuf {
        self.home().join(".maestro/data/state")
    }

    /// `maestroctl`, as this user calls it.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maestroctl"));
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(args)
            .env_clear()
            .env("PATH", format!("{}:{path}", fakes().display()))
            .env("HOME", self.home())
            .env("FAKE_LAUNCHD", self.place.root())
            .env("FAKE_SYSTEMD", self.place.root())
            .env("FAKE_BREW", self.place.root());
        command
    }

    fn ctl(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("maestroctl runs")
    }

    /// What the manager was asked so far, a line each.
    fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.place.root().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}
