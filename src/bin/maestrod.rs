//! argv → configuration → daemon → exit code.

use std::process::ExitCode;

use clap::Parser;
use maestro::daemon::{Cli, Exit, main as carry_out};

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => carry_out(cli).into(),
        Err(told) => {
            let asked = !told.use_stderr(); // --help, --version
            // Nobody reads us: there is nobody to tell that to.
            let _ = told.print();
            if asked {
                ExitCode::SUCCESS
            } else {
                Exit::Usage.into()
            }
        }
    }
}
