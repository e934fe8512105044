//! The script: `edge.json` beside the path we were started by, read again as often as somebody asks.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;

/// How the edge behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeState {
    /// Takes our connections.
    #[default]
    Connected,
    /// Does not answer yet.
    Connecting,
    /// Drops all connections.
    Lost,
    /// Refuses the registration: the program ends.
    Refused,
    /// Does not know our secret: the program goes on trying.
    Unauthorized,
    /// Cannot be looked up: the program ends.
    DnsDead,
    /// Refuses connections at its one address: the program retries without a pause.
    Flood,
    /// Gives no more quick tunnels for now.
    RateLimited,
}

/// The script. Times are in milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Script {
    pub state: EdgeState,
    pub connections: usize,
    /// When the metrics server opens.
    pub metrics_after: u64,
    /// When a look-up fails.
    pub lookup_time: u64,
    /// So many first starts find their metrics port taken.
    pub metrics_taken: usize,
    /// The metrics server takes connections and answers nothing.
    pub hang: bool,
    /// At the first TERM nothing happens.
    pub ignore_term: bool,
    /// The edge never closes a connection: the whole grace period passes.
    pub never_closes: bool,
    /// How to end, and when.
    pub end: Option<End>,
    pub end_after: u64,
    /// The name of the next quick tunnel, instead of new words.
    pub quick_host: Option<String>,
    /// Leaves a process behind that holds the output open.
    pub grandchild: bool,
    /// Writes half a line, and one of 1 MiB.
    pub odd_lines: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Exit(u8),
    Crash,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            state: EdgeState::Connected,
            connections: 4,
            metrics_after: 0,
            lookup_time: 100,
            metrics_taken: 0,
            hang: false,
            ignore_term: false,
            never_closes: false,
            end: None,
            end_after: 300,
            quick_host: None,
            grandchild: false,
            odd_lines: false,
        }
    }
}

#[derive(Clone)]
pub struct Control {
    dir: PathBuf,
}

impl Control {
    pub fn beside(program: &str) -> Self {
        let dir = Path::new(program).parent().filter(|dir| dir.is_absolute());
        Self {
            dir: dir.unwrap_or(Path::new("/nowhere")).to_owned(),
        }
    }

    /// What is written half at this moment is read whole at the next.
    pub fn script(&self) -> Option<Script> {
        match fs::read(self.file("edge.json")) {
            Ok(text) => serde_json::from_slice(&text).ok(),
            Err(_) => Some(Script::default()),
        }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Notes this start; how many there were before.
    pub fn note_start(&self, argv: &[String]) -> usize {
        let file = self.file("starts.jsonl");
        let before = fs::read_to_string(&file).map_or(0, |text| text.lines().count());
        let env: std::collections::BTreeMap<String, String> = std::env::vars().collect();
        let line = json!({"pid": std::process::id(), "argv": argv, "env": env});
        let opened = fs::OpenOptions::new().create(true).append(true).open(&file);
        if let Ok(mut out) = opened {
            let _ = writeln!(out, "{line}");
        }
        before
    }
}

/// How soon a changed script is noticed.
pub const PACE: Duration = Duration::from_millis(5);
