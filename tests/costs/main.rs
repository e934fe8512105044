//! What one operation costs the hub in allocations, memory and CPU, with data and clients of three sizes, each ten times the
//! one before. Nothing may grow faster than what it puts out, and nothing may cost much more than docs/BENCHMARKS.md says.
//!
//! ```sh
//! make costs      # release build: measures anew, and records it
//! ```
//!
//! The measured hub is this program, with an allocator that counts. Counts are the same on every machine; CPU is only
//! shown.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says why and stops

mod clients;
mod counting;
mod curve;
#[path = "../harness/mod.rs"]
mod harness;
mod hub;
mod mails;
mod records;

use std::{env, path::Path, process::ExitCode};

use clap::Parser;
use maestro::daemon::{Cli, main as maestrod};

use curve::Record;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

fn main() -> ExitCode {
    if let Some(socket) = env::var_os(hub::COUNTS) {
        counting::tell_at(Path::new(&socket)).expect("a socket for the counts");
        return maestrod(Cli::parse()).into();
    }
    if env::args().any(|arg| arg == "--list") {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let curves = runtime.block_on(async {
        let mut curves = records::measure().await;
        curves.extend(records::histories().await);
        curves.extend(mails::measure().await);
        curves.extend(clients::measure().await);
        curves
    });
    let table = curve::table(&curves);
    println!("{table}");
    if env::args().any(|arg| arg == "--write") {
        harness::page::record("BENCHMARKS.md", "costs", &table);
        return ExitCode::SUCCESS;
    }
    let record = Record::read(&harness::page::recorded("BENCHMARKS.md", "costs"));
    let complaints: Vec<String> = curves
        .iter()
        .flat_map(|curve| curve.complaints(&record))
        .collect();
    for complaint in &complaints {
        println!("TOO MUCH: {complaint}");
    }
    println!(
        "{} passed, {} failed",
        curves.len() - complaints.len().min(curves.len()),
        complaints.len()
    );
    ExitCode::from(u8::from(!complaints.is_empty()))
}

/// How often an operation is done to know its cost.
const TIMES: usize = 20;
