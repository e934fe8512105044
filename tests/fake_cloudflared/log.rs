//! What is said on standard error, in the default form or as JSON.

use std::io::Write;

use serde_json::{Map, Value};

#[derive(Clone, Copy)]
pub struct Log {
    pub json: bool,
}

impl Log {
    pub fn info(self, message: &str, fields: &[(&str, String)]) {
        self.say("info", "INF", message, fields);
    }

    pub fn error(self, message: &str, fields: &[(&str, String)]) {
        self.say("error", "ERR", message, fields);
    }

    fn say(self, level: &str, short: &str, message: &str, fields: &[(&str, String)]) {
        let line = self.line(level, short, message, fields);
        // Nobody may be reading.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    pub fn line(self, level: &str, short: &str, message: &str, fields: &[(&str, String)]) -> String {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        if self.json {
            let mut record = Map::new();
            record.insert("level".into(), level.into());
            for (name, value) in fields {
                record.insert((*name).into(), Value::from(value.as_str()));
            }
            record.insert("time".into(), now.into());
            record.insert("message".into(), message.into());
            return format!("{}\n", Value::Object(record));
        }
        let fields: String = fields
            .iter()
            .map(|(name, value)| match value.contains([' ', '"']) {
                true => format!(" {name}={value:?}"),
                false => format!(" {name}={value}"),
            })
            .collect();
        format!("{now} {short} {message}{fields}\n")
    }

    /// The final word is always plain.
    pub fn last(self, message: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{message}");
    }
}
