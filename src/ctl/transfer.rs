//! `maestroctl import|export|backup`: long work with a bar on a terminal and a report at the end.

use std::{
    env,
    io::{IsTerminal, stderr},
    path::{Path, PathBuf},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::control::client::{Client, ClientError};
use crate::control::protocol::Progress;

use super::{Context, exit::Exit};

/// Arguments of `import`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  maestroctl import ~/.maestro/data")]
pub struct ImportArgs {
    /// The Node server's data directory
    dir: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `export`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  maestroctl export ~/maestro-json && DATA_DIR=~/maestro-json node server.js"
)]
pub struct ExportArgs {
    /// An empty or new directory, or an earlier export
    dir: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `backup`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  maestroctl backup ~/backup/hub-$(date +%F).db\n\nTo restore, stop the daemon and put the file in the data directory as maestro.db.\nDevices that were revoked since are paired again then: look at `maestroctl devices`."
)]
pub struct BackupArgs {
    /// The file to write; it must not exist
    file: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `import`.
pub async fn import(context: &Context, args: ImportArgs) -> Exit {
    go(context, "import", &args.dir, args.json).await
}

/// Runs `export`.
pub async fn export(context: &Context, args: ExportArgs) -> Exit {
    go(context, "export", &args.dir, args.json).await
}

/// Runs `backup`.
pub async fn backup(context: &Context, args: BackupArgs) -> Exit {
    go(context, "backup", &args.file, args.json).await
}

async fn go(context: &Context, verb: &str, place: &Path, json: bool) -> Exit {
    // The daemon has another working directory than we.
    let place = match env::current_dir() {
        Ok(here) => here.join(place),
        Err(_) => place.to_owned(),
    };
    match ask(context, verb, &place).await {
        Ok(report) if json => println!("{report:#}"),
        Ok(report) => print!("{}", render(&report)),
        Err(error) => return super::complain(&error),
    }
    Exit::Fine
}

async fn ask(context: &Context, verb: &str, place: &Path) -> Result<Value, ClientError> {
    let mut client = Client::connect(context.socket()).await?;
    let mut steps = client.long(verb, place).await?;
    let bar = bar();
    loop {
        match steps.step().await? {
            Some(Progress::Working { what, done, total }) => {
                bar.set_length(total.unwrap_or(done));
                bar.set_position(done);
                bar.set_message(what);
            }
            Some(Progress::Done { report }) => {
                bar.finish_and_clear();
                return Ok(report);
            }
            Some(Progress::Failed { problem }) => {
                bar.abandon();
                return Err(ClientError::Refused(problem));
            }
            None => return Err(ClientError::Broken("it ended before the work was done".into())),
        }
    }
}

fn bar() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:24} {wide_bar} {pos}/{len}") {
        bar.set_style(style);
    }
    bar
}

/// A report is a JSON object: counts by name, then lists of remarks.
fn render(report: &Value) -> String {
    let Some(fields) = report.as_object() else {
        return format!("{report}\n");
    };
    let mut out = String::new();
    for (name, value) in fields {
        match value {
            Value::Array(remarks) => {
                for remark in remarks {
                    let text = remark.as_str().map_or_else(|| remark.to_string(), str::to_owned);
                    out += &format!("! {text}\n");
                }
            }
            Value::String(text) => out += &format!("{name:<16} {text}\n"),
            other => out += &format!("{name:<16} {other}\n"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_shows_counts_then_remarks() {
        let text = render(&json!({"projects": 3, "unreadable": ["tasks/x.json: cut off"]}));
        assert_eq!(text, "projects         3\n! tasks/x.json: cut off\n");
    }
}
