//! What a person at a terminal reads after the start: where the hub is, what it stands on, what to do next.

use std::fmt::Write;

use crate::config::Config;

use super::redis::Choice;

/// What there is to say.
pub struct Greeting<'a> {
    pub config: &'a Config,
    pub url: &'a str,
    pub addresses: &'a [String],
    pub redis: &'a Choice,
    /// Entities of the Node server lie in the data directory, and none are in the store.
    pub node_data: bool,
}

impl Greeting<'_> {
    /// The text, a few lines.
    pub fn text(&self) -> String {
        let mut out = format!("maestro {} is running\n\n", env!("CARGO_PKG_VERSION"));
        let mut say = |name: &str, value: &str| {
            let _ = writeln!(out, "  {name:<8} {value}"); // writing to a String cannot fail
        };
        say("hub", &format!("{}  ({})", self.url, self.addresses.join(", ")));
        say("data", &self.config.data_dir.display().to_string());
        say("redis", &self.redis.told());
        out.push_str("\nNext:\n");
        let mut next = |command: &str, why: &str| {
            let _ = writeln!(out, "  {command:<40} {why}");
        };
        if self.node_data {
            next(
                &format!("maestroctl import {}", self.config.data_dir.display()),
                "take over what the Node server stored here",
            );
        }
        next("maestroctl status", "how everything is doing");
        next(
            &format!("export MAESTRO_SERVER_URL={}", self.url),
            "for the maestro command, unless it is on port 3000",
        );
        next("Ctrl-C", "stop in order; twice: at once");
        out
    }
}
