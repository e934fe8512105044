//! `maestroctl agents`: who works here, and who is alive.

use clap::Args;
use comfy_table::{Table, presets::NOTHING};
use serde_json::Value;

use crate::control::client::{Client, ClientError};

use super::{Context, exit::Exit, paint::between};

/// Arguments of `agents`.
#[derive(Args, Debug)]
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
    table
        .load_style(NOTHING)
        .set_header(["SESSION", "NAME", "STATUS", "ALIVE", "LAST SIGN", "PROVED"]);
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
        ]);
    }
    format!("{}\n", table.trim_fmt())
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
        assert_eq!(render(&json!([]), 0), "No agent is at work.\n");
    }
}
