//! The room as its users see it: sources in, a checked configuration or a list of problems out.

mod places;
mod properties;
mod refusals;

use std::{path::Path, time::Duration};

use super::{setting::Base, *};

const HOME: (&str, &str) = ("HOME", "/home/ada");

#[derive(Default)]
struct Given {
    flags: Vec<(&'static str, &'static str)>,
    env: Vec<(&'static str, &'static str)>,
    file: &'static str,
}

impl Given {
    fn sources(&self) -> Sources {
        Sources {
            flags: self
                .flags
                .iter()
                .map(|(key, value)| Flag {
                    name: format!("--{key}"),
                    key: (*key).into(),
                    value: (*value).into(),
                })
                .collect(),
            env: self.env.iter().chain([&HOME]).copied().collect(),
            file: (!self.file.is_empty()).then(|| FileText {
                path: "/etc/m.toml".into(),
                bytes: self.file.into(),
                readable_by_others: false,
            }),
            working_dir: "/work".into(),
            notes: vec![],
        }
    }

    fn load(&self) -> Result<Loaded, ConfigError> {
        Config::load(&self.sources())
    }
}

fn env(pairs: &[(&'static str, &'static str)]) -> Loaded {
    Given {
        env: pairs.to_vec(),
        ..Given::default()
    }
    .load()
    .expect("a valid environment")
}

fn file(text: &'static str) -> Result<Loaded, ConfigError> {
    Given {
        file: text,
        ..Given::default()
    }
    .load()
}

fn problems(text: &'static str) -> Vec<String> {
    let error = file(text).expect_err("a refused file");
    error.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn no_configuration_at_all_is_a_working_one() {
    let loaded = Given::default().load().expect("the defaults are valid");
    let config = &loaded.config;
    assert_eq!(config.listen.port, 3000);
    assert!(config.listen.host.iter().all(|ip| ip.is_loopback()));
    assert_eq!(config.listen.host.len(), 2);
    assert_eq!(config.data_dir, Path::new("/home/ada/.maestro/data"));
    assert_eq!(config.session_dir, Path::new("/home/ada/.maestro/sessions"));
    assert_eq!(config.state_dir, Path::new("/home/ada/.maestro/data/state"));
    assert_eq!(config.runtime_dir, Path::new("/home/ada/.maestro/data/run"));
    assert_eq!(config.redis.mode, RedisMode::Auto);
    assert_eq!(config.mail_key_prefix(), "maestro:mail:");
    assert_eq!(config.server_url(4711), "http://localhost:4711");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert!(loaded.origins.values().all(Origin::is_default));
    assert_eq!(loaded.origins.len(), Config::keys().len());
}

#[test]
fn every_default_and_every_bound_is_itself_a_valid_value() {
    let loaded = Given::default().load().expect("the defaults are valid");
    let base = Base::default();
    loaded.config.visit(&mut |key, _| {
        if let Some((least, most)) = key.bounds {
            let read = |text| amount_or_number(text, &base);
            assert!(read(least) < read(most), "{}: {least} .. {most}", key.name);
        }
    });
}

fn amount_or_number(text: &str, base: &Base) -> u64 {
    use super::setting::Setting;
    let size = ByteSize::from_text(text, base).ok().and_then(|s| s.measure());
    let time = Duration::from_text(text, base).ok().and_then(|d| d.measure());
    time.or(size).expect("a bound reads as an amount")
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_the_default() {
    let mut given = Given::default();
    let port = |given: &Given| {
        let loaded = given.load().expect("valid");
        (
            loaded.config.listen.port,
            loaded.origins["listen.port"].to_string(),
        )
    };
    assert_eq!(port(&given), (3000, "default".into()));
    given.file = "# ports\n[listen]\nport = 4001\n";
    assert_eq!(port(&given), (4001, "/etc/m.toml:3".into()));
    given.env = vec![("PORT", "4002")];
    assert_eq!(port(&given), (4002, "$PORT".into()));
    given.flags = vec![("listen.port", "4003"), ("listen.port", "4004")];
    assert_eq!(port(&given), (4004, "--listen.port".into()));
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    assert_eq!(env(&[("PORT", ""), ("REDIS_URL", "")]).config.listen.port, 3000);
}

#[test]
fn every_variable_of_the_contract_sets_its_key() {
    let all = [
        ("PORT", "2357", "listen.port", "2357"),
        ("HOST", "127.0.0.1", "listen.host", "127.0.0.1"),
        ("DATA_DIR", "~/d", "data_dir", "/home/ada/d"),
        ("SESSION_DIR", "s", "session_dir", "/work/s"),
        ("SKILLS_DIR", "/k", "skills_dir", "/k"),
        ("SERVER_URL", "http://hub:3000/", "server_url", "http://hub:3000"),
        (
            "CORS_ORIGINS",
            "http://a, http://b:1",
            "listen.cors_origins",
            "http://a, http://b:1",
        ),
        ("LOG_LEVEL", "debug", "log.level", "debug"),
        ("LOG_FORMAT", "json", "log.format", "json"),
        (
            "MAESTRO_CLI_PATH",
            "~/bin/maestro",
            "manifest.cli_path",
            "/home/ada/bin/maestro",
        ),
        ("MANIFEST_GENERATOR", "server", "manifest.generator", "builtin"),
        ("MANIFEST_GENERATOR", "cli", "manifest.generator", "cli"),
        ("REDIS_ENABLED", "false", "redis.mode", "off"),
        ("REDIS_ENABLED", "true", "redis.mode", "auto"),
        ("REDIS_URL", "redis://r:6379", "redis.url", "redis://r:6379"),
        ("REDIS_KEY_PREFIX", "team:", "redis.key_prefix", "team:"),
        (
            "EXTERNAL_URL",
            "https://hub.example",
            "external_url",
            "https://hub.example",
        ),
        (
            "CLOUDFLARE_TUNNEL_URL",
            "https://t.example",
            "tunnel.url",
            "https://t.example",
        ),
        ("MAESTRO_STATE_DIR", "/s", "state_dir", "/s"),
        ("MAESTRO_RUNTIME_DIR", "/r", "runtime_dir", "/r"),
    ];
    for (name, text, key, shown) in all {
        let loaded = env(&[(name, text)]);
        let row = &loaded.to_json()["values"][key];
        let value = match &row["value"] {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(all) => all
                .iter()
                .filter_map(|v| v.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            other => other.to_string(),
        };
        assert_eq!(
            (value.as_str(), row["origin"].as_str()),
            (shown, Some(format!("${name}").as_str())),
            "{name}"
        );
    }
}

#[test]
fn variables_that_mean_nothing_here_are_accepted_and_the_misleading_ones_named() {
    let loaded = env(&[
        ("NODE_ENV", "production"),
        ("DATABASE_TYPE", "filesystem"),
        ("DEBUG", "*"),
        ("GEMINI_API_KEY", "k"),
    ]);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let loaded = env(&[
        ("DATABASE_TYPE", "postgres"),
        ("LOG_FILE", "/x"),
        ("CORS_ENABLED", "false"),
    ]);
    assert_eq!(loaded.warnings.len(), 3, "{:?}", loaded.warnings);
}

#[test]
fn variables_the_node_server_ignored_cannot_keep_us_from_starting() {
    // csh exports HOST with the machine's name; LOG_FORMAT and CORS_ORIGINS could be anything.
    let loaded = env(&[
        ("HOST", "adas-laptop"),
        ("LOG_FORMAT", "combined"),
        ("CORS_ORIGINS", "*"),
    ]);
    assert_eq!(loaded.config.listen.host.len(), 2);
    assert_eq!(loaded.config.log.format, LogFormat::Auto);
    assert_eq!(loaded.warnings.len(), 3, "{:?}", loaded.warnings);
    assert!(
        loaded
            .warnings
            .iter()
            .any(|w| w.contains("$HOST") && w.contains("adas-laptop"))
    );
}

#[test]
fn a_secret_is_shown_nowhere() {
    let loaded = file("[redis]\nurl = \"redis://ada:hunter2@cache:6379/1\"").expect("valid");
    assert_eq!(
        loaded.config.redis.url.as_ref().expect("set").expose(),
        "redis://ada:hunter2@cache:6379/1"
    );
    let everything = format!("{loaded:?} {} {}", loaded.render(), loaded.to_json());
    assert!(!everything.contains("hunter2") && everything.contains("cache:6379"));
    let found = problems("[redis]\nurl = \"hunter2\"");
    assert!(
        !found[0].contains("hunter2") && found[0].contains("not shown"),
        "{found:?}"
    );
    let plan = diff_for_reload(&Given::default().load().expect("valid").config, &loaded.config);
    assert!(!format!("{plan:?}").contains("hunter2"));
}

#[test]
fn a_secret_where_others_can_read_it_is_warned_about() {
    let given = Given {
        file: "[redis]\nurl = \"redis://:p@h\"",
        ..Given::default()
    };
    let mut sources = given.sources();
    assert!(Config::load(&sources).expect("valid").warnings.is_empty());
    sources.file.as_mut().expect("a file").readable_by_others = true;
    assert!(Config::load(&sources).expect("valid").warnings[0].contains("chmod 600"));
    let argv = Given {
        flags: vec![("redis.url", "redis://:p@h")],
        ..Given::default()
    };
    assert!(argv.load().expect("valid").warnings[0].contains("ps"));
}

#[test]
fn a_reload_changes_what_can_change_and_names_what_cannot() {
    let old = file("[log]\nlevel = \"info\"\n[listen]\nport = 3000")
        .expect("valid")
        .config;
    let new = file("[log]\nlevel = \"debug\"\n[listen]\nport = 3001\ncors_origins = [\"http://a\"]")
        .expect("valid")
        .config;
    let plan = diff_for_reload(&old, &new);
    let names = |all: &[Changed]| all.iter().map(|c| c.key).collect::<Vec<_>>();
    assert_eq!(names(&plan.live), ["listen.cors_origins", "log.level"]);
    assert_eq!(names(&plan.needs_restart), ["listen.port"]);
    assert_eq!(
        plan.needs_restart[0],
        Changed {
            key: "listen.port",
            from: "3000".into(),
            to: "3001".into()
        }
    );
    assert_eq!(plan.config.log.level.as_str(), "debug");
    assert_eq!(
        plan.config.listen.port, 3000,
        "the port in use is still the old one"
    );
    assert!(diff_for_reload(&old, &old).is_empty());
}

#[test]
fn what_is_printed_can_be_pasted_into_a_file_and_means_the_same() {
    let loaded = file("[listen]\nport = 4000\ncors_origins = [\"http://a\"]\n[presence]\nttl = \"45s\"")
        .expect("valid");
    let printed = loaded.render();
    assert!(printed.contains("port = 4000"), "{printed}");
    assert!(printed.contains("# /etc/m.toml:2"), "{printed}");
    let again = file(Box::leak(printed.into_boxed_str())).expect("the printed form is valid");
    assert_eq!(again.config, loaded.config);
}

#[test]
fn a_path_with_characters_no_comment_may_hold_is_printed_so_that_it_reads_back() {
    let loaded = file("skills_dir = \"/a\\u007f\\n\\u0085b\"").expect("a strange path is a path");
    let again = file(Box::leak(loaded.render().into_boxed_str())).expect("the printed form is valid");
    assert_eq!(again.config, loaded.config);
    assert!(!loaded.render().contains(['\u{7f}', '\u{85}']));
}
