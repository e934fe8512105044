//! The effective configuration for people and for programs, with the origin of each value. Secrets are masked.

use serde_json::{Value as Json, json};

use super::{Loaded, error::Origin};

impl Loaded {
    /// One line a key: value, and where it came from. In the form of the file, so that it can be pasted there.
    pub fn render(&self) -> String {
        let mut rows: Vec<(&'static str, String, String)> = Vec::new();
        self.config.visit(&mut |key, value| {
            let text = match value.json() {
                Json::Null => "# unset".to_owned(),
                Json::Number(_) => toml_value(&value.shown()),
                json => one_line(&json.to_string()), // TOML and JSON write texts, booleans and lists of texts alike
            };
            rows.push((key.name, text, self.origin(key.name)));
        });
        let mut out = match &self.file {
            Some(path) => format!("# file: {}\n", one_line(&path.display().to_string())),
            None => "# file: none\n".to_owned(),
        };
        out.extend(
            self.warnings
                .iter()
                .map(|warning| format!("# warning: {}\n", one_line(warning))),
        );
        let width = rows
            .iter()
            .map(|(name, text, _)| name.len() + text.len())
            .max()
            .unwrap_or(0)
            .min(60);
        let mut table = "";
        for (name, text, origin) in &rows {
            let (section, short) = name.rsplit_once('.').unwrap_or(("", name));
            if section != table {
                out.push_str(&format!("\n[{section}]\n"));
                table = section;
            }
            let unset = if text.starts_with('#') { "# " } else { "" };
            let text = text.trim_start_matches("# ");
            let line = format!("{unset}{short} = {text}");
            out.push_str(&format!("{line:<width$}  # {}\n", one_line(origin)));
        }
        out
    }

    /// Version 1: `{version, file, warnings, values: {key: {value, origin}}}`.
    pub fn to_json(&self) -> Json {
        let mut values = serde_json::Map::new();
        self.config.visit(&mut |key, value| {
            let row = json!({ "value": value.json(), "origin": self.origin(key.name) });
            values.insert(key.name.to_owned(), row);
        });
        json!({
            "version": 1,
            "file": self.file.as_ref().map(|path| path.display().to_string()),
            "warnings": self.warnings,
            "values": values,
        })
    }

    fn origin(&self, key: &str) -> String {
        self.origins.get(key).unwrap_or(&Origin::Default).to_string()
    }
}

/// A path may hold any character, a comment and a text of TOML may not: it has no DEL, of which JSON thinks nothing.
fn one_line(text: &str) -> String {
    let escape = |c: char| match c.is_control() {
        true => format!("\\u{:04X}", u32::from(c)),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// A number is written bare, an amount with its unit in quotes.
fn toml_value(shown: &str) -> String {
    match shown.parse::<u64>() {
        Ok(number) => number.to_string(),
        Err(_) => format!("\"{shown}\""),
    }
}
