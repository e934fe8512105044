//! argv → one command → exit code.

use std::process::ExitCode;

use clap::Parser;
use maestro::ctl::{Cli, Exit, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => {
            eprintln!("maestroctl: cannot start: {error}");
            Exit::Degraded.into()
        }
    }
}
