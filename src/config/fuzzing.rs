//! What holds for any configuration whatever: it is usable, or it is said where it is wrong; what is printed of it can
//! be read back.
//!
//! The input, as people can read and write it: lines `--set key=value` and `$NAME=value`, as many as there are, then
//! the file.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a check fails

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf, sync::LazyLock};

use super::{Config, ConfigArgs, ConfigError, FileText, Loaded, Origin, Problem, Sources, diff_for_reload};

const FILE: &str = "/etc/m.toml";

pub(crate) fn config(bytes: &[u8]) {
    let sources = sources(bytes);
    match Config::load(&sources) {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| is_one_line(warning));
            is_whole(&loaded);
            reads_back(&loaded);
        }
        Err(ConfigError::Invalid(problems)) => {
            assert!(!problems.is_empty(), "refused without a reason");
            let lines = sources
                .file
                .map_or(0, |file| file.bytes.split(|b| *b == b'\n').count());
            problems.iter().for_each(|problem| says_where(problem, lines));
        }
        Err(unreadable) => panic!("nothing was read, and yet: {unreadable}"),
    }
}

fn sources(bytes: &[u8]) -> Sources {
    let mut args = ConfigArgs::default();
    // Neither arguments nor variables can hold a zero byte.
    let text = |bytes: &[u8]| bytes.iter().copied().filter(|b| *b != 0).collect::<Vec<u8>>();
    let mut env = vec![("HOME".to_owned(), OsStr::new("/home/ada").to_owned())];
    let mut rest = bytes;
    loop {
        let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        let (line, after) = (text(&rest[..end]), &rest[rest.len().min(end + 1)..]);
        if let Some(set) = line.strip_prefix(b"--set ") {
            args.set.push(String::from_utf8_lossy(set).into_owned());
        } else if let Some(pair) = line.strip_prefix(b"$") {
            let equals = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at(equals);
            let value = value.strip_prefix(b"=").unwrap_or_default();
            env.push((
                String::from_utf8_lossy(name).into_owned(),
                OsStr::from_bytes(value).to_owned(),
            ));
        } else {
            break;
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    Sources {
        flags: args.flags(),
        env: env.into_iter().collect(),
        file: (!rest.is_empty()).then(|| FileText {
            path: FILE.into(),
            bytes: rest.to_owned(),
            readable_by_others: true,
        }),
        working_dir: "/work".into(),
        notes: Vec::new(),
    }
}

/// What is told on a terminal or in a log stays a line there.
fn is_one_line(text: &str) {
    assert!(!text.chars().any(char::is_control), "not a line: {text:?}");
}

fn says_where(problem: &Problem, lines: usize) {
    let said = problem.to_string();
    is_one_line(&said);
    assert!(problem.origin.is_some() || problem.key.is_some(), "where? {said}");
    if let Some(Origin::File { path, line }) = &problem.origin {
        assert_eq!(&**path, PathBuf::from(FILE));
        assert!((1..=lines).contains(&(*line as usize)), "no such line: {said}");
    }
}

fn is_whole(loaded: &Loaded) {
    let config = &loaded.config;
    for key in Config::keys() {
        assert!(
            loaded.origins.contains_key(key.name),
            "{} came from nowhere",
            key.name
        );
    }
    for path in [
        &config.data_dir,
        &config.session_dir,
        &config.skills_dir,
        &config.state_dir,
        &config.runtime_dir,
    ] {
        assert!(path.is_absolute(), "{path:?} depends on where we are");
    }
    static USUAL: LazyLock<Config> = LazyLock::new(|| {
        Config::load(&sources(b""))
            .expect("the defaults are valid")
            .config
    });
    let plan = diff_for_reload(&USUAL, config);
    assert_eq!(plan.is_empty(), *USUAL == *config);
}

/// Secrets are masked, everything else is what it was.
fn reads_back(loaded: &Loaded) {
    let mut printed = sources(b"");
    printed.file = Some(FileText {
        path: "/elsewhere/printed.toml".into(),
        bytes: loaded.render().into_bytes(),
        readable_by_others: false,
    });
    let again = Config::load(&printed).unwrap_or_else(|error| panic!("{error} in\n{}", loaded.render()));
    let public = |config: &Config| {
        let mut config = config.clone();
        config.redis.url = None;
        config
    };
    assert_eq!(
        public(&again.config),
        public(&loaded.config),
        "printed as\n{}",
        loaded.render()
    );
    assert_eq!(
        again.config.redis.url.is_some(),
        loaded.config.redis.url.is_some()
    );
    let json = loaded.to_json();
    assert_eq!(
        json["values"].as_object().map(serde_json::Map::len),
        Some(Config::keys().len())
    );
}
