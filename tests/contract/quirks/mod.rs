//! One test per quirk of API.md section 16, with the decision taken; docs/CONTRACT.md gives the reasons.

mod mail;
mod members;
mod requests;
mod server;
mod spawn;
mod tasks_and_sessions;

use std::{fs, path::Path};

const QUIRKS: usize = 33;

/// The quirk each test of this folder holds, and the name of the test.
fn tests_by_quirk() -> Vec<(usize, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/quirks");
    let mut found = Vec::new();
    for file in fs::read_dir(folder).expect("the folder of this file") {
        let text = fs::read_to_string(file.expect("an entry").path()).expect("source text");
        for rest in text.split("\nasync fn quirk_").skip(1) {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            let number = name
                .split('_')
                .next()
                .and_then(|n| n.parse().ok())
                .expect("a number");
            found.push((number, format!("quirk_{name}")));
        }
    }
    found
}

#[test]
fn every_quirk_has_a_decision_in_the_documentation_and_a_test_that_holds_it() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONTRACT.md");
    let page = fs::read_to_string(page).expect("docs/CONTRACT.md");
    let tests = tests_by_quirk();
    for quirk in 1..=QUIRKS {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| {quirk} |")))
            .unwrap_or_else(|| panic!("docs/CONTRACT.md has no row for quirk {quirk}"));
        assert!(
            row.contains("kept") || row.contains("repaired"),
            "no decision in: {row}"
        );
        let mine: Vec<_> = tests.iter().filter(|(number, _)| *number == quirk).collect();
        assert!(!mine.is_empty(), "quirk {quirk} has no test");
        for (_, name) in mine {
            assert!(
                row.contains(name.as_str()),
                "the row of quirk {quirk} does not name {name}"
            );
        }
    }
}
