//! An operator lets telephones in and out: `maestroctl pair`, `devices`, `lockdown` and `audit` against the real daemon.
//! The phone redeems its code at the ingress, which tests/attacks knows more about.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::harness::{
    Ask, Daemon, Setup, eventually,
    output::{code, parsed, text},
};

/// Runs `maestroctl` to a good end.
async fn done(daemon: &Daemon, args: &[&str]) -> String {
    let output = daemon.ctl(args).await;
    assert_eq!(code(&output), 0, "{args:?}: {}", text(&output));
    text(&output)
}

async fn devices(daemon: &Daemon) -> Value {
    parsed(&daemon.ctl(&["devices", "--json"]).await)
}

async fn audit(daemon: &Daemon) -> Vec<Value> {
    let lines = done(daemon, &["audit", "-n", "1000", "--json"]).await;
    let line = |line: &str| serde_json::from_str(line).expect("a JSON object");
    lines.lines().map(line).collect()
}

async fn warnings(daemon: &Daemon) -> Vec<String> {
    let status = parsed(&daemon.ctl(&["status", "--json"]).await);
    let warnings = status["warnings"].as_array().expect("warnings").iter();
    warnings
        .filter_map(|warning| Some(warning["code"].as_str()?.to_owned()))
        .collect()
}

/// A hub that somebody else's tunnel leads to.
fn reachable() -> Setup {
    Setup::new().config("[tunnel]\nmode = \"external\"\nurl = \"https://hub.example\"\n")
}

/// A phone, and what proves it.
#[derive(Debug)]
struct Phone {
    id: String,
    cookie: String,
    token: String,
}

/// A phone that shows a code and tells its name; or why it is not paired.
async fn redeem(daemon: &Daemon, code: &str) -> Result<Phone, String> {
    let socket = daemon.place().runtime_dir().join("ingress.sock");
    // It opens a moment after the local door.
    let stream = eventually("the ingress listens", || async {
        UnixStream::connect(&socket).await.ok()
    })
    .await;
    let ask = Ask::new("POST", "/pair")
        .header("origin", "https://hub.example")
        .json(&json!({"code": code, "name": "iPhone of Anna"}));
    let answer = ask.over(stream, "hub.example").await;
    if answer.status != 201 {
        return Err(answer.text());
    }
    let cookie = answer
        .header("set-cookie")
        .and_then(|cookie| cookie.split(';').next());
    let cookie = cookie.and_then(|cookie| cookie.strip_prefix("__Host-maestro="));
    let told = answer.json();
    Ok(Phone {
        id: told["device"]["id"].as_str().expect("an id").to_owned(),
        cookie: cookie.expect("a cookie").to_owned(),
        token: told["token"].as_str().expect("a token").to_owned(),
    })
}

/// A code that is left live.
async fn mint(daemon: &Daemon) -> String {
    let output = daemon.ctl(&["pair", "--no-wait", "--json"]).await;
    assert_eq!(code(&output), 0, "{}", text(&output));
    parsed(&output)["code"].as_str().expect("a code").to_owned()
}

async fn pair(daemon: &Daemon) -> Phone {
    let code = mint(daemon).await;
    let redeemed = redeem(daemon, &code).await;
    redeemed.unwrap_or_else(|error| panic!("{error}"))
}

/// A `maestroctl pair` that waits.
struct Waiting {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Waiting {
    fn start(daemon: &Daemon, args: &[&str]) -> Self {
        let mut command = daemon.setup().command(env!("CARGO_BIN_EXE_maestroctl"));
        let spawned = command.arg("pair").args(args).stdout(Stdio::piped()).spawn();
        let mut child = spawned.expect("maestroctl runs");
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, lines }
    }

    /// The next line; empty at the end. Blocks, as this test has nothing else to do.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it can be read");
        line
    }

    fn json(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        kill(pid, signal).expect("it can be signalled");
    }

    fn end(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

async fn live_codes(daemon: &Daemon, count: usize) {
    eventually(&format!("{count} codes are live"), || async {
        (devices(daemon).await["live_codes"] == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_paired_while_maestroctl_waits_then_renamed_narrowed_and_revoked() {
    let daemon = reachable().start().await;
    let mut waiting = Waiting::start(&daemon, &["--scopes", "view,mail", "--json"]);
    let shown = waiting.json();
    assert_eq!(
        (&shown["step"], &shown["scopes"]),
        (&json!("code"), &json!(["view", "mail"]))
    );
    let page = format!(
        "https://hub.example/pair/{}",
        shown["code"].as_str().unwrap().replace('-', "")
    );
    assert_eq!(shown["url"], page);
    let typed = shown["code"].as_str().unwrap().to_lowercase().replace('-', " ");
    let paired = redeem(&daemon, &typed).await.expect("the code is right");
    let told = waiting.json();
    assert_eq!(
        (&told["step"], &told["device"]["name"]),
        (&json!("paired"), &json!("iPhone of Anna"))
    );
    assert_eq!(waiting.end(), Some(0));
    let again = redeem(&daemon, &typed).await.expect_err("a code is used once");
    assert!(again.to_string().contains("used already"), "{again}");

    let list = done(&daemon, &["devices"]).await;
    assert!(
        list.contains("iPhone of Anna") && list.contains("view,mail"),
        "{list}"
    );
    done(&daemon, &["devices", "rename", "iphone", "Old phone"]).await;
    let narrowed = done(&daemon, &["devices", "scopes", "old", "view"]).await;
    assert_eq!(narrowed, "Old phone may: view\n");
    let row = &devices(&daemon).await["devices"][0];
    assert_eq!(
        (&row["id"], &row["name"]),
        (&json!(paired.id), &json!("Old phone"))
    );
    assert!(done(&daemon, &["status"]).await.contains("1 paired, 0 connected"));
    done(&daemon, &["devices", "revoke", &paired.id]).await;
    assert_eq!(
        done(&daemon, &["devices"]).await,
        "No device is paired. Pair one: maestroctl pair\n"
    );

    let lines = audit(&daemon).await;
    let done: Vec<_> = lines.iter().filter(|line| line["result"] == "ok").collect();
    let actions: Vec<_> = done.iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["mint_code", "pair", "rename", "scopes", "revoke"]);
    assert!(
        lines.iter().any(|line| line["result"] == "spent_code"),
        "{lines:#?}"
    );
    assert_eq!(done[4]["of"], json!(paired.id));
}

#[tokio::test]
async fn a_device_is_paired_for_good_once_the_phone_was_told_whatever_kills_the_daemon() {
    let mut daemon = reachable().start().await;
    for n in 1..=3 {
        let code = mint(&daemon).await;
        let unused = mint(&daemon).await;
        let paired = redeem(&daemon, &code).await.expect("the code is right");
        daemon.kill().await;
        daemon = daemon.setup().clone().start().await;
        let known = devices(&daemon).await;
        let ids = known["devices"].as_array().unwrap().iter().map(|row| &row["id"]);
        assert!(ids.clone().any(|id| *id == json!(paired.id)), "{known:#}");
        assert_eq!((ids.count(), &known["live_codes"]), (n, &json!(0)));
        let gone = redeem(&daemon, &unused)
            .await
            .expect_err("codes end with the daemon");
        assert!(gone.to_string().contains("not a code"), "{gone}");
    }
    let pairs = audit(&daemon).await;
    assert_eq!(
        pairs
            .iter()
            .filter(|line| line["action"] == "pair" && line["result"] == "ok")
            .count(),
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_taken_back_by_ctrl_c_and_by_a_terminal_that_dies() {
    let daemon = reachable().start().await;
    let mut waiting = Waiting::start(&daemon, &[]);
    let mut told = waiting.line();
    assert!(told.starts_with("open      https://hub.example/pair/"), "{told}");
    while !told.contains("for one device") {
        told = waiting.line();
        assert!(!told.is_empty(), "it ended");
    }
    live_codes(&daemon, 1).await;
    waiting.signal(Signal::SIGINT);
    assert_eq!(waiting.line(), "The code was taken back.\n");
    assert_eq!(waiting.end(), Some(1));
    live_codes(&daemon, 0).await;

    let mut waiting = Waiting::start(&daemon, &["--json"]);
    let shown = waiting.json();
    waiting.signal(Signal::SIGKILL);
    waiting.end();
    live_codes(&daemon, 0).await;
    let refused = redeem(&daemon, shown["code"].as_str().unwrap())
        .await
        .err()
        .unwrap();
    assert!(refused.to_string().contains("taken back"), "{refused}");
    let lines = audit(&daemon).await;
    assert_eq!(
        lines
            .iter()
            .filter(|line| line["action"] == "withdraw_code")
            .count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_the_minutes_left_and_is_told_which_device_came() {
    let daemon = reachable().start().await;
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    let mut command = daemon.setup().command(env!("CARGO_BIN_EXE_maestroctl"));
    let mut child = command
        .arg("pair")
        .stdout(Stdio::from(pty.slave))
        .spawn()
        .expect("maestroctl runs");
    drop(command); // it holds the other end of the terminal
    let mut master = fs::File::from(pty.master);
    let mut shown = String::new();
    let mut read_until = |sign: &str| {
        let mut buffer = [0; 1024];
        while !shown.contains(sign) {
            let read = master.read(&mut buffer).unwrap_or(0);
            assert!(read > 0, "it ended before {sign:?} in {shown:?}");
            shown += &String::from_utf8_lossy(&buffer[..read]);
        }
        shown.clone()
    };
    let text = read_until("left, Ctrl-C takes the code back");
    let code = text.split("code ").nth(1).expect("a code").trim_start();
    let code: String = code.chars().skip_while(|c| !c.is_ascii_alphanumeric()).collect();
    let code = code
        .trim_start_matches("1m")
        .get(..9)
        .expect("nine characters")
        .to_owned();
    redeem(&daemon, &code).await.expect("the code is right");
    read_until(" paired (view, answer, mail)");
    assert!(child.wait().expect("it ends").success());
}

#[tokio::test]
async fn a_lockdown_ends_all_devices_and_codes_and_outlives_a_restart() {
    let daemon = reachable().start().await;
    pair(&daemon).await;
    let code_left = mint(&daemon).await;
    let told = done(&daemon, &["lockdown"]).await;
    assert!(told.contains("1 device revoked"), "{told}");
    let daemon = daemon.restart().await;
    assert!(warnings(&daemon).await.contains(&"lockdown".to_owned()));
    let refused = daemon.ctl(&["pair", "--no-wait"]).await;
    assert_eq!(code(&refused), 1);
    assert!(
        text(&refused).contains("→ maestroctl lockdown --lift"),
        "{}",
        text(&refused)
    );
    let refused = redeem(&daemon, &code_left).await.unwrap_err();
    assert!(refused.to_string().contains("locked down"), "{refused}");
    assert!(done(&daemon, &["devices"]).await.contains("Locked down"));
    done(&daemon, &["lockdown", "--lift"]).await;
    assert_eq!(
        done(&daemon, &["lockdown", "--lift"]).await,
        "it was not locked down\n"
    );
    assert!(!warnings(&daemon).await.contains(&"lockdown".to_owned()));
    pair(&daemon).await;
    assert_eq!(
        done(&daemon, &["devices", "revoke", "--all"]).await,
        "1 device revoked\n"
    );
}

#[tokio::test]
async fn an_audit_that_cannot_be_written_keeps_phones_out_but_not_the_operator() {
    let daemon = reachable().start().await;
    let phone = pair(&daemon).await;
    let file = daemon.place().state_dir().join("audit.jsonl");
    fs::rename(&file, file.with_extension("aside")).unwrap();
    fs::create_dir(&file).unwrap();
    let live = mint(&daemon).await;
    let refused = redeem(&daemon, &live).await.expect_err("nobody comes in unseen");
    assert!(
        refused.to_string().contains("could not be written down"),
        "{refused}"
    );
    assert!(warnings(&daemon).await.contains(&"audit_trouble".to_owned()));
    done(&daemon, &["devices", "revoke", &phone.id]).await;
    fs::remove_dir(&file).unwrap();
    eventually("it is written again", || async {
        (!warnings(&daemon).await.contains(&"audit_trouble".to_owned())).then_some(())
    })
    .await;
    redeem(&daemon, &live).await.expect("the code is still live");
    assert!(audit(&daemon).await.iter().any(|line| line["action"] == "gap"));
}

#[tokio::test]
async fn the_audit_is_followed_as_it_happens() {
    let daemon = reachable().start().await;
    pair(&daemon).await;
    let mut command = daemon.setup().command(env!("CARGO_BIN_EXE_maestroctl"));
    let spawned = command
        .args(["audit", "-f", "-n", "1"])
        .stdout(Stdio::piped())
        .spawn();
    let mut child = spawned.expect("maestroctl runs");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let first = tokio::task::spawn_blocking(move || (lines.next(), lines));
    let (first, mut lines) = first.await.unwrap();
    assert!(
        first.unwrap().unwrap().contains("iPhone of Anna    pair"),
        "the newest line"
    );
    done(&daemon, &["devices", "revoke", "--all"]).await;
    let next = tokio::task::spawn_blocking(move || lines.next()).await.unwrap();
    let next = next.unwrap().unwrap();
    assert!(
        next.contains("operator") && next.contains("revoke dev_"),
        "{next}"
    );
    child.kill().expect("it can be ended");
    child.wait().expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_code_and_no_half_is_in_a_log_a_file_a_command_line_or_the_audit() {
    let daemon = reachable().env("LOG_LEVEL", "trace").start().await;
    let mut waiting = Waiting::start(&daemon, &["--json"]);
    let typed = waiting.json()["code"].as_str().unwrap().to_owned();
    let seen = command_lines(&[daemon.pid(), i32::try_from(waiting.child.id()).unwrap()]);
    let phone = redeem(&daemon, &typed).await.expect("the code is right");
    waiting.line();
    waiting.end();
    let half = phone.cookie.rsplit('.').next().unwrap().to_owned();
    let secrets = [typed.clone(), typed.replace('-', ""), half, phone.token.clone()];
    done(&daemon, &["status"]).await;
    let mut texts = vec![seen, daemon.log(), done(&daemon, &["audit", "--json"]).await];
    texts.push(done(&daemon, &["logs", "-n", "10000"]).await);
    read_all(daemon.place().root(), &mut texts);
    let id = phone.id.as_str();
    let knowing = texts.iter().filter(|text| text.contains(id)).count();
    assert!(
        knowing >= 4,
        "what is no secret is found: in the log, the audit, the store"
    );
    for text in texts {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "a secret is in {text:.2000}");
        }
    }
}

fn command_lines(pids: &[i32]) -> String {
    let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
    let listed = Command::new("ps")
        .args(["-o", "args=", "-p", &pids.join(",")])
        .output();
    let listed = String::from_utf8_lossy(&listed.expect("ps runs").stdout).into_owned();
    assert!(
        listed.contains("maestrod") && listed.contains("maestroctl"),
        "{listed}"
    );
    listed
}

fn read_all(dir: &std::path::Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(dir).expect("it can be read") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            read_all(&path, texts);
        } else if let Ok(bytes) = fs::read(&path) {
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_next_step() {
    let daemon = Setup::new().start().await;
    let project = daemon
        .post("/api/projects", json!({"name": "Demo"}))
        .await
        .expect(201);
    for (args, exit, told) in [
        (
            &["pair", "--no-wait", "--scopes", "view,root"][..],
            1,
            "there is no scope \"root\"",
        ),
        (
            &["pair", "--no-wait", "--project", "moon"],
            1,
            project["id"].as_str().unwrap(),
        ),
        (&["pair", "--no-wait", "--name", " "], 1, "1 to 64 characters"),
        (
            &["devices", "revoke", "moon"],
            1,
            "`maestroctl devices` shows them",
        ),
        (&["devices", "revoke"], 2, "Usage"),
        (&["devices", "scopes", "moon"], 2, "Usage"),
        (&["pair", "--help"], 0, "Examples:"),
        (&["lockdown", "--help"], 0, "Examples:"),
    ] {
        let output = daemon.ctl(args).await;
        assert_eq!(code(&output), exit, "{args:?}: {}", text(&output));
        assert!(text(&output).contains(told), "{args:?}: {}", text(&output));
    }
    let unreachable = done(&daemon, &["pair", "--no-wait"]).await;
    assert!(unreachable.contains("There is no tunnel"), "{unreachable}");
    for _ in 0..2 {
        mint(&daemon).await;
    }
    let fourth = daemon.ctl(&["pair", "--no-wait"]).await;
    assert!(
        code(&fourth) == 1 && text(&fourth).contains("three pairing codes are live"),
        "{}",
        text(&fourth)
    );
}
