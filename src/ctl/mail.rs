//! `maestroctl mail`: what agents write to each other.

use std::io::{IsTerminal, Write, stdin, stdout};

use clap::{Args, Subcommand};
use comfy_table::{Table, presets::NOTHING};
use serde_json::Value;

use crate::control::client::{Client, ClientError, encode};

use super::{Context, complete, exit::Exit, paint::between};

const EXAMPLES: &str = "\
Examples:
  maestroctl mail list                            the newest of all projects
  maestroctl mail list --project proj_1 -n 20
  maestroctl mail list --session sess_1           its inbox, as the agent sees it
  maestroctl mail show mail_1_a
  maestroctl mail thread mail_1_a                 the conversation it belongs to
  maestroctl mail delete mail_1_a --yes
  maestroctl mail list --json | jq -r '.[].subject'";

/// Arguments of `mail`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct MailArgs {
    #[command(subcommand)]
    command: MailCommand,
}

#[derive(Subcommand, Debug)]
enum MailCommand {
    /// The newest mail, or a session's inbox
    List {
        /// Only what this session finds in its inbox
        #[arg(long, value_name = "ID", add = complete::sessions())]
        session: Option<String>,
        /// Only of this project
        #[arg(long, value_name = "ID")]
        project: Option<String>,
        /// At most so many
        #[arg(long, short = 'n', default_value_t = 50, value_name = "N")]
        limit: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// One mail with all it says
    Show {
        /// Its id
        mail: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The conversation a mail belongs to, oldest first
    Thread {
        /// Any mail of it
        mail: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a mail for everybody
    Delete {
        /// Its id
        mail: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub async fn run(context: &Context, args: MailArgs) -> Exit {
    match carry_out(context, args.command).await {
        Ok(exit) => exit,
        Err(error) => super::complain(&error),
    }
}

async fn carry_out(context: &Context, command: MailCommand) -> Result<Exit, ClientError> {
    let mut client = Client::connect(context.socket()).await?;
    match command {
        MailCommand::List {
            session,
            project,
            limit,
            json,
        } => {
            let mut path = format!("/v1/mail?limit={limit}");
            for (key, value) in [("session", session), ("project", project)] {
                if let Some(value) = value {
                    path += &format!("&{key}={}", encode(&value));
                }
            }
            let mails: Value = client.get(&path).await?;
            print(&mails, json, |mails| list(mails, super::now_ms()));
        }
        MailCommand::Show { mail, json } => {
            let mail: Value = client.get(&format!("/v1/mail/{}", encode(&mail))).await?;
            print(&mail, json, |mail| whole(mail, super::now_ms()));
        }
        MailCommand::Thread { mail, json } => {
            let path = format!("/v1/mail/{}/thread", encode(&mail));
            let mails: Value = client.get(&path).await?;
            print(&mails, json, |mails| thread(mails, super::now_ms()));
        }
        MailCommand::Delete { mail, yes, json } => {
            let path = format!("/v1/mail/{}", encode(&mail));
            let found: Value = client.get(&path).await?;
            if !yes && !agreed(&found) {
                return Ok(Exit::Usage);
            }
            let deleted: Value = client.delete(&path).await?;
            print(&deleted, json, |_| format!("{mail} is deleted\n"));
        }
    }
    Ok(Exit::Fine)
}

fn print(value: &Value, json: bool, render: impl FnOnce(&Value) -> String) {
    let text = if json {
        format!("{value:#}\n")
    } else {
        render(value)
    };
    // Whoever read us has heard enough (`| head`).
    let _enough = stdout().write_all(text.as_bytes());
}

/// Asks the person at the terminal; where there is none, the answer is no.
fn agreed(mail: &Value) -> bool {
    if !stdin().is_terminal() {
        eprintln!("maestroctl: a mail is deleted for everybody, and there is nobody here to agree");
        eprintln!("→ say --yes");
        return false;
    }
    eprint!("{}Delete it for everybody? [y/N] ", whole(mail, super::now_ms()));
    let mut line = String::new();
    let read = stdin().read_line(&mut line);
    read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}

fn text<'a>(mail: &'a Value, key: &str) -> &'a str {
    mail[key].as_str().unwrap_or("-")
}

fn recipient(mail: &Value) -> &str {
    mail["toSessionId"].as_str().unwrap_or("everybody")
}

fn age(mail: &Value, now: i64) -> String {
    mail["createdAt"]
        .as_i64()
        .map_or("-".to_owned(), |at| between(at, now))
}

fn list(mails: &Value, now: i64) -> String {
    let rows = mails.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return "No mail.\n".to_owned();
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_header(["MAIL", "FROM", "TO", "TYPE", "AGE", "SUBJECT"]);
    for mail in rows {
        table.add_row([
            text(mail, "id").to_owned(),
            text(mail, "fromSessionId").to_owned(),
            recipient(mail).to_owned(),
            text(mail, "type").to_owned(),
            age(mail, now),
            one_line(text(mail, "subject")),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

/// What agents write must not move a terminal's cursor.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn whole(mail: &Value, now: i64) -> String {
    let mut out = String::new();
    let mut say = |name: &str, value: &str| out += &format!("{name:<9} {}\n", one_line(value));
    say("mail", text(mail, "id"));
    say("project", text(mail, "projectId"));
    say("from", text(mail, "fromSessionId"));
    say("to", recipient(mail));
    say("type", text(mail, "type"));
    if let Some(priority) = mail["priority"].as_str() {
        say("priority", priority);
    }
    say("sent", &format!("{} ago", age(mail, now)));
    if mail["threadId"] != mail["id"] {
        say("thread", text(mail, "threadId"));
    }
    say("subject", text(mail, "subject"));
    if let Some(body) = mail["body"].as_object().filter(|body| !body.is_empty()) {
        // As JSON: control characters are escaped there.
        out += &format!("\n{:#}\n", Value::Object(body.clone()));
    }
    out
}

fn thread(mails: &Value, now: i64) -> String {
    let rows = mails.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return "No mail.\n".to_owned();
    }
    let rows: Vec<String> = rows.iter().map(|mail| whole(mail, now)).collect();
    rows.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mail_is_a_row_and_its_subject_moves_no_cursor() {
        let mail = json!({"id": "mail_1", "fromSessionId": "a", "toSessionId": null, "type": "query",
            "createdAt": 1000, "subject": "up\u{1b}[2Jdown", "threadId": "mail_0", "body": {"text": "\u{1b}x"}});
        let row = list(&json!([mail]), 4000);
        assert!(
            row.contains("mail_1") && row.contains("everybody") && row.contains("3 s"),
            "{row}"
        );
        let text = whole(&mail, 4000);
        assert!(
            text.contains("thread    mail_0") && text.contains("\\u001b"),
            "{text}"
        );
        assert!(!(row + &text).contains('\u{1b}'));
        assert_eq!(list(&json!([]), 0), "No mail.\n");
    }
}
