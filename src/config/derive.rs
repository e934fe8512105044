//! Defaults that follow from other values or from the init system, and what old words mean today.

use super::{error::Origin, reader::Reader, table::Derived};

pub(super) const DATA_DIR: &str = "`~/.maestro/data`; `$STATE_DIRECTORY/data` in a systemd system unit";
pub(super) const STATE_DIR: &str = "`$STATE_DIRECTORY`, else `<data_dir>/state`";
pub(super) const RUNTIME_DIR: &str = "`$RUNTIME_DIRECTORY`, else `$XDG_RUNTIME_DIR/maestro`, each with a directory of its \
     own below it if `data_dir` is not the default; else `<data_dir>/run`";

/// A user unit has a state directory too, but there the data of the Node server in `~` is what one wants to find.
pub(super) fn data_dir(reader: &Reader<'_>) -> Derived {
    let unit = reader.sources().env.first_directory("STATE_DIRECTORY");
    if let Some(state) = unit.filter(|state| state.starts_with("/var/lib/")) {
        return Ok((format!("{state}/data"), Origin::Env("STATE_DIRECTORY")));
    }
    let usual = usual_data_dir(reader).ok_or(Some("HOME is not set: set $HOME or data_dir"))?;
    Ok((usual, Origin::Default))
}

fn usual_data_dir(reader: &Reader<'_>) -> Option<String> {
    reader
        .here
        .home
        .as_ref()
        .map(|home| format!("{}/.maestro/data", home.trim_end_matches('/')))
}

pub(super) fn state_dir(reader: &Reader<'_>) -> Derived {
    if let Some(state) = reader.sources().env.first_directory("STATE_DIRECTORY") {
        return Ok((state.to_owned(), Origin::Env("STATE_DIRECTORY")));
    }
    let data = reader.chosen.get("data_dir").ok_or(None)?;
    Ok((format!("{data}/state"), Origin::Default))
}

/// Two hubs of one user have different data directories, and must not meet at one control socket. The remote
/// control finds the same directory from the same configuration, with or without the variables of the unit.
pub(super) fn runtime_dir(reader: &Reader<'_>) -> Derived {
    let data = reader.chosen.get("data_dir").ok_or(None)?;
    let env = &reader.sources().env;
    let shared = match (
        env.first_directory("RUNTIME_DIRECTORY"),
        env.absolute("XDG_RUNTIME_DIR"),
    ) {
        (Some(unit), _) => (unit.to_owned(), Origin::Env("RUNTIME_DIRECTORY")),
        (None, Some(user)) => (
            format!("{}/maestro", user.trim_end_matches('/')),
            Origin::Env("XDG_RUNTIME_DIR"),
        ),
        (None, None) => return Ok((format!("{data}/run"), Origin::Default)),
    };
    let (dir, origin) = shared;
    let is_usual = usual_data_dir(reader).as_ref() == Some(data)
        || matches!(
            reader.origins.get("data_dir"),
            Some(Origin::Env("STATE_DIRECTORY"))
        );
    if is_usual {
        return Ok((dir, origin));
    }
    Ok((format!("{dir}/{:08x}", fingerprint(data)), origin))
}

/// FNV-1a: short, and the same in every build.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// The Node server's word for generating manifests itself.
pub(super) fn manifest_generator(word: &str) -> Option<&'static str> {
    (word.trim() == "server").then_some("builtin")
}

/// A switch, where we have a mode.
pub(super) fn redis_enabled(word: &str) -> Option<&'static str> {
    match word.trim().to_ascii_lowercase().as_str() {
        "false" | "0" | "no" | "off" => Some("off"),
        "true" | "1" | "yes" | "on" => Some("auto"),
        _ => None,
    }
}
