//! `maestroctl completions SHELL`: the lines that make a shell ask us at Tab.

use clap::{Args, ValueEnum};
use clap_complete::env::{EnvCompleter, Shells};

use super::exit::Exit;

/// The variable by which a shell says that it completes.
pub const ASKS: &str = "MAESTROCTL_COMPLETE";

const EXAMPLES: &str = "\
Examples:
  source <(maestroctl completions bash)        for this shell; or in ~/.bashrc
  source <(maestroctl completions zsh)         for this shell; or in ~/.zshrc
  maestroctl completions fish > ~/.config/fish/completions/maestroctl.fish

Sessions, devices and children are completed too, by asking the daemon.";

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    shell: Shell,
}

/// Shells that can be helped.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "lower")]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    #[value(name = "powershell")]
    Pwsh,
}

/// Runs it.
pub fn run(args: &CompletionsArgs) -> Exit {
    let name = args
        .shell
        .to_possible_value()
        .map(|value| value.get_name().to_owned());
    let shells = Shells::builtins();
    let Some(shell) = name.and_then(|name| shells.completer(&name)) else {
        return Exit::Degraded; // every variant is one of clap_complete's
    };
    // The program is named, not located: what the shell finds in PATH is what an upgrade replaced.
    let written = registration(shell);
    match written {
        Ok(()) => Exit::Fine,
        Err(error) => {
            eprintln!("maestroctl: cannot write the completions: {error}");
            Exit::Degraded
        }
    }
}

fn registration(shell: &dyn EnvCompleter) -> std::io::Result<()> {
    let name = "maestroctl";
    shell.write_registration(ASKS, name, name, name, &mut std::io::stdout())
}
