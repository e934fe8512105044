//! `maestroctl man`: the manual, made of the command lines themselves, so that it cannot say anything else.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Command};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  maestroctl man | man -l -                    read it here
  maestroctl man ~/.local/share/man            one page for each command, and maestrod's";

/// Arguments of `man`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// Where pages go, into its man1 and man8; without it the main page is printed
    #[arg(value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: &ManArgs, daemon: fn() -> Command) -> Exit {
    let written = match &args.dir {
        None => page(&built(super::command()), "1").and_then(|page| io::stdout().write_all(&page)),
        Some(dir) => write_all(dir, daemon()).map(|count| println!("{count} pages in {}", dir.display())),
    };
    match written {
        Ok(()) => Exit::Fine,
        Err(error) => {
            eprintln!("maestroctl: cannot write the manual: {error}");
            eprintln!("→ name a directory that you may write to");
            Exit::Degraded
        }
    }
}

fn write_all(dir: &Path, daemon: Command) -> io::Result<usize> {
    let mut pages = Vec::new();
    each(&built(super::command()), &mut |command| {
        pages.push((file(command, "1"), page(command, "1")));
    });
    let daemon = built(daemon);
    pages.push((file(&daemon, "8"), page(&daemon, "8")));
    for (file, page) in &pages {
        let file = dir.join(file);
        if let Some(section) = file.parent() {
            fs::create_dir_all(section)?;
        }
        match page {
            Ok(page) => fs::write(file, page)?,
            Err(error) => return Err(io::Error::new(error.kind(), error.to_string())),
        }
    }
    Ok(pages.len())
}

/// With the names and options that subcommands inherit.
pub fn built(command: Command) -> Command {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    command
}

/// This command and all below it that are shown to people.
pub fn each(command: &Command, tell: &mut impl FnMut(&Command)) {
    tell(command);
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        each(below, tell);
    }
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn file(command: &Command, section: &str) -> String {
    format!("man{section}/{}.{section}", name(command))
}

fn page(command: &Command, section: &str) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .section(section)
        .source(concat!("maestro ", env!("CARGO_PKG_VERSION")))
        .manual("maestro");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::default();
    if let Some(help) = command.get_after_help() {
        after_help(&mut rest, &help.to_string());
    }
    rest.control("SH", ["SEE ALSO"]);
    rest.text([roman(match section {
        "8" => "maestroctl(1)",
        _ => "maestroctl(1), maestrod(8)",
    })]);
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// A paragraph under a line `Name:` becomes a section of that name, its lines as they stand; others are notes.
fn after_help(page: &mut Roff, text: &str) {
    let mut in_notes = false;
    for paragraph in text.split("\n\n") {
        let (first, rest) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let heading = first.strip_suffix(':').filter(|_| !rest.is_empty());
        match heading {
            Some(heading) => page.control("SH", [heading.to_uppercase().as_str()]),
            None if in_notes => page.control("PP", []),
            None => page.control("SH", ["NOTES"]),
        };
        in_notes = heading.is_none();
        let body = if heading.is_some() { rest } else { paragraph };
        page.control("nf", []);
        for line in body.lines() {
            page.text([roman(line)]);
        }
        page.control("fi", []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(command: &Command) -> String {
        String::from_utf8(page(command, "1").unwrap()).unwrap()
    }

    #[test]
    fn the_main_page_has_the_examples_as_they_stand_and_the_exit_codes() {
        let main = text(&built(super::super::command()));
        for part in [
            ".TH maestroctl 1",
            ".SH EXAMPLES\n.nf\n",
            ".SH \"EXIT CODES\"\n.nf\n",
            "maestrod is not running",
        ] {
            assert!(main.contains(part), "{part} is not in\n{main}");
        }
        assert!(!main.contains(".SH EXTRA"), "{main}");
    }

    #[test]
    fn every_command_has_a_page_of_its_own_name() {
        let mut files = Vec::new();
        each(&built(super::super::command()), &mut |command| {
            files.push(file(command, "1"));
        });
        for name in [
            "man1/maestroctl.1",
            "man1/maestroctl-status.1",
            "man1/maestroctl-agent-run.1",
        ] {
            assert!(files.iter().any(|file| file == name), "{name} in {files:?}");
        }
        let mut once = files.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), files.len(), "{files:?}");
    }
}
