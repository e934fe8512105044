//! `maestroctl config show|check|edit|reload`.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::control::client::{Client, ClientError};

use super::{
    Context,
    edit::{self, EditArgs},
    exit::Exit,
};

const EXAMPLES: &str = "\
Examples:
  maestroctl config show           each value, and where it comes from
  maestroctl config edit           in your editor; only a good one is kept
  maestroctl config check          is the file good?
  maestroctl config reload         use it without a restart";

/// Arguments of `config`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SettingsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The effective configuration with the origin of each value; secrets are masked
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration that would be used now, without a daemon
    Check,
    /// Change the file in your editor; only a good one is kept
    Edit(EditArgs),
    /// Let the daemon read its configuration again; a bad one changes nothing
    Reload,
}

/// Runs it.
pub async fn run(context: &Context, args: SettingsArgs) -> Exit {
    match args.what {
        What::Show { json } => show(context, json).await,
        What::Check => check(context),
        What::Edit(args) => edit::run(context, args).await,
        What::Reload => reload(context).await,
    }
}

/// The daemon's own configuration if it runs, else the one it would start with.
async fn show(context: &Context, json: bool) -> Exit {
    let running: Result<Value, ClientError> = match Client::connect(context.socket()).await {
        Ok(mut client) => client.get("/v1/config").await,
        Err(error) => Err(error),
    };
    match (running, &context.loaded) {
        (Ok(config), _) if json => println!("{:#}", config["values"]),
        (Ok(config), _) => print!("{}", config["text"].as_str().unwrap_or_default()),
        (Err(error @ ClientError::NoPermission), _) => return super::complain(&error),
        (Err(_), Ok(loaded)) => {
            eprintln!("note: maestrod is not running; this is what it would start with");
            if json {
                println!("{:#}", loaded.to_json())
            } else {
                print!("{}", loaded.render())
            }
        }
        (Err(_), Err(error)) => {
            eprintln!("{error}");
            return Exit::Degraded;
        }
    }
    Exit::Fine
}

fn check(context: &Context) -> Exit {
    match &context.loaded {
        Ok(loaded) => {
            match &loaded.file {
                Some(file) => println!("{} is good", file.display()),
                None => println!("no configuration file: the built-in defaults are used, which is fine"),
            }
            for warning in &loaded.warnings {
                println!("! {warning}");
            }
            Exit::Fine
        }
        Err(error) => {
            eprintln!("{error}");
            Exit::Degraded
        }
    }
}

/// Lets the daemon read its configuration again.
pub async fn reload(context: &Context) -> Exit {
    let asked: Result<Value, ClientError> = match Client::connect(context.socket()).await {
        Ok(mut client) => client.post("/v1/reload").await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(report) => {
            println!("{}", report["text"].as_str().unwrap_or("reloaded"));
            Exit::Fine
        }
        Err(error) => super::complain(&error),
    }
}
