//! The direction of the rooms is a test; the table is the architecture (docs/ARCHITECTURE.md is its prose).

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a test fails

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Each room and the rooms it may name. A new arrow is a reviewed edit here.
const MAY_NAME: &[(&str, &[&str])] = &[
    // what is true
    ("domain", &[]),
    ("ports", &["domain"]),
    // what can be asked
    ("app", &["domain", "ports", "crash"]),
    // machinery: names no domain at all
    ("crash", &[]),
    ("shutdown", &[]),
    ("metrics", &[]),
    ("private_socket", &[]),
    ("outward", &[]),
    ("config", &[]),
    ("service", &["shutdown"]),
    ("sqlite", &["metrics", "shutdown", "crash"]),
    ("redis_link", &["shutdown"]),
    ("process", &[]),
    ("supervisor", &["process", "shutdown", "crash"]),
    ("children", &["supervisor", "config"]),
    // adapters: implement ports, never name each other or app
    ("clock", &["domain", "ports"]),
    ("store", &["domain", "ports", "sqlite", "redis_link", "crash"]),
    ("bus", &["domain", "ports", "redis_link", "metrics", "shutdown"]),
    (
        "mail",
        &["domain", "ports", "redis_link", "sqlite", "shutdown", "crash"],
    ),
    ("locks", &["domain", "ports", "redis_link", "shutdown"]),
    ("manifest", &["domain", "ports"]),
    ("skills", &[]),
    // edges: the world comes in here
    (
        "presence",
        &[
            "domain",
            "ports",
            "app",
            "process",
            "sqlite",
            "redis_link",
            "shutdown",
        ],
    ),
    (
        "access",
        &["domain", "ports", "app", "sqlite", "shutdown", "crash"],
    ),
    (
        "push",
        &["domain", "app", "access", "bus", "sqlite", "outward", "shutdown"],
    ),
    (
        "tunnel",
        &[
            "access",
            "children",
            "supervisor",
            "config",
            "outward",
            "shutdown",
        ],
    ),
    // The bus has one kind of subscription, so there is no port for it.
    (
        "hub",
        &[
            "domain",
            "ports",
            "app",
            "access",
            "bus",
            "push",
            "skills",
            "private_socket",
            "metrics",
            "shutdown",
        ],
    ),
    (
        "control",
        &[
            "domain",
            "ports",
            "app",
            "access",
            "supervisor",
            "private_socket",
            "metrics",
            "shutdown",
        ],
    ),
    ("ctl", &["control", "config", "process", "store"]),
    // the wiring
    ("daemon", &["*"]),
    ("bin", &["*"]),
    // tests and fuzzing only
    ("fuzzing", &["*"]),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("src is readable") {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn room_of(file: &Path, src: &Path) -> String {
    let first = file
        .strip_prefix(src)
        .expect("below src")
        .components()
        .next()
        .expect("a file");
    first
        .as_os_str()
        .to_string_lossy()
        .trim_end_matches(".rs")
        .to_owned()
}

/// The rooms named in `text`. `crate::{a, b}` counts as naming nothing readable and is refused by the caller.
fn named_rooms(text: &str) -> Vec<String> {
    text.split("crate::")
        .skip(1)
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}

#[test]
fn rooms_name_only_the_rooms_below_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let room = room_of(&file, &src);
        if room == "lib" {
            continue;
        }
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!(
                "{}: the room `{room}` is not in the table",
                file.display()
            ));
            continue;
        };
        let text = fs::read_to_string(&file).expect("source is readable");
        for named in named_rooms(&text) {
            if named.is_empty() {
                wrong.push(format!(
                    "{}: one `use` per room, not `crate::{{..}}`",
                    file.display()
                ));
            } else if named != room && !allowed.contains(&"*") && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{}: `{room}` must not know `{named}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Libraries that one place alone may name, so that they can be replaced there.
const NAMED_ONLY_IN: &[(&str, &str)] = &[("socketioxide", "hub/socket_io"), ("prometheus::", "metrics.rs")];

#[test]
fn what_may_have_to_be_replaced_is_named_in_one_place() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    for (library, place) in NAMED_ONLY_IN {
        let names = |file: &&PathBuf| {
            fs::read_to_string(file)
                .expect("source is readable")
                .contains(library)
        };
        let (inside, outside): (Vec<_>, Vec<_>) = files
            .iter()
            .filter(names)
            .partition(|file| file.starts_with(src.join(place)));
        assert!(
            outside.is_empty(),
            "{library} is named outside {place}: {outside:?}"
        );
        assert!(
            !inside.is_empty(),
            "{library} is not named at all: is the table true?"
        );
    }
}
