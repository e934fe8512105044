//! argv → one command → exit code.

use std::process::ExitCode;

use clap::CommandFactory;
use maestro::{
    ctl::{Exit, answer_shell, parse, run},
    daemon,
};

fn main() -> ExitCode {
    answer_shell();
    let cli = parse();
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(cli, daemon::Cli::command)),
        Err(error) => {
            eprintln!("maestroctl: cannot start: {error}");
            Exit::Degraded.into()
        }
    }
}
