//! What the shell offers at Tab: names that only the running daemon knows. A shell waits for this with every Tab, so it is
//! asked briefly, and a daemon that is away or slow costs the names and nothing else.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

use clap_complete::{CompletionCandidate, engine::ArgValueCompleter};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::control::client::Client;
use crate::control::protocol::devices::DeviceList;

use super::{Context, agents::one_line};

/// Longer than this nobody waits for Tab.
const PATIENCE: Duration = Duration::from_millis(800);
/// The children there are.
const CHILDREN: [(&str, &str); 2] = [
    ("redis", "the redis-server of the hub"),
    ("tunnel", "the way in from outside"),
];

/// Sessions with an agent.
pub fn sessions() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let agents: Value = ask("/v1/agents").unwrap_or_default();
        let rows = agents.as_array().map(Vec::as_slice).unwrap_or_default();
        matching(typed, rows.iter().filter_map(session).collect())
    })
}

/// Paired devices, by id and, where a shell needs no quotes for it, by name.
pub fn devices() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let list: DeviceList = ask("/v1/devices").unwrap_or_default();
        let mut words = Vec::new();
        for device in list.devices {
            if device
                .name
                .chars()
                .all(|c| c.is_alphanumeric() || "._-".contains(c))
            {
                words.push((device.name.clone(), device.id.clone()));
            }
            words.push((device.id, device.name));
        }
        matching(typed, words)
    })
}

/// Children of the daemon.
pub fn children() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| matching(typed, named(&CHILDREN)))
}

/// Whose log there is.
pub fn logs() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let mut words = named(&[("hub", "maestrod itself")]);
        words.extend(named(&CHILDREN));
        matching(typed, words)
    })
}

fn named(words: &[(&str, &str)]) -> Vec<(String, String)> {
    words
        .iter()
        .map(|(word, help)| ((*word).to_owned(), (*help).to_owned()))
        .collect()
}

fn session(row: &Value) -> Option<(String, String)> {
    let id = row["sessionId"].as_str()?;
    let name = row["name"].as_str().unwrap_or_default();
    let state = match row["needsInput"]["active"] == true {
        true => "waits for an answer",
        false => row["status"].as_str().unwrap_or_default(),
    };
    Some((id.to_owned(), format!("{name}, {state}")))
}

fn matching(typed: &OsStr, words: Vec<(String, String)>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    words
        .into_iter()
        .filter(|(word, _)| word.starts_with(&*typed))
        .map(|(word, help)| CompletionCandidate::new(word).help(Some(one_line(&help).into())))
        .collect()
}

fn ask<T: DeserializeOwned>(path: &str) -> Option<T> {
    let (socket, config) = told(std::env::args_os());
    let context = Context::find(socket, config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = async {
        let mut client = Client::connect(context.socket()).await.ok()?;
        client.get(path).await.ok()
    };
    runtime
        .ok()?
        .block_on(async { tokio::time::timeout(PATIENCE, asked).await.ok().flatten() })
}

/// `--socket` and `--config` on the line that is being completed: it stands behind the `--` of our own command line.
fn told(args: impl Iterator<Item = OsString>) -> (Option<PathBuf>, Option<PathBuf>) {
    let mut socket = std::env::var_os("MAESTRO_SOCKET").map(PathBuf::from);
    let mut config = None;
    // bash takes `--socket=x` apart at the `=`.
    let mut words = args
        .skip_while(|word| word != "--")
        .skip(1)
        .filter(|word| word != "=");
    while let Some(word) = words.next() {
        let word = word.to_string_lossy().into_owned();
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.into())),
            None => (word, None),
        };
        match name.as_str() {
            "--socket" => socket = value.or_else(|| words.next().map(PathBuf::from)),
            "--config" => config = value.or_else(|| words.next().map(PathBuf::from)),
            _ => {}
        }
    }
    (socket, config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_line_being_completed_says_which_daemon_is_meant() {
        for line in [
            "maestroctl -- maestroctl --socket /run/s answer",
            "maestroctl -- maestroctl answer --socket=/run/s x",
            "maestroctl -- maestroctl --socket = /run/s answer",
        ] {
            let (socket, config) = told(line.split(' ').map(OsString::from));
            assert_eq!(socket, Some(PathBuf::from("/run/s")), "{line}");
            assert_eq!(config, None);
        }
        let (_, config) = told("m -- m --config /c.toml".split(' ').map(OsString::from));
        assert_eq!(config, Some(PathBuf::from("/c.toml")));
    }

    #[test]
    fn only_what_begins_as_typed_is_offered() {
        let values = |typed: &str| -> Vec<String> {
            let offered = matching(OsStr::new(typed), named(&CHILDREN)).into_iter();
            offered
                .map(|word| word.get_value().to_string_lossy().into_owned())
                .collect()
        };
        assert_eq!(values("t"), ["tunnel"]);
        assert_eq!(values(""), ["redis", "tunnel"]);
        assert!(values("x").is_empty());
    }

    #[test]
    fn a_session_says_whose_it_is_and_whether_it_waits() {
        let row = json!({"sessionId": "sess_1", "name": "Builder", "status": "working", "needsInput": {"active": true}});
        assert_eq!(
            session(&row),
            Some(("sess_1".into(), "Builder, waits for an answer".into()))
        );
    }
}
