//! The Debian package, really made, installed, upgraded, removed and purged in a booted system that is thrown away.
//!
//! To save time it is made of the programs of this build and not of the `dist` profile; everything else is as `make deb`
//! makes it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is how a test fails")]

#[path = "../booted/mod.rs"]
mod booted;
mod contents;
mod life;
mod page;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// What is installed first, and what it is upgraded to.
pub const FIRST: &str = "0.1.0-1";
pub const SECOND: &str = "0.1.0-2";

fn main() -> ExitCode {
    if Command::new("cargo")
        .args(["deb", "--version"])
        .output()
        .map_or(true, |ran| !ran.status.success())
    {
        println!("skipped, the Debian package: cargo-deb is not installed (tests/install-deps.sh deb)");
        return ExitCode::SUCCESS;
    }
    let stories = stories![
        contents::the_programs_link_nothing_but_the_c_library,
        contents::lintian_has_no_complaint_that_is_not_answered,
        life::installed_it_serves_at_once_and_the_status_tells_the_truth,
        life::upgraded_it_is_restarted_with_its_data_and_the_changed_configuration,
        life::disabled_it_stays_disabled_over_an_upgrade,
        life::removed_it_leaves_the_data_for_the_next_installation_and_purged_nothing,
        life::it_is_installed_though_another_server_has_the_port,
        page::every_command_of_the_page_works,
    ];
    booted::main(stories, life::prepare, || {
        vec![("first.deb", package(FIRST)), ("second.deb", package(SECOND))]
    })
}

fn package(version: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("maestro_{version}.deb"));
    let made = Command::new(root.join("packaging/deb.sh"))
        .args([
            profile,
            "--strip",
            "--fast",
            "-Z",
            "gz",
            "-q",
            "--deb-version",
            version,
            "-o",
        ])
        .arg(&to)
        .current_dir(root)
        .output()
        .expect("packaging/deb.sh runs");
    assert!(
        made.status.success(),
        "packaging/deb.sh: {}{}",
        String::from_utf8_lossy(&made.stdout),
        String::from_utf8_lossy(&made.stderr)
    );
    to
}
