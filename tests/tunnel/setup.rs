//! `maestroctl tunnel setup`, from nothing to a named tunnel that runs, and again.

use std::{fs, os::unix::fs::PermissionsExt, process::Output};

use crate::{
    harness::{
        Edge, Setup,
        output::{code, text},
    },
    operator::tunnel_becomes,
};

fn ctl(setup: &Setup, args: &[&str]) -> Output {
    let mut command = setup.command(env!("CARGO_BIN_EXE_maestroctl"));
    let file = setup.place().root().join("maestro.toml");
    command.arg("--config").arg(file).args(args);
    command.output().expect("maestroctl runs")
}

const ARGS: [&str; 7] = [
    "tunnel",
    "setup",
    "--name",
    "hub",
    "--hostname",
    "hub.example.com",
    "--yes",
];

#[tokio::test]
async fn a_setup_logs_in_makes_routes_and_configures_and_can_be_repeated() {
    let edge = Edge::start().await;
    let setup = Setup::new();
    let before = format!(
        "# mine\n[tunnel]\nmode = \"quick\"\nbinary = {:?}\n\n[log]\nlevel = \"debug\"\n",
        edge.binary()
    );
    let file = setup.place().write("maestro.toml", &before);
    let first = ctl(&setup, &ARGS);
    assert_eq!(code(&first), 0, "{}", text(&first));
    for said in [
        "login    done",
        "hub is made",
        "hub.example.com leads to hub",
        "written to",
        "maestroctl pair",
    ] {
        assert!(text(&first).contains(said), "{said} in\n{}", text(&first));
    }
    assert_eq!(edge.account()["routes"]["hub.example.com"], "hub");
    let after = fs::read_to_string(&file).expect("there");
    assert!(
        after.starts_with("# mine\n[tunnel]\nmode = \"named\"\n"),
        "{after}"
    );
    assert!(after.ends_with("\n\n[log]\nlevel = \"debug\"\n"), "{after}");
    let credentials = setup.place().state_dir().join("cloudflared/hub.json");
    assert_eq!(
        fs::metadata(&credentials).expect("there").permissions().mode() & 0o777,
        0o600
    );

    let again = ctl(&setup, &ARGS);
    assert_eq!(code(&again), 0, "{}", text(&again));
    for said in ["login    done before", "hub exists", "says so already"] {
        assert!(text(&again).contains(said), "{said} in\n{}", text(&again));
    }
    // A secret that got lost is fetched.
    fs::remove_file(&credentials).expect("lost");
    let third = ctl(&setup, &ARGS);
    assert!(
        code(&third) == 0 && text(&third).contains("fetched into"),
        "{}",
        text(&third)
    );

    // And the daemon runs with what was written.
    let daemon = setup.config(&after).start().await;
    let part = tunnel_becomes(&daemon, "ready").await;
    assert!(
        part["detail"]
            .as_str()
            .expect("text")
            .contains("https://hub.example.com"),
        "{part}"
    );
    let argv = edge.starts().pop().expect("started").argv;
    assert_eq!(argv.last().map(String::as_str), Some("run"), "{argv:?}");
    // Only its own host leads in.
    let foreign = edge.get("/").await;
    assert_eq!(foreign.status, 404);
}

#[tokio::test]
async fn a_step_that_fails_says_why_and_what_was_done_is_kept() {
    let edge = Edge::start().await;
    let setup = Setup::new();
    setup.place().write("maestro.toml", &edge.quick_config());
    assert_eq!(code(&ctl(&setup, &ARGS)), 0);
    let other = ctl(
        &setup,
        &[
            "tunnel",
            "setup",
            "--name",
            "other",
            "--hostname",
            "hub.example.com",
            "--yes",
        ],
    );
    assert_eq!(code(&other), 1);
    let told = text(&other);
    assert!(
        told.contains("tunnel route dns") && told.contains("already exists"),
        "{told}"
    );
    assert!(told.contains("→ mend that and run the setup again"), "{told}");
}

#[tokio::test]
async fn without_a_terminal_nothing_is_guessed() {
    let edge = Edge::start().await;
    let setup = Setup::new();
    setup.place().write("maestro.toml", &edge.quick_config());
    for args in [
        &["tunnel", "setup"][..],
        &["tunnel", "setup", "--hostname", "hub.example.com"],
        &["tunnel", "setup", "--hostname", "-x", "--yes"],
    ] {
        let out = ctl(&setup, args);
        assert_eq!(code(&out), 2, "{args:?}: {}", text(&out));
    }
    assert_eq!(edge.account(), serde_json::Value::Null, "nothing was done");
}

#[tokio::test]
async fn without_the_program_it_says_where_to_get_it() {
    let setup = Setup::new();
    setup
        .place()
        .write("maestro.toml", "[tunnel]\nbinary = \"/nowhere/cloudflared\"\n");
    let out = ctl(&setup, &ARGS);
    assert_eq!(code(&out), 1);
    assert!(
        text(&out).contains("cloudflared is not here") && text(&out).contains("→ install it"),
        "{}",
        text(&out)
    );
}
