//! The reference of keys, made from the table that parses: docs/CONFIGURATION.md is this text, and a test says so.

use serde_json::{Value as Json, json};

use super::{
    check::IGNORED_ENV,
    keys::Config,
    table::{Key, Preset, Reload},
};

const HEAD: &str = "# Configuration

<!-- Made from src/config/keys.rs. After a change there: UPDATE_DOCS=1 cargo test --lib config::reference -->

No configuration at all is a working one. What there is comes from, in this order: command-line options, environment
variables, the file, built-in defaults. `maestrod check` prints what is in effect and where each value came from.

The file is the first of: `--config FILE`, `$MAESTRO_CONFIG`, `$XDG_CONFIG_HOME/maestro/maestro.toml` (usually
`~/.config`), `/etc/maestro/maestro.toml`, `/opt/homebrew/etc/maestro/maestro.toml`,
`/usr/local/etc/maestro/maestro.toml`. It is TOML; an unknown key or a wrong type is refused. Every key can also be
set with `--set KEY=VALUE`. Lists are written as TOML lists, or comma-separated in variables and options. Relative
paths are relative to the file they stand in; `~` is your home.

*Live* keys change at a reload (SIGHUP, `maestroctl config reload`); the others at the next start, and a reload names them.
";

/// The whole reference as Markdown.
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    let mut table = None;
    for key in Config::keys() {
        let (section, _) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if table != Some(section) {
            table = Some(section);
            let title = if section.is_empty() {
                "Top level".to_owned()
            } else {
                format!("`[{section}]`")
            };
            out.push_str(&format!(
                "\n## {title}\n\n| key | value | default | variable | |\n| --- | --- | --- | --- | --- |\n"
            ));
        }
        out.push_str(&row(key));
    }
    out.push_str(
        "\n## Variables of the Node server that have no effect\n\n| variable | because |\n| --- | --- |\n",
    );
    for (name, why) in IGNORED_ENV {
        out.push_str(&format!("| `{name}` | {why} |\n"));
    }
    out
}

fn row(key: &Key) -> String {
    let live = if key.reload == Reload::Live {
        " *Live.*"
    } else {
        ""
    };
    let env: Vec<_> = key.env.iter().map(|env| format!("`{}`", env.name)).collect();
    format!(
        "| `{}` | {} | {} | {} | {}{live} |\n",
        key.name,
        key.expectation().replace('|', "\\|"),
        default_cell(key),
        env.join(", "),
        key.doc.trim().replace('|', "\\|"),
    )
}

fn default_cell(key: &Key) -> String {
    match key.preset {
        Preset::Text("") => "unset".into(),
        Preset::Text(text) => format!("`{text}`"),
        Preset::Derived(rule, _) => rule.into(),
    }
}

/// The whole reference for programs.
pub fn json() -> Json {
    Config::keys()
        .into_iter()
        .map(|key| {
            json!({
                "key": key.name,
                "type": key.expectation(),
                "default": match key.preset {
                    Preset::Text("") => Json::Null,
                    Preset::Text(text) => text.into(),
                    Preset::Derived(rule, _) => rule.into(),
                },
                "env": key.env.iter().map(|env| env.name).collect::<Vec<_>>(),
                "live": key.reload == Reload::Live,
                "meaning": key.doc.trim(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use super::*;

    #[test]
    fn docs_configuration_md_is_this_reference() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIGURATION.md");
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, markdown()).expect("docs can be written");
        }
        let on_disk = fs::read_to_string(&path).expect("docs/CONFIGURATION.md is there");
        assert!(
            on_disk == markdown(),
            "run: UPDATE_DOCS=1 cargo test --lib config::reference"
        );
    }

    #[test]
    fn every_key_says_what_it_means_and_what_it_takes() {
        for key in Config::keys() {
            assert!(key.doc.trim().ends_with('.'), "{}", key.name);
            assert!(!key.expectation().is_empty(), "{}", key.name);
        }
        assert_eq!(json().as_array().map(Vec::len), Some(Config::keys().len()));
    }
}
