//! Every parser of ours that reads bytes of others, with what must hold for any bytes at all: the doors of `fuzz/`.
//!
//! Compiled for tests and for fuzzing only, so that nothing becomes public for it. What must hold stands beside each
//! parser, in a `fuzzing.rs` of its room; a check fails by panicking. Deliberately not here: making up inputs.

/// What must hold for any bytes; panics where it does not.
pub type Check = fn(&[u8]);

/// Every check, by the name of its target in `fuzz/fuzz_targets` and of its corpus in `fuzz/corpus`.
pub const TARGETS: &[(&str, Check)] = &[
    ("bus_envelope", crate::bus::fuzzing::envelopes),
    ("cloudflared", crate::children::fuzzing::cloudflared),
    ("config", crate::config::fuzzing::config),
    ("control_answers", crate::control::fuzzing::answers),
    ("control_requests", crate::control::fuzzing::requests),
    ("gate", crate::access::fuzzing::gate),
    ("path", crate::hub::fuzzing::path),
    ("raw_ws", crate::hub::fuzzing::raw_ws),
    ("raw_ws_message", crate::hub::fuzzing::raw_ws_message),
    ("redis_reply", crate::children::fuzzing::redis_reply),
    ("skill", crate::skills::fuzzing::skill),
    ("socket_io", crate::hub::fuzzing::socket_io),
];

/// Runs the check of the target `name`; what each program in `fuzz/fuzz_targets` consists of.
pub fn run(name: &str, bytes: &[u8]) {
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, check)) => check(bytes),
        None => panic!("there is no fuzz target {name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::PathBuf};

    use super::*;

    fn fuzz(dir: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(dir)
    }

    fn names(dir: &str) -> BTreeSet<String> {
        fs::read_dir(fuzz(dir))
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    #[test]
    fn what_must_hold_holds_for_every_input_that_was_worth_keeping() {
        for (name, check) in TARGETS {
            let mut inputs = 0;
            for entry in fs::read_dir(fuzz("corpus").join(name)).unwrap() {
                let path = entry.unwrap().path();
                let bytes = fs::read(&path).unwrap();
                // The output of a failing test ends with the input that did it.
                println!("{}", path.display());
                check(&bytes);
                inputs += 1;
            }
            assert!(inputs > 0, "{name} has no corpus");
            check(b"");
        }
    }

    /// Otherwise other libraries would be searched than those that are shipped, and the short run would build them anew.
    #[test]
    fn the_libraries_that_are_searched_are_the_hubs() {
        fn libraries(lock: &str) -> BTreeSet<&str> {
            let entries = lock
                .split("[[package]]")
                .filter_map(|entry| entry.split_once("\nsource = "));
            entries.map(|(name_and_version, _)| name_and_version).collect()
        }
        let ours = fs::read_to_string(fuzz("../Cargo.lock")).unwrap();
        let theirs = fs::read_to_string(fuzz("Cargo.lock")).unwrap();
        let engine = |name: &&str| name.contains("\"libfuzzer-sys\"") || name.contains("\"jobserver\"");
        let (ours, theirs) = (libraries(&ours), libraries(&theirs));
        let others: Vec<_> = theirs.difference(&ours).filter(|name| !engine(name)).collect();
        assert!(
            others.is_empty() && theirs.len() > 100,
            "cp Cargo.lock fuzz/ && cargo update --manifest-path fuzz/Cargo.toml --workspace: {others:?}"
        );
    }

    #[test]
    fn every_check_has_a_program_and_a_corpus_and_there_are_no_others() {
        let checks: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names("fuzz_targets"), checks);
        assert_eq!(names("corpus"), checks);
        let manifest = fs::read_to_string(fuzz("Cargo.toml")).unwrap();
        for name in checks {
            assert!(
                manifest.contains(&format!("name = \"{name}\"")),
                "{name} is not in fuzz/Cargo.toml"
            );
            let program = fs::read_to_string(fuzz("fuzz_targets").join(format!("{name}.rs"))).unwrap();
            assert!(
                program.contains(&format!("run(\"{name}\"")),
                "{name} runs something else"
            );
        }
    }
}
