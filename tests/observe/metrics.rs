//! Metrics, read as Prometheus reads them, and what is shipped to look at them with.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::{
    harness::{Ask, Daemon, Setup},
    repo, text_of,
};

/// Prometheus's own check, as `tests/install-deps.sh promtool` leaves it.
fn promtool(args: &[&str], input: &str, dir: &Path) -> Output {
    let ours = repo("target/promtool");
    let program = if ours.exists() {
        ours
    } else {
        PathBuf::from("promtool")
    };
    let mut child = Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: tests/install-deps.sh promtool");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("promtool reads");
    drop(stdin);
    child.wait_with_output().expect("promtool ends")
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// A hub with a redis of its own, whose metrics Prometheus may read, where something has happened.
async fn busy_hub() -> (Daemon, u16) {
    let setup = Setup::new().without_env("REDIS_ENABLED");
    let config = "[redis]\nmode = \"managed\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n";
    let daemon = setup.config(config).start().await;
    let ready = daemon
        .ctl(&["status", "--wait", "ready", "--timeout", "60s", "--json"])
        .await;
    let status: Value = serde_json::from_slice(&ready.stdout).expect("a status");
    let address = status["hub"]["metrics"].as_str().expect("metrics are served");
    let port = address
        .trim_end_matches("/metrics")
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    (daemon, port)
}

async fn scrape(port: u16) -> String {
    let answer = Ask::new("GET", "/metrics").to(port).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    answer.text()
}

/// Values by name and labels, as they stand in the page.
fn samples(page: &str) -> BTreeMap<&str, f64> {
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a sample");
            (series, value.parse().expect("a number"))
        })
        .collect()
}

/// Names of metrics, as expressions use them.
fn names(page: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in page.lines() {
        let Some(rest) = line.strip_prefix("# TYPE ") else {
            continue;
        };
        let (name, kind) = rest.split_once(' ').expect("a type");
        match kind {
            "histogram" => names.extend(["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}"))),
            _ => _ = names.insert(name.to_owned()),
        }
    }
    names
}

#[tokio::test]
async fn prometheus_reads_what_the_hub_its_children_and_its_store_did() {
    let (daemon, port) = busy_hub().await;
    let before = scrape(port).await;
    let project = daemon
        .post("/api/projects", json!({"name": "Counted"}))
        .await
        .expect(201);
    let project = project["id"].as_str().unwrap();
    let mut socket = daemon.listen().await;
    for title in ["one", "two", "three"] {
        let task = json!({"projectId": project, "title": title});
        daemon.post("/api/tasks", task).await.expect(201);
        socket.arrived().await;
    }
    daemon.get("/api/tasks/task_unknown").await.expect(404);
    assert_eq!(daemon.get("/not/there").await.status, 404);
    let mail = json!({"projectId": project, "fromSessionId": "s", "toSessionId": "t", "type": "query", "subject": "?"});
    daemon.post("/api/mail", mail).await.expect(201);

    let page = scrape(port).await;
    let checked = promtool(&["check", "metrics"], &page, daemon.place().root());
    assert!(
        checked.status.success() && said(&checked).is_empty(),
        "{}\n{page}",
        said(&checked)
    );
    let (before, after) = (samples(&before), samples(&page));
    let grew = |series: &str| after[series] - before.get(series).copied().unwrap_or_default();
    let requests = "maestro_http_requests_total";
    for (series, by) in [
        (
            format!("{requests}{{door=\"local\",method=\"POST\",route=\"/api/tasks\",status=\"2xx\"}}"),
            3.0,
        ),
        (
            format!("{requests}{{door=\"local\",method=\"GET\",route=\"/api/tasks/{{id}}\",status=\"4xx\"}}"),
            1.0,
        ),
        (
            format!("{requests}{{door=\"local\",method=\"any\",route=\"none\",status=\"4xx\"}}"),
            1.0,
        ),
        (
            format!("{requests}{{door=\"local\",method=\"GET\",route=\"websocket\",status=\"1xx\"}}"),
            1.0,
        ),
        ("maestro_bus_events_total{event=\"task:created\"}".into(), 3.0),
        ("maestro_bus_events_total{event=\"mail:received\"}".into(), 1.0),
        ("maestro_mail_messages".into(), 1.0),
        ("maestro_store_records{kind=\"tasks\"}".into(), 3.0),
    ] {
        assert_eq!(grew(&series), by, "{series} in\n{page}");
    }
    let at_least = |series: &str, least: f64| assert!(after[series] >= least, "{series} in\n{page}");
    at_least(
        "maestro_http_request_duration_seconds_count{door=\"local\",method=\"POST\",route=\"/api/tasks\"}",
        3.0,
    );
    at_least("maestro_store_commit_duration_seconds_count", 4.0);
    at_least("maestro_store_commit_changes_sum", 4.0);
    at_least("maestro_store_file_bytes{file=\"database\"}", 4096.0);
    at_least("maestro_sockets{kind=\"raw\"}", 1.0);
    at_least("maestro_connections{door=\"local\"}", 1.0);
    at_least(
        "maestro_component_state{component=\"redis\",state=\"ready\"}",
        1.0,
    );
    at_least("maestro_redis_link_up", 1.0);
    at_least("maestro_ready", 1.0);
    for unbounded in [project, "task_unknown", "/not/there"] {
        assert!(!page.contains(unbounded), "{unbounded} is a label in\n{page}");
    }
    let by_hand = daemon.ctl(&["metrics"]).await;
    let by_hand = String::from_utf8(by_hand.stdout).unwrap();
    assert_eq!(names(&by_hand), names(&page), "maestroctl shows the same page");
}

#[tokio::test]
async fn metrics_are_read_where_the_operator_says_and_nowhere_else() {
    let (daemon, port) = busy_hub().await;
    assert_eq!(daemon.get("/metrics").await.status, 404);
    let get = |path| Ask::new("GET", path);
    for (ask, status) in [
        (get("/api/projects"), 404),
        (Ask::new("POST", "/metrics"), 404),
        (get("/metrics").header("host", "evil.example"), 421), // a page that rebinds DNS
        (get("/metrics").header("origin", "https://evil.example"), 403),
    ] {
        assert_eq!(ask.clone().to(port).await.status, status, "{ask:?}");
    }
    let told = String::from_utf8(daemon.ctl(&["status"]).await.stdout).unwrap();
    assert!(
        told.contains(&format!("http://127.0.0.1:{port}/metrics")),
        "{told}"
    );
}

/// All names of ours in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("maestro_"))
        .map(str::to_owned)
        .collect()
}

fn expressions(panel: &Value) -> Vec<String> {
    let targets = panel["targets"].as_array().cloned().unwrap_or_default();
    targets
        .iter()
        .map(|target| target["expr"].as_str().expect("an expression").to_owned())
        .collect()
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_ask_for_metrics_that_there_are_and_prometheus_takes_them() {
    let (daemon, port) = busy_hub().await;
    // What is counted by label appears with its first count.
    let project = daemon.post("/api/projects", json!({"name": "First"}));
    project.await.expect(201);
    let known = names(&scrape(port).await);
    let dashboard: Value = serde_json::from_str(&text_of("packaging/grafana/maestro.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let asked: Vec<String> = panels.iter().flat_map(expressions).collect();
    assert!(asked.len() >= panels.len(), "a panel shows nothing");
    let alerts = text_of("packaging/prometheus/maestro-alerts.yml");
    let used = named(&(asked.join("\n") + &alerts));
    let missing: Vec<_> = used.difference(&known).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {known:?}");

    // As rules, so that promtool parses what the panels ask; Grafana's own variables stand for themselves.
    let dir = daemon.place().root();
    let rules = asked.iter().enumerate().map(|(n, expr)| {
        let expr = expr.replace("$__rate_interval", "5m");
        json!({"record": format!("panel:{n}"), "expr": expr})
    });
    let rules = json!({"groups": [{"name": "panels", "rules": rules.collect::<Vec<_>>()}]});
    for (file, text) in [
        ("panels.yml", rules.to_string()),
        ("maestro-alerts.yml", alerts),
        ("alerts_test.yml", text_of("tests/observe/alerts_test.yml")),
        ("prometheus.yml", text_of("packaging/prometheus/scrape.yml")),
    ] {
        std::fs::write(dir.join(file), text).unwrap();
    }
    for args in [
        &["check", "rules", "panels.yml"][..],
        &["check", "rules", "maestro-alerts.yml"],
        &["check", "config", "prometheus.yml"],
        &["test", "rules", "alerts_test.yml"],
    ] {
        let output = promtool(args, "", dir);
        assert!(output.status.success(), "promtool {args:?}: {}", said(&output));
    }
}
