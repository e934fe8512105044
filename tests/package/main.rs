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

fn main() -> ExitCode {
    if !booted::is_inside() && !has_cargo_deb() {
        println!("skipped, the Debian package: cargo-deb is not installed (tests/install-deps.sh deb)");
        return ExitCode::SUCCESS;
    }
    let stories = stories![
        contents::the_programs_link_nothing_but_the_c_library,
        contents::lintian_has_no_complaint_that_is_not_answered,
        life::installed_it_serves_at_once_and_the_status_tells_the_truth,
        life::upgraded_it_keeps_its_data_and_what_the_administrator_has_changed,
        life::removed_it_leaves_the_data_for_the_next_installation_and_purged_nothing,
        life::it_is_installed_though_another_server_has_the_port,
        page::every_command_of_the_page_works,
    ];
    booted::main(stories, life::prepare, || vec![("first.deb", package())])
}

fn has_cargo_deb() -> bool {
    let asked = Command::new("cargo").args(["deb", "--version"]).output();
    asked.is_ok_and(|told| told.status.success())
}

fn package() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("maestro_first.deb");
    let made = Command::new(root.join("packaging/deb.sh"))
        .args([profile, "--strip", "--fast", "-q", "-o"])
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
