//! `maestroctl completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, exit::Exit};

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  maestroctl completions bash > ~/.local/share/bash-completion/completions/maestroctl"
)]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

/// Runs it.
pub fn run(args: &CompletionsArgs) -> Exit {
    clap_complete::generate(
        args.shell,
        &mut Cli::command(),
        "maestroctl",
        &mut std::io::stdout(),
    );
    Exit::Fine
}
