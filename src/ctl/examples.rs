//! No command without an example: one that has none of its own shows those lines of its parent's that are about it.

use clap::Command;

/// The command with the examples of each subcommand filled in.
pub fn everywhere(command: Command) -> Command {
    below(command, "", "")
}

fn below(command: Command, path: &str, of_parent: &str) -> Command {
    let path = format!("{path} {}", command.get_name()).trim_start().to_owned();
    let own = command.get_after_help().map(ToString::to_string);
    let command = match &own {
        Some(_) => command,
        None => match about(of_parent, &path) {
            Some(examples) => command.after_help(examples),
            None => command,
        },
    };
    let known = own.unwrap_or_else(|| of_parent.to_owned());
    command.mut_subcommands(|child| below(child, &path, &known))
}

/// The examples among these lines that call the command `path`.
fn about(text: &str, path: &str) -> Option<String> {
    let calls = |line: &&str| {
        let at = line.find(path).map(|at| &line[at + path.len()..]);
        line.starts_with("  ") && at.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ')']))
    };
    let lines: Vec<&str> = text.lines().filter(calls).collect();
    (!lines.is_empty()).then(|| format!("Examples:\n{}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::man;

    #[test]
    fn a_subcommand_shows_the_lines_that_are_about_it() {
        let text =
            "Examples:\n  m devices        all\n  m devices revoke x  lost\n\nm devices revoke is final.";
        assert_eq!(
            about(text, "m devices revoke").as_deref(),
            Some("Examples:\n  m devices revoke x  lost")
        );
        assert_eq!(about(text, "m devices rename"), None);
    }

    #[test]
    fn every_command_that_can_be_called_has_an_example() {
        let mut without = Vec::new();
        let command = man::built(super::super::command());
        man::each(&command, &mut |command| {
            let examples = command
                .get_after_help()
                .is_some_and(|help| help.to_string().contains("Example"));
            if !examples {
                without.push(command.get_display_name().unwrap_or_default().to_owned());
            }
        });
        assert!(without.is_empty(), "no example: {without:?}");
    }
}
