//! `maestroctl agents`: who works here, and who is alive.

use clap::Args;
use comfy_table::{Table, presets::NOTHING};
use serde_json::Value;

use crate::control::client::{Client, ClientError};

use super::{Context, exit::Exit, paint::between};

/// How much of a question is shown, in characters.
const SHOWN: usize = 200;

const EXAMPLES: &str = "\
Examples:
  maestroctl agents
  maestroctl agents --json | jq '.[] | select(.needsInput) | .sessionId'    who waits for an answer";

/// Arguments of `agents`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AgentsArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(context: &Context, args: AgentsArgs) -> Exit {
    match ask(context).await {
        Ok(agents) if args.json => println!("{agents:#}"),
        Ok(agents) => print!("{}", render(&agents, super::now_ms())),
        Err(error) => return super::complain(&error),
    }
    Exit::Fine
}

async fn ask(context: &Context) -> Result<Value, ClientError> {
    Client::connect(context.socket()).await?.get("/v1/agents").await
}

fn render(agents: &Value, now: i64) -> String {
    let rows = agents.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return "No agent is at work.\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([
        "SESSION",
        "NAME",
        "STATUS",
        "ALIVE",
        "LAST SIGN",
        "PROVED",
        "WAITS",
    ]);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
    for row in rows {
        let sign = row["lastSeen"]
            .as_i64()
            .map_or("-".to_owned(), |at| format!("{} ago", between(at, now)));
        table.add_row([
            text(row, "sessionId"),
            text(row, "name"),
            text(row, "status"),
            text(row, "verdict"),
            sign,
            if row["verified"] == true { "yes" } else { "-" }.to_owned(),
            waits(row, now),
        ]);
    }
    format!("{}\n{}", table.trim_fmt(), hint(rows))
}

fn waits(row: &Value, now: i64) -> String {
    let needs = &row["needsInput"];
    match (needs["active"] == true, needs["since"].as_i64()) {
        (true, Some(since)) => between(since, now),
        (true, None) => "yes".to_owned(),
        (false, _) => "-".to_owned(),
    }
}

/// What to do about those who wait: their questions, and how to answer.
fn hint(rows: &[Value]) -> String {
    let waiting = rows.iter().filter(|row| row["needsInput"]["active"] == true);
    let ask = |row: &Value| {
        let question = row["needsInput"]["message"]
            .as_str()
            .unwrap_or("(it does not say what)");
        let question: String = one_line(question).chars().take(SHOWN).collect();
        let session = row["sessionId"].as_str().unwrap_or("-");
        format!("\n{session} asks: {question}\n→ maestroctl answer {session} \"...\"\n")
    };
    waiting.map(ask).collect()
}

/// An agent's words reach a terminal here: without what a terminal would obey.
pub fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_agent_is_a_row() {
        let text = render(
            &json!([{"sessionId": "sess_1", "name": "Builder", "status": "working", "verdict": "alive", "lastSeen": 1000}]),
            4000,
        );
        assert!(text.contains("sess_1") && text.contains("3 s ago"), "{text}");
        assert!(!text.contains("asks"), "{text}");
        assert_eq!(render(&json!([]), 0), "No agent is at work.\n");
    }

    #[test]
    fn an_agent_that_waits_says_for_how_long_for_what_and_how_to_answer() {
        let asks = json!({"active": true, "message": "Deploy\u{1b}[2J\nnow?", "since": 1000});
        let text = render(
            &json!([{"sessionId": "sess_1", "name": "Builder", "status": "working", "needsInput": asks}]),
            61_000,
        );
        assert!(text.contains("1 min"), "{text}");
        assert!(
            text.contains("sess_1 asks: Deploy [2J now?\n→ maestroctl answer sess_1"),
            "{text}"
        );
    }
}
