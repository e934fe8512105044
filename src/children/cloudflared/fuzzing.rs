//! What holds whatever a cloudflared, or another program on its port, answers and writes: it is well only if another reading
//! of the answer finds a connection and a connector, and what people are shown of it is short, one line, and no command.
//!
//! The input: the answer of `/ready` (and of `/quicktunnel`), a line break, the output.

#![allow(clippy::panic)] // this is how a check fails

use std::time::Duration;

use axum::http::Uri;
use bytes::Bytes;
use serde_json::Value;

use crate::supervisor::{Exit, ExitReport, Fault, Outcome};

use super::{
    ask::Heard,
    ends::classify,
    judge::{Known, judge, quick_host, version},
    told::told,
};

pub(crate) fn cloudflared(bytes: &[u8]) {
    let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (body, output) = bytes.split_at(end);
    let output = String::from_utf8_lossy(output.get(1..).unwrap_or_default());
    for status in [200, 503] {
        for connector in [None, Some("c1".to_owned())] {
            answers(status, body, &output, connector);
        }
    }
    if let Some(version) = version(&output) {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
        assert!(
            (1..=40).contains(&version.len()) && version.chars().all(plain),
            "{version:?}"
        );
    }
    ends(&output);
}

fn answers(status: u16, body: &[u8], output: &str, connector: Option<String>) {
    let heard = Heard::Answer {
        status,
        body: Bytes::copy_from_slice(body),
    };
    let known = Known {
        port: 7,
        connector: connector.clone(),
        ..Known::default()
    };
    let (outcome, facts) = judge(&heard, output, &known);
    for (name, fact) in &facts {
        is_one_line(name);
        is_one_line(fact);
    }
    match &outcome {
        Outcome::Ok => assert!(
            status == 200 && is_connected(body, connector.as_deref()),
            "nobody said that it is connected"
        ),
        Outcome::Foreign(why) => is_one_line(&why.remedy),
        Outcome::Impaired { code } | Outcome::Hung { code } => is_explained(code),
        _ => {}
    }
    if let Some(host) = quick_host(&heard) {
        assert_eq!(status, 200, "{host}");
        let url: Uri = match format!("https://{host}/").parse() {
            Ok(url) => url,
            Err(error) => panic!("{host} is no host: {error}"),
        };
        assert_eq!((url.host(), url.port()), (Some(host.as_str()), None));
        assert_eq!(url.path(), "/", "{host}");
    }
}

/// Another reading of the answer: any JSON, looked into by name.
fn is_connected(body: &[u8], ours: Option<&str>) -> bool {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return false;
    };
    let connector = answer["connectorId"].as_str().unwrap_or_default();
    let is_ours = ours.is_none_or(|ours| ours == connector);
    answer["readyConnections"].as_u64() > Some(0) && !connector.is_empty() && is_ours
}

fn ends(output: &str) {
    let last_lines: Vec<String> = output.split('\n').map(str::to_owned).collect();
    let exits = [0, 1, 10, 255].map(Exit::Code);
    for exit in exits.into_iter().chain([Exit::Signal(9), Exit::Unknown]) {
        for (quick, uptime) in [(false, 1), (true, 60)] {
            let report = ExitReport {
                exit,
                uptime: Duration::from_secs(uptime),
                last_lines: last_lines.clone(),
            };
            let fault = classify(&report, quick);
            is_one_line(&fault.code());
            if let Fault::Permanent(why) = &fault {
                is_one_line(&why.remedy);
                assert!(!why.remedy.is_empty(), "{} says not what to do", why.code);
            }
        }
    }
}

/// Codes that come without a remedy have one here.
fn is_explained(code: &str) {
    let Some((reason, remedy)) = told(code) else {
        panic!("nobody knows what {code} means");
    };
    is_one_line(reason);
    is_one_line(remedy);
}

fn is_one_line(text: &str) {
    let commands = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!text.contains(commands) && text.len() <= 1_200, "{text:?}");
}
