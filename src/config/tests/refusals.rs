//! What is refused, where it says it is, and what it proposes instead.

use super::*;

#[test]
fn a_bad_variable_is_named_with_what_was_expected_and_found() {
    for (name, value, said) in [
        (
            "PORT",
            "http",
            "$PORT: listen.port: expected a whole number, 0 to 65535, found \"http\"",
        ),
        (
            "PORT",
            "65536",
            "$PORT: listen.port: expected a whole number, 0 to 65535, found \"65536\"",
        ),
        ("LOG_LEVEL", "loud", "$LOG_LEVEL: log.level: expected off, error"),
        (
            "MANIFEST_GENERATOR",
            "clj",
            "found \"clj\"; did you mean \"cli\"?",
        ),
        (
            "REDIS_ENABLED",
            "perhaps",
            "$REDIS_ENABLED: redis.mode: expected one of auto",
        ),
        (
            "EXTERNAL_URL",
            "hub",
            "$EXTERNAL_URL: external_url: expected an http:// or https:// URL, found \"hub\"",
        ),
    ] {
        let error = Given {
            env: vec![(name, value)],
            ..Given::default()
        }
        .load()
        .expect_err("a bad value");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_valid_one() {
    assert_eq!(
        problems("[listen]\nhost = \"127.0.0.1\"\nprot = 3000\n"),
        ["/etc/m.toml:3: unknown key `listen.prot`; did you mean `listen.port`?"]
    );
    assert_eq!(
        problems("port = 1"),
        ["/etc/m.toml:1: unknown key `port`; did you mean `listen.port`?"]
    );
    assert_eq!(
        problems("\n[reddis]\nmode = \"off\""),
        ["/etc/m.toml:2: unknown key `reddis`; did you mean `redis`?"]
    );
    assert!(problems("[database]\nkind = 1")[0].contains("docs/CONFIGURATION.md"));
    assert!(problems("[[listen]]\nport = 1")[0].contains("expected a table, found a list"));
}

#[test]
fn an_unknown_key_on_the_command_line_is_refused_too() {
    let given = Given {
        flags: vec![("presence.tll", "5s")],
        ..Given::default()
    };
    let error = given.load().expect_err("an unknown key").to_string();
    assert_eq!(
        error,
        "--presence.tll: unknown key `presence.tll`; did you mean `presence.ttl`?"
    );
}

#[test]
fn a_wrong_type_is_refused_with_its_place() {
    for (text, said) in [
        (
            "[listen]\nport = \"3000\"",
            "/etc/m.toml:2: listen.port: expected a whole number, 0 to 65535, found \"3000\"; write it without quotes",
        ),
        (
            "[listen]\n\nport = 3000.5",
            "/etc/m.toml:3: listen.port: expected a whole number, 0 to 65535, found a fraction",
        ),
        ("[listen]\nport = -1", "found -1"),
        ("[listen]\nport = { a = 1 }", "found a table"),
        (
            "listen = 3000",
            "/etc/m.toml:1: listen: expected a table, found the number 3000; write [listen]",
        ),
        ("[presence]\nttl = 30", "found 30; write \"30s\" for seconds"),
        ("[presence]\nttl = \"30 parsecs\"", "found \"30 parsecs\""),
        (
            "[listen]\nbody_limit = \"1B\"",
            "expected a size such as \"4MiB\", 64KiB to 256MiB, found 1B",
        ),
        ("[listen]\ncors_origins = [1]", "found the number 1 in it"),
        ("[locks]\nenabled = \"yes\"", "expected true or false, found text"),
        (
            "[redis]\nmode = \"embedded\"",
            "expected one of auto, managed, external, off",
        ),
        ("data_dir = \"\"", "expected a path, found \"\""),
    ] {
        let found = problems(text);
        assert!(found[0].contains(said), "{text:?}: {found:?}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_in_the_order_of_the_file() {
    let error = file("[listen]\nprot = 1\nport = \"x\"\n[presence]\nttl = 1\n").expect_err("three problems");
    assert_eq!(error.problems().len(), 3);
    assert!(
        error
            .to_string()
            .starts_with("3 problems in the configuration:\n  /etc/m.toml:2:"),
        "{error}"
    );
}

#[test]
fn what_is_not_toml_or_not_text_is_refused_with_its_line_and_without_quoting_it() {
    let found = problems("[redis]\nurl = \"redis://:hunter2@host\n");
    assert!(
        found[0].starts_with("/etc/m.toml:2: not valid TOML: "),
        "{found:?}"
    );
    assert!(!found[0].contains("hunter2"));
    let mut given = Given {
        file: "x",
        ..Given::default()
    }
    .sources();
    given.file.as_mut().expect("a file").bytes = b"[log]\n\xff\xfe".to_vec();
    let error = Config::load(&given).expect_err("not text").to_string();
    assert!(
        error.contains("/etc/m.toml:2: not valid TOML: the file is not UTF-8 text"),
        "{error}"
    );
}

#[test]
fn listening_beyond_this_machine_is_refused_unless_it_is_asked_for_by_name() {
    for host in ["0.0.0.0", "::", "192.168.1.5", "127.0.0.1, ::ffff:10.0.0.1"] {
        let given = Given {
            env: vec![("HOST", host)],
            ..Given::default()
        };
        let error = given.load().expect_err("an open door").to_string();
        assert!(
            error.contains("$HOST: listen.host") && error.contains("allow_insecure_lan"),
            "{error}"
        );
    }
    let allowed = file("[listen]\nhost = \"0.0.0.0\"\nallow_insecure_lan = true").expect("allowed");
    assert!(allowed.warnings[0].contains("without authentication"));
    for host in ["127.0.0.1", "127.8.8.8", "::1", "localhost", "::ffff:127.0.0.1"] {
        assert!(env(&[("HOST", host)]).warnings.is_empty(), "{host}");
    }
    assert!(problems("[metrics]\nlisten = \"0.0.0.0:9464\"")[0].contains("metrics have no authentication"));
    assert!(problems("[listen]\nhost = []")[0].contains("no address"));
}

#[test]
fn values_that_cannot_work_together_are_refused() {
    for (text, said) in [
        (
            "[redis]\nmode = \"external\"",
            "/etc/m.toml:2: redis.mode: external, and redis.url is not set",
        ),
        (
            "[redis]\nmode = \"off\"\n[mail]\nbackend = \"redis\"",
            "mail.backend: redis, and redis.mode is off",
        ),
        ("[redis]\nport = 3000", "redis.port: the same as listen.port"),
        (
            "[presence]\nttl = \"5s\"",
            "presence.ttl: 5s is not longer than presence.heartbeat (10s)",
        ),
    ] {
        let found = problems(text);
        assert!(found.iter().any(|p| p.contains(said)), "{text:?}: {found:?}");
    }
}

#[test]
fn a_directory_too_deep_for_sockets_is_refused_before_anything_fails_on_it() {
    let deep: &'static str = Box::leak(format!("data_dir = \"/{}\"", "d".repeat(90)).into_boxed_str());
    let found = problems(deep);
    assert!(
        found[0].starts_with("runtime_dir: ") && found[0].contains("shorter"),
        "{found:?}"
    );
    let odd: &'static str =
        Box::leak(format!("data_dir = \"/{}\\n\\u001b[2J\"", "d".repeat(90)).into_boxed_str());
    assert!(
        !problems(odd)[0].contains(char::is_control),
        "a problem is one line"
    );
}

#[test]
fn a_file_nested_without_end_is_refused_and_does_not_exhaust_the_stack() {
    for text in [
        format!("a{} = 1", ".a".repeat(400_000)),
        format!("[{}a]", "a.".repeat(400_000)),
        format!("a = {}", "[".repeat(800_000)),
        format!("a = {}", "{a = ".repeat(200_000)),
    ] {
        let found = problems(Box::leak(text.into_boxed_str()));
        assert!(
            found[0].starts_with("/etc/m.toml:1: not valid TOML: "),
            "{}",
            found[0]
        );
    }
}

#[test]
fn a_tunnel_that_lacks_something_is_warned_of_and_the_rest_is_valid() {
    for (text, key) in [
        (
            "[tunnel]\nmode = \"token\"\nurl = \"https://h\"",
            "tunnel.token_file",
        ),
        ("[tunnel]\nmode = \"external\"", "external_url"),
        ("[tunnel]\nmode = \"named\"", "tunnel.hostname"),
    ] {
        let loaded = file(text).expect("the hub works without a tunnel");
        let said = format!("{key} is not set: the tunnel stays closed");
        assert!(
            loaded.warnings.iter().any(|warning| warning.contains(&said)),
            "{text}: {:?}",
            loaded.warnings
        );
    }
}
