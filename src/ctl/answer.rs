//! `maestroctl answer`: answers an agent that waits for input.

use std::{process, time::Duration};

use clap::Args;
use hyper::Method;
use serde_json::{Value, json};

use crate::control::client::encode;

use super::{
    Context, complete,
    exit::Exit,
    hub::{HubAt, HubError},
};

const EXAMPLES: &str = "\
Examples:
  maestroctl agents                                 who waits, and for what
  maestroctl answer sess_1 \"yes, on port 3000\"
  maestroctl answer sess_1 --choice Approve
  maestroctl answer sess_1 no --request req_1       only if it still asks this

The first answer counts. Whoever comes later is told who was first (exit code 1).";

/// The hub has this long, and is asked a second time under the same key: the answer is given once.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Arguments of `answer`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AnswerArgs {
    /// The session that waits
    #[arg(add = complete::sessions())]
    session: String,
    /// What you answer
    #[arg(required_unless_present = "choice")]
    text: Option<String>,
    /// One of the options it offers
    #[arg(long)]
    choice: Option<String>,
    /// The question you answer, if it may have changed meanwhile
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// The hub, if it is not where the configuration says
    #[arg(long, env = "MAESTRO_SERVER_URL", value_name = "URL")]
    server: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(context: &Context, args: AnswerArgs) -> Exit {
    match ask(context, &args).await {
        Ok(told) if args.json => println!("{told:#}"),
        Ok(told) => println!("{}", said(&told)),
        Err(error) => {
            eprintln!("maestroctl: {error}");
            return match error {
                HubError::Away(_) => {
                    eprintln!("→ start it: {}", super::start_hint(None));
                    Exit::NotRunning
                }
                HubError::Address(_) => Exit::Usage,
                HubError::Refused { status, .. } => {
                    if status == 409 {
                        eprintln!("→ maestroctl agents shows who waits, and for what");
                    }
                    Exit::Degraded
                }
            };
        }
    }
    Exit::Fine
}

async fn ask(context: &Context, args: &AnswerArgs) -> Result<Value, HubError> {
    let url = args.server.clone().unwrap_or_else(|| context.server_url());
    let hub = HubAt::new(&url)?;
    let path = format!("/api/sessions/{}/reply-input", encode(&args.session));
    let body = json!({"requestId": args.request, "text": args.text, "choice": args.choice});
    let key = format!("ctl-{}-{}", process::id(), super::now_ms());
    let answer = || hub.ask_once(Method::POST, &path, Some(body.clone()), Some(&key), ANSWER_TIME);
    match answer().await {
        Err(HubError::Away(_)) => answer().await,
        told => told,
    }
}

fn said(told: &Value) -> &'static str {
    match told["how"].as_str() {
        Some("poll") => "answered: the agent was waiting and has it",
        Some("desktop") => "answered: the desktop types it into the agent's terminal",
        Some("mail") => "answered: it is in the agent's mail; the agent must read it",
        _ => "answered: it is kept until the agent asks for it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_an_answer_goes_is_said_and_an_unknown_one_promises_nothing() {
        let said = |how: &str| said(&json!({"how": how}));
        assert!(said("poll").contains("has it") && said("mail").contains("must read"));
        assert!(said("desktop").contains("types") && said("pigeon").contains("kept"));
    }
}
