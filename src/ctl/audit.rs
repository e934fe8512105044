//! `maestroctl audit`: what was done from outside, and who let them.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use crate::control::client::{Client, ClientError};

use super::{Context, exit::Exit};

const EXAMPLES: &str = "\
Examples:
  maestroctl audit                       the newest lines
  maestroctl audit -f                    and what comes
  maestroctl audit -n 1000 --json | jq 'select(.result != \"ok\")'

Refusals come in bursts: the first of one is a line, the others are counted in a
later one. Texts are not kept: their hash and length are.";

/// Arguments of `audit`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AuditArgs {
    /// Go on with what comes
    #[arg(long, short)]
    follow: bool,
    /// So many of the newest lines
    #[arg(long, short = 'n', default_value_t = 50, value_name = "N")]
    lines: usize,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(context: &Context, args: AuditArgs) -> Exit {
    match copy(context, &args).await {
        Ok(()) => Exit::Fine,
        Err(error) => super::complain(&error),
    }
}

async fn copy(context: &Context, args: &AuditArgs) -> Result<(), ClientError> {
    let path = format!("/v1/audit?lines={}&follow={}", args.lines, args.follow);
    let mut client = Client::connect(context.socket()).await?;
    let mut lines = client.lines(&path).await?;
    let mut out = std::io::stdout();
    while let Some(line) = lines.next().await? {
        let line = match args.json {
            true => line,
            false => render(&line),
        };
        // Whoever read us has heard enough (`| head`).
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(())
}

/// `2026-11-25 22:01:03  iPhone of Anna  answer sess_1  ok`; a line that is none of ours is shown as it is.
fn render(line: &str) -> String {
    let Ok(entry) = serde_json::from_str::<Value>(line) else {
        return line.to_owned();
    };
    let Some(at) = entry["at"].as_i64() else {
        return line.to_owned();
    };
    let text = |key: &str| entry[key].as_str();
    let who = text("deviceName")
        .or(text("device"))
        .or(text("by"))
        .unwrap_or("?");
    let about = ["of", "session", "project"].into_iter().filter_map(text);
    let what: Vec<_> = text("action").into_iter().chain(about).collect();
    let mut out = format!(
        "{}  {who:<16}  {:<24}  {}",
        time(at),
        what.join(" "),
        text("result").unwrap_or("?")
    );
    if let Some(times) = entry["times"].as_u64() {
        out += &format!(" ×{times}");
    }
    if let Some(note) = text("note") {
        out += &format!("  {note}");
    }
    let place: Vec<_> = ["country", "ip"].into_iter().filter_map(text).collect();
    if !place.is_empty() {
        out += &format!("  ({})", place.join(" "));
    }
    out
}

/// In the time of this machine.
fn time(ms: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(ms) else {
        return ms.to_string();
    };
    let here = at.to_zoned(jiff::tz::TimeZone::system());
    here.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_who_what_and_how_it_went() {
        let line = r#"{"at":1771459199999,"action":"answer","result":"ok","by":"device","device":"dev_1","deviceName":"iPhone of Anna","session":"sess_1","ip":"192.0.2.7","country":"DE"}"#;
        let text = render(line);
        assert!(text.starts_with("2026-02-1"), "{text}");
        for part in ["iPhone of Anna", "answer sess_1", "  ok", "(DE 192.0.2.7)"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let burst = render(r#"{"at":0,"action":"authenticate","result":"rate","by":"stranger","times":299}"#);
        assert!(
            burst.contains("stranger") && burst.contains("rate ×299"),
            "{burst}"
        );
    }

    #[test]
    fn what_is_no_line_of_ours_is_shown_as_it_is() {
        assert_eq!(render("torn {"), "torn {");
        assert_eq!(render(r#"{"missed":3}"#), r#"{"missed":3}"#);
    }
}
