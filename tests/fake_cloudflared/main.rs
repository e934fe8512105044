//! A stand-in for cloudflared: see README.md beside this file.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a stand-in that cannot go on says so and ends

mod account;
mod args;
mod control;
mod edge;
mod ingress;
mod life;
mod log;
mod metrics;
mod proxy;

use std::process::ExitCode;

use args::{Args, Verb};

const USAGE: &str = "NAME:\n   cloudflared - Cloudflare's command-line tool and agent\n\nUSAGE:\n   cloudflared [global options] [command] [command options]\n";
pub const VERSION: &str = "2026.8.2";

fn main() -> ExitCode {
    let mut argv = std::env::args();
    let me = argv.next().unwrap_or_default();
    let words: Vec<String> = argv.collect();
    let args = match Args::parse(&words) {
        Ok(args) => args,
        Err(unknown) => {
            // As the real one: exit 0, on standard output.
            println!("Incorrect Usage: flag provided but not defined: -{unknown}\n\n{USAGE}");
            return ExitCode::SUCCESS;
        }
    };
    let control = control::Control::beside(&me);
    match args.verb {
        Verb::Version { short: true } => println!("{VERSION}"),
        Verb::Version { short: false } => {
            println!("cloudflared version {VERSION} (built 2026-08-20-1200 UTC)")
        }
        Verb::Usage => println!("{USAGE}"),
        Verb::Validate => return ingress::validate(&args),
        Verb::Rule => return ingress::rule(&args),
        Verb::Ready => return metrics::ask_ready(&args),
        Verb::Account => return account::run(&args, &control),
        Verb::Tunnel { run } => return life::run(&args, run, control, &words),
    }
    ExitCode::SUCCESS
}
