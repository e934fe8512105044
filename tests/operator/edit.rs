//! `maestroctl config edit`, with editors that are scripts.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use crate::{
    code,
    harness::{Daemon, Setup},
    text,
};

/// An editor that runs this on the file.
fn editor(setup: &Setup, script: &str) -> String {
    let file = setup.place().write("editor", &format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file.display().to_string()
}

fn edit(setup: &Setup, file: &PathBuf, script: &str, more: &[&str]) -> std::process::Output {
    let mut command = setup.command(env!("CARGO_BIN_EXE_maestroctl"));
    command
        .arg("--config")
        .arg(file)
        .args(["config", "edit"])
        .args(more);
    command.env("EDITOR", editor(setup, script)).output().unwrap()
}

async fn shown(daemon: &Daemon) -> String {
    text(&daemon.ctl(&["config", "show"]).await)
}

#[tokio::test]
async fn a_good_edit_is_saved_with_its_comments_and_used_at_once_if_wished() {
    let daemon = Setup::new()
        .config("# mine\n[log]\nlevel = \"info\" # for now\n")
        .start()
        .await;
    let setup = daemon.setup();
    let file = setup.place().root().join("maestro.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();

    let edited = edit(setup, &file, "sed -i s/info/debug/ \"$1\"", &[]);
    assert_eq!(code(&edited), 0, "{}", text(&edited));
    assert!(text(&edited).contains("is good, and saved"), "{}", text(&edited));
    assert!(
        text(&edited).contains("→ maestroctl config reload"),
        "{}",
        text(&edited)
    );
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "# mine\n[log]\nlevel = \"debug\" # for now\n"
    );
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(!shown(&daemon).await.contains("debug"), "not before a reload");

    let edited = edit(setup, &file, "sed -i s/debug/trace/ \"$1\"", &["--reload"]);
    assert_eq!(code(&edited), 0, "{}", text(&edited));
    assert!(shown(&daemon).await.contains("trace"));
}

#[test]
fn a_bad_edit_changes_nothing_and_is_kept_for_mending() {
    let setup = Setup::new();
    let file = setup.place().write("maestro.toml", "[log]\nlevel = \"info\"\n");
    let edited = edit(&setup, &file, "sed -i s/level/levle/ \"$1\"", &[]);
    assert_eq!(code(&edited), 1);
    let told = text(&edited);
    assert!(told.contains("levle") && told.contains("level"), "{told}");
    assert!(told.contains("stays as it is; yours is "), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "[log]\nlevel = \"info\"\n");
    let draft = told.split("yours is ").nth(1).unwrap().lines().next().unwrap();
    assert!(fs::read_to_string(draft).unwrap().contains("levle"));
}

#[test]
fn without_a_change_or_with_an_editor_that_fails_nothing_changes() {
    let setup = Setup::new();
    let file = setup.place().write("maestro.toml", "[log]\nlevel = \"info\"\n");
    let untouched = edit(&setup, &file, "true", &[]);
    assert_eq!(
        (code(&untouched), text(&untouched).as_str()),
        (0, "nothing has changed\n")
    );
    let failed = edit(&setup, &file, "echo x >>\"$1\"; exit 3", &[]);
    assert_eq!(code(&failed), 1);
    assert!(text(&failed).contains("nothing has changed"), "{}", text(&failed));
    assert_eq!(fs::read_to_string(&file).unwrap(), "[log]\nlevel = \"info\"\n");
    let left = fs::read_dir(setup.place().root()).unwrap().flatten();
    assert!(
        !left
            .into_iter()
            .any(|file| file.file_name().to_string_lossy().contains("draft"))
    );
}

#[test]
fn who_changed_the_file_meanwhile_is_not_overwritten() {
    let setup = Setup::new();
    let file = setup.place().write("maestro.toml", "[log]\nlevel = \"info\"\n");
    let script = format!(
        "sed -i s/info/debug/ \"$1\"; echo '# theirs' >>{}",
        file.display()
    );
    let edited = edit(&setup, &file, &script, &[]);
    assert_eq!(code(&edited), 1);
    assert!(
        text(&edited).contains("changed by somebody else"),
        "{}",
        text(&edited)
    );
    assert!(fs::read_to_string(&file).unwrap().contains("# theirs"));
}

#[test]
fn a_first_edit_begins_with_a_page_that_says_what_there_is() {
    let setup = Setup::new();
    let mut command = setup.command(env!("CARGO_BIN_EXE_maestroctl"));
    command.args(["config", "edit"]);
    command.env(
        "VISUAL",
        editor(&setup, "echo '[log]\nlevel = \"debug\"' >>\"$1\""),
    );
    let edited = command.env("EDITOR", "false").output().unwrap();
    assert_eq!(code(&edited), 0, "{}", text(&edited));
    let file = setup.place().home().join(".config/maestro/maestro.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with("# maestro.") && text.contains("level = \"debug\""),
        "{text}"
    );
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
