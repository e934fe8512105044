//! Tab in a real bash: what the daemon knows is offered.

use std::process::Command;

use serde_json::json;

use crate::{harness::Setup, text};

/// What bash offers for a line, asked as its own completion machinery asks.
const ASK: &str = r#"
source <(maestroctl completions bash)
COMP_LINE=$1; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
read -ra COMP_WORDS <<<"$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
complete_with=$(complete -p maestroctl | sed 's/.*-F \([^ ]*\).*/\1/')
$complete_with maestroctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

fn offered(setup: &Setup, line: &str) -> Vec<String> {
    let here = std::path::Path::new(env!("CARGO_BIN_EXE_maestroctl"))
        .parent()
        .unwrap();
    let mut command: Command = setup.command("bash");
    let path = format!("{}:{}", here.display(), std::env::var("PATH").unwrap_or_default());
    let asked = command
        .args(["--norc", "-c", ASK, "bash", line])
        .env("PATH", path)
        .output()
        .expect("bash runs");
    assert!(asked.status.success(), "{}", text(&asked));
    let words = String::from_utf8_lossy(&asked.stdout).into_owned();
    words
        .lines()
        .map(|word| word.trim().to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

#[tokio::test]
async fn sessions_children_logs_and_commands_are_completed() {
    let daemon = Setup::new().start().await;
    let project = daemon
        .post("/api/projects", json!({"name": "P"}))
        .await
        .expect(201);
    let task = json!({"projectId": project["id"], "title": "T"});
    let task = daemon.post("/api/tasks", task).await.expect(201);
    let session = json!({"projectId": project["id"], "taskIds": [task["id"]], "name": "Builder"});
    let session = daemon.post("/api/sessions", session).await.expect(201);
    let id = session["id"].as_str().unwrap();
    let beat = daemon
        .post(
            &format!("/api/sessions/{id}/heartbeat"),
            json!({"host": "elsewhere"}),
        )
        .await;
    beat.expect(200);
    let setup = daemon.setup();
    assert_eq!(offered(setup, "maestroctl answer ")[0], id, "before the options");
    assert_eq!(
        offered(setup, &format!("maestroctl mail list --session {}", &id[..6])),
        [id]
    );
    assert_eq!(offered(setup, "maestroctl restart r"), ["redis"]);
    assert_eq!(offered(setup, "maestroctl logs h"), ["hub"]);
    assert_eq!(offered(setup, "maestroctl serv"), ["service"]);
    assert_eq!(offered(setup, "maestroctl service unin"), ["uninstall"]);
}

#[test]
fn without_a_daemon_tab_offers_the_rest_and_says_nothing() {
    let setup = Setup::new();
    assert!(
        !offered(&setup, "maestroctl answer ")
            .iter()
            .any(|word| word.starts_with("sess_"))
    );
    assert_eq!(offered(&setup, "maestroctl stop t"), ["tunnel"]);
    assert!(offered(&setup, "maestroctl devices revoke x").is_empty());
}

#[test]
fn every_shell_gets_a_script_that_asks_us() {
    let setup = Setup::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let mut command = setup.command(env!("CARGO_BIN_EXE_maestroctl"));
        let script = command.args(["completions", shell]).output().unwrap();
        assert!(
            text(&script).contains("MAESTROCTL_COMPLETE"),
            "{shell}: {}",
            text(&script)
        );
    }
}
