//! Files, directories and options.

use std::io::Write;

use super::{source::Lookup, *};

#[test]
fn directories_follow_the_init_system_and_two_hubs_of_one_user_stay_apart() {
    let dirs = |pairs: &[(&'static str, &'static str)]| {
        let config = env(pairs).config;
        [config.data_dir, config.state_dir, config.runtime_dir].map(|path| path.display().to_string())
    };
    let system = [
        ("STATE_DIRECTORY", "/var/lib/maestro:/var/lib/x"),
        ("RUNTIME_DIRECTORY", "/run/maestro"),
    ];
    assert_eq!(
        dirs(&system),
        ["/var/lib/maestro/data", "/var/lib/maestro", "/run/maestro"]
    );
    let xdg = ("XDG_RUNTIME_DIR", "/run/user/1000");
    let user = [
        ("STATE_DIRECTORY", "/home/ada/.local/state/maestro"),
        ("RUNTIME_DIRECTORY", "/run/user/1000/maestro"),
        xdg,
    ];
    let usual = dirs(&user);
    assert_eq!(
        usual,
        [
            "/home/ada/.maestro/data",
            "/home/ada/.local/state/maestro",
            "/run/user/1000/maestro"
        ]
    );
    assert_eq!(
        dirs(&[xdg])[2],
        usual[2],
        "the remote control finds the unit's directory without its variables"
    );
    let staging = dirs(&[xdg, ("DATA_DIR", "/home/ada/.maestro-staging/data")]);
    assert!(
        staging[2].starts_with("/run/user/1000/maestro/") && staging[2] != usual[2],
        "{staging:?}"
    );
    assert_eq!(dirs(&[("DATA_DIR", "/d")]), ["/d", "/d/state", "/d/run"]);
}

#[test]
fn without_a_home_the_remedy_is_named_once() {
    let error = Config::load(&Sources::default()).expect_err("no home");
    let about_data = error
        .problems()
        .iter()
        .filter(|p| p.key.as_deref() == Some("data_dir"))
        .count();
    assert_eq!(about_data, 1);
    assert!(
        error
            .problems()
            .iter()
            .all(|p| p.key.as_deref() != Some("runtime_dir")),
        "{error}"
    );
    assert!(error.to_string().contains("HOME"), "{error}");
}

#[test]
fn a_home_that_depends_on_where_we_are_is_none() {
    let env = [("HOME", "ada")].into_iter().collect();
    let sources = Sources {
        env,
        working_dir: "/work".into(),
        ..Sources::default()
    };
    let error = Config::load(&sources).expect_err("no home");
    assert!(error.to_string().contains("HOME is not set"), "{error}");
}

#[test]
fn relative_paths_in_a_file_are_relative_to_the_file() {
    let loaded = file("session_dir = \"sessions\"\n[manifest]\ncli_path = \"./maestro\"").expect("valid");
    assert_eq!(loaded.config.session_dir, Path::new("/etc/sessions"));
    assert_eq!(
        loaded.config.manifest.cli_path.as_path(),
        Path::new("/etc/./maestro")
    );
}

#[test]
fn the_file_is_looked_for_where_the_documentation_says() {
    let env: Env = [HOME].into_iter().collect();
    let Lookup::FirstOf(places) = lookup(None, &env) else {
        panic!("nobody named a file")
    };
    let places: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
    assert_eq!(
        places,
        [
            "/home/ada/.config/maestro/maestro.toml",
            "/etc/maestro/maestro.toml",
            "/opt/homebrew/etc/maestro/maestro.toml",
            "/usr/local/etc/maestro/maestro.toml",
        ]
    );
    let env: Env = [HOME, ("XDG_CONFIG_HOME", "/x"), ("MAESTRO_CONFIG", "/m.toml")]
        .into_iter()
        .collect();
    assert_eq!(lookup(None, &env), Lookup::Exactly("/m.toml".into()));
    assert_eq!(
        lookup(Some(Path::new("f.toml")), &env),
        Lookup::Exactly("f.toml".into())
    );
    let env: Env = [HOME, ("XDG_CONFIG_HOME", "/x")].into_iter().collect();
    assert!(
        matches!(lookup(None, &env), Lookup::FirstOf(all) if all[0] == Path::new("/x/maestro/maestro.toml"))
    );
}

#[test]
fn a_file_that_was_named_must_be_there_and_one_that_was_not_need_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let xdg = dir.path().display().to_string();
    let env = || {
        [("XDG_CONFIG_HOME", xdg.clone()), ("HOME", xdg.clone())]
            .into_iter()
            .collect::<Env>()
    };
    let named = |path: &Path| ConfigArgs {
        config: Some(path.into()),
        ..ConfigArgs::default()
    };
    let missing = Sources::gather(&named(&dir.path().join("no.toml")), env())
        .err()
        .expect("a missing file");
    assert!(missing.to_string().contains("no.toml"), "{missing}");
    let directory = Sources::gather(&named(dir.path()), env())
        .err()
        .expect("a directory is no file");
    assert!(matches!(directory, ConfigError::Unreadable { .. }));
    let place = dir.path().join("maestro/maestro.toml");
    std::fs::create_dir(place.parent().expect("a parent")).expect("created");
    let mut file = std::fs::File::create(&place).expect("created");
    file.write_all(b"[listen]\nport = 4005\n").expect("written");
    let found = Sources::gather(&ConfigArgs::default(), env()).expect("gathered");
    let loaded = Config::load(&found).expect("valid");
    assert_eq!((loaded.config.listen.port, loaded.file), (4005, Some(place)));
}

#[test]
fn options_of_the_command_line_reach_their_keys() {
    use clap::Parser;
    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        config: ConfigArgs,
    }
    let line = "x --port 4006 --host ::1 --data-dir d --log-level warn --log-format json --redis off --set presence.ttl=40s --set listen.port=9";
    let args = Program::parse_from(line.split(' ')).config;
    let sources = Sources {
        flags: args.flags(),
        ..Given::default().sources()
    };
    let loaded = Config::load(&sources).expect("valid");
    assert_eq!(loaded.config.listen.port, 4006, "a named option beats --set");
    assert_eq!(loaded.origins["listen.port"].to_string(), "--port");
    assert_eq!(loaded.config.data_dir, Path::new("/work/d"));
    assert_eq!(loaded.config.redis.mode, RedisMode::Off);
    assert_eq!(loaded.config.presence.ttl, Duration::from_secs(40));
}
