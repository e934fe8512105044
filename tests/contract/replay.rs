//! Sends the recorded requests again, in their order, and compares everything that comes back.

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{
    additive::without_additions,
    harness::{Answer, Ask, Daemon, Setup, Socket},
    matching::Bindings,
    recording::{Recording, Step},
};

/// A daemon under replay: one unfiltered connection from the start, a second one once the recording opens it.
pub struct Replay {
    // Sockets are dropped before the daemon, which would wait for its clients' last words.
    pub unfiltered: Socket,
    pub second: Option<Socket>,
    pub daemon: Daemon,
    pub bindings: Bindings,
    /// Every frame of the unfiltered connection.
    pub frames: Vec<Value>,
    /// One text per example that went another way.
    pub failures: Vec<String>,
    pending: Option<JoinHandle<Answer>>,
}

impl Replay {
    pub async fn start(setup: Setup) -> Self {
        let place = setup.place().clone();
        let project_dir = place.root().join("project");
        place.write("project/.claude/skills/lint/SKILL.md", LINT_SKILL);
        let daemon = setup.start().await;
        let mut bindings = Bindings::default();
        bindings.bind("<base>", daemon.base());
        for (name, dir) in [
            ("<DATA_DIR>", place.data_dir()),
            ("<SESSION_DIR>", place.session_dir()),
            ("<workdir>", place.work_dir()),
            ("<project-dir>", project_dir),
        ] {
            bindings.bind(name, dir.to_string_lossy());
        }
        let unfiltered = daemon.listen().await;
        Self {
            daemon,
            bindings,
            frames: Vec::new(),
            failures: Vec::new(),
            unfiltered,
            second: None,
            pending: None,
        }
    }

    /// Replays these steps; differences are printed at once and kept.
    pub async fn run(&mut self, steps: &[Step]) {
        for step in steps {
            let found = self.step(&step.example).await;
            if !found.is_empty() {
                let request = &step.example["request"];
                let failure = format!(
                    "{} ({} {})\n    {}",
                    step.id,
                    request["method"].as_str().unwrap_or("-"),
                    request["path"].as_str().unwrap_or("-"),
                    found.join("\n    ")
                );
                eprintln!("{failure}");
                self.failures.push(failure);
            }
        }
    }

    /// # Panics
    /// When any example went another way than recorded or decided.
    pub fn assert_as_recorded(&self) {
        let count = self.failures.len();
        assert!(
            count == 0,
            "{count} examples differ:\n{}",
            self.failures.join("\n")
        );
    }

    async fn step(&mut self, example: &Value) -> Vec<String> {
        let mut found = Vec::new();
        if example.get("opens").is_some() {
            self.second = Some(self.daemon.listen().await);
        }
        if let Some(frame) = example.get("client_frame") {
            let frame = self.bindings.fill(frame);
            self.second
                .as_mut()
                .expect("ws.open came before")
                .send(&frame)
                .await;
        }
        if let Some(answer) = self.answer(example).await {
            found.extend(self.compare_answer(&example["response"], &answer));
        }
        let frames = self.unfiltered.arrived().await;
        let events = without_additions(&Value::from(frames.clone()));
        found.extend(self.bindings.differences("events", &example["events"], &events));
        self.frames.extend(frames);
        if let (Some(second), Some(expected)) =
            (&mut self.second, example.get("events_on_filtered_connection"))
        {
            let events = without_additions(&Value::from(second.arrived().await));
            found.extend(self.bindings.differences("filtered events", expected, &events));
        }
        found
    }

    /// Sends the request of the example, if any. A long poll is left open until the example with its result.
    async fn answer(&mut self, example: &Value) -> Option<Answer> {
        if example.get("result_of").is_some() {
            let pending = self.pending.take().expect("the long poll came before");
            return Some(pending.await.expect("the long poll is answered"));
        }
        let ask = self.request(example.get("request")?);
        if example["response"].is_string() {
            let port = self.daemon.port();
            self.pending = Some(tokio::spawn(ask.to(port)));
            return None;
        }
        if let Some(pending) = &self.pending {
            assert!(
                !pending.is_finished(),
                "the long poll waits until something comes"
            );
        }
        Some(self.daemon.ask(ask).await)
    }

    fn request(&self, request: &Value) -> Ask {
        let text = |key: &str| request[key].as_str().expect("text").to_owned();
        let ask = Ask::new(&text("method"), self.bindings.fill_text(&text("path")));
        match (request.get("body"), request.get("raw")) {
            (Some(body), _) => ask.json(&self.bindings.fill(body)),
            (None, Some(_)) => ask.raw_json(text("raw")),
            (None, None) => ask,
        }
    }

    fn compare_answer(&mut self, expected: &Value, answer: &Answer) -> Vec<String> {
        if expected["status"] != answer.status {
            let text = answer.text();
            return vec![format!(
                "status: expected {}, got {}: {text}",
                expected["status"], answer.status
            )];
        }
        let mut found = Vec::new();
        let kind = answer.header("content-type").unwrap_or_default();
        if expected["body"] == "<non-json>" {
            if !kind.starts_with("text/html") {
                found.push(format!("content-type: expected HTML, got {kind:?}"));
            }
            return found;
        }
        if kind != "application/json; charset=utf-8" {
            found.push(format!("content-type: expected JSON in UTF-8, got {kind:?}"));
        }
        match serde_json::from_slice(&answer.body) {
            Ok(body) => {
                let body: Value = without_additions(&body);
                found.extend(self.bindings.differences("body", &expected["body"], &body));
            }
            Err(_) => found.push(format!("body: expected JSON, got {:?}", answer.text())),
        }
        found
    }
}

const LINT_SKILL: &str = "---
name: lint
description: Runs the linter
version: 1.2.0
triggers: [lint, style]
role: worker
tags: [quality]
---

Use the linter.
";

#[tokio::test]
async fn every_recorded_exchange_goes_as_recorded_or_decided() {
    let recording = Recording::load();
    let mut replay = Replay::start(Setup::new()).await;
    replay.run(&recording.steps()).await;
    replay.assert_as_recorded();
}

#[test]
fn the_recording_is_complete_and_every_decision_is_about_one_of_its_examples() {
    let recording = Recording::load();
    assert_eq!(recording.examples().len(), 84);
    for decision in crate::decided::decisions() {
        let known = recording
            .examples()
            .iter()
            .any(|example| example["id"] == decision.example);
        assert!(known, "there is no example {}", decision.example);
        assert!(
            !decision.why.is_empty() && !decision.source.is_empty(),
            "{}",
            decision.example
        );
    }
    recording.steps(); // a decision that changes nothing panics here
}
