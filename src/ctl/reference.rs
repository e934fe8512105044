//! docs/MAESTROCTL.md, made of the command line itself: written by `UPDATE_DOCS=1 cargo test --lib ctl::reference`.

use std::{env, fs, path::Path};

use super::{exit::Exit, man};

const HEAD: &str = "\
# maestroctl

<!-- Made from the command line. After a change there: UPDATE_DOCS=1 cargo test --lib ctl::reference -->

`maestroctl COMMAND --help` shows options and examples; `maestroctl man DIR` writes the same as manual pages.

Colours only on a terminal: `NO_COLOR` forbids them, `CLICOLOR_FORCE=1` asks for them anyway.
";

fn written() -> String {
    let mut text = format!("{HEAD}\n## Commands\n\n| command | what it does |\n|---|---|\n");
    man::each(&man::built(super::command()), &mut |command| {
        let usage = command.clone().render_usage().to_string().replace('|', "\\|");
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let usage = usage
            .trim_start_matches("Usage: ")
            .lines()
            .next()
            .unwrap_or_default();
        if !command.has_subcommands() {
            text += &format!("| `{usage}` | {about} |\n");
        }
    });
    text += "\n## Exit codes\n\n| code | meaning |\n|---|---|\n";
    for exit in Exit::ALL {
        text += &format!("| {} | {} |\n", exit as u8, exit.meaning());
    }
    text += "\n`agent run` ends as its agent does: with its code, or 128 and the signal's number.\n";
    text
}

#[test]
fn the_page_says_what_the_command_line_is() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/MAESTROCTL.md");
    let written = written();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &written).unwrap();
    }
    let page = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        page == written,
        "docs/MAESTROCTL.md is not what the command line is: UPDATE_DOCS=1 cargo test --lib ctl::reference"
    );
}

#[test]
fn the_table_is_whole_and_in_order() {
    let codes: Vec<u8> = Exit::ALL.iter().map(|exit| *exit as u8).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4]);
    let help = super::command().render_help().to_string();
    for exit in Exit::ALL {
        assert!(
            help.contains(&format!("  {}  {}", exit as u8, exit.meaning())),
            "{help}"
        );
    }
}
