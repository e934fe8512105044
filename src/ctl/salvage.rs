//! What is still of use in a configuration that is broken: where the daemon's places are. A mistake in the file must not
//! keep an operator from asking the daemon that runs, least of all about that mistake.

use crate::config::{Config, ConfigArgs, Env, Sources};

/// Keys that say where a daemon is found.
const PLACES: [&str; 3] = ["data_dir", "state_dir", "runtime_dir"];

/// The configuration with nothing of the file but its places.
pub(super) fn places(args: &ConfigArgs) -> Option<Config> {
    let plain = || Sources {
        env: Env::from_process(),
        ..Sources::default()
    };
    let mut sources = Sources::gather(args, Env::from_process()).unwrap_or_else(|_| plain());
    if let Some(file) = &mut sources.file {
        file.bytes = lines_of_places(&file.bytes);
    }
    let found = Config::load(&sources).or_else(|_| Config::load(&plain()));
    found.ok().map(|loaded| loaded.config)
}

/// By lines, because what is broken may be no TOML at all.
fn lines_of_places(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let before_tables = text
        .lines()
        .take_while(|line| !line.trim_start().starts_with('['));
    let is_place = |line: &&str| {
        let key = line.split('=').next().unwrap_or_default();
        PLACES.contains(&key.trim())
    };
    let kept: Vec<&str> = before_tables.filter(is_place).collect();
    kept.join("\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_still_says_where_the_daemon_is() {
        let text =
            b"data_dir = \"/srv/d\"\nprot = \n  runtime_dir=\"/run/x\" # here\n[listen\nstate_dir = 1\n";
        let kept = String::from_utf8(lines_of_places(text)).unwrap();
        assert_eq!(kept, "data_dir = \"/srv/d\"\n  runtime_dir=\"/run/x\" # here");
        assert_eq!(lines_of_places(b"\xff\xfe"), b"");
    }
}
