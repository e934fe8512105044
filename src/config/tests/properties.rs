//! What holds for any text at all.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_the_file_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut sources = Given::default().sources();
        sources.file = Some(FileText { path: "/f".into(), bytes, readable_by_others: true });
        let _ = Config::load(&sources);
    }

    #[test]
    fn no_value_of_any_key_panics_and_none_is_accepted_that_does_not_read_back(
        at in 0..Config::keys().len(), text in "\\PC{0,40}|[0-9]{1,25}(ms|s|h|MiB|GiB)?|[\"\\[{]{0,3}[a-z:/.@?~-]{0,30}",
    ) {
        let key = Config::keys()[at].name;
        let mut sources = Given::default().sources();
        sources.flags = vec![Flag { name: "--set".into(), key: key.into(), value: text }];
        if let Ok(loaded) = Config::load(&sources) {
            let _ = (loaded.render(), loaded.to_json());
            if key != "redis.url" {
                sources.flags[0].value = loaded.shown(key);
                prop_assert_eq!(Config::load(&sources).expect("what was shown is valid").config, loaded.config);
            }
        }
    }

    #[test]
    fn no_shape_of_file_panics(lines in proptest::collection::vec(
        (0..Config::keys().len(), "[^\\n]{0,20}|\"[a-z0-9:/]{0,12}\"|[0-9]{1,6}|true|\\[\"a\"\\]|\\{a=1\\}"), 0..8,
    )) {
        let text: String = lines.iter().map(|(at, value)| format!("{} = {value}\n", Config::keys()[*at].name)).collect();
        let mut sources = Given::default().sources();
        sources.file = Some(FileText { path: "/f".into(), bytes: text.into_bytes(), readable_by_others: false });
        if let Err(error) = Config::load(&sources) {
            prop_assert!(!error.problems().is_empty());
        }
    }

    #[test]
    fn a_reload_never_adopts_what_needs_a_restart(a in 1u16..1000, b in 1u16..1000, level in "debug|info|warn") {
        let with = |port: u16, level: &str| {
            let mut sources = Given::default().sources();
            sources.flags = ["listen.port", "log.level"].into_iter().zip([port.to_string(), level.to_string()])
                .map(|(key, value)| Flag { name: "--set".into(), key: key.into(), value }).collect();
            Config::load(&sources).expect("valid").config
        };
        let (old, new) = (with(a, "error"), with(b, &level));
        let plan = diff_for_reload(&old, &new);
        prop_assert_eq!(plan.config.listen.port, a);
        prop_assert_eq!(plan.config.log.level.as_str(), level.as_str());
        prop_assert_eq!(plan.needs_restart.is_empty(), a == b);
    }
}

impl Loaded {
    fn shown(&self, wanted: &str) -> String {
        let mut found = String::new();
        self.config.visit(&mut |key, value| {
            if key.name == wanted {
                found = value.shown();
            }
        });
        found
    }
}
