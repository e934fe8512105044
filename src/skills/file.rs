//! `SKILL.md`: YAML front matter between `---` lines, then text for the agent.

use std::{fs::File, io::Read, path::Path};

use serde_json::{Map, Value};
use tracing::warn;

/// Longest file that is read, in bytes.
const LONGEST: u64 = 1 << 20;
/// Longest front matter that is parsed, in bytes.
const LONGEST_FRONT: usize = 64 << 10;

/// What a `SKILL.md` says.
#[derive(Clone, Debug, PartialEq)]
pub struct SkillFile {
    /// The front matter.
    pub front: Map<String, Value>,
    /// All text after the front matter.
    pub content: String,
}

impl SkillFile {
    /// Reads a file; `None` if it is no skill. Why it is none is said in the log.
    pub fn read(path: &Path) -> Option<Self> {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
        let parsed = match read {
            Err(error) => Err(error.to_string()),
            Ok(_) if text.len() as u64 > LONGEST => Err(format!("it is longer than {LONGEST} bytes")),
            Ok(_) => Self::parse(&text),
        };
        parsed
            .inspect_err(|reason| warn!("{} is left out: {reason}", path.display()))
            .ok()
    }

    /// Reads a text, or says why it is no skill.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (front, content) = split(text).ok_or("it does not begin with front matter")?;
        if front.len() > LONGEST_FRONT {
            return Err(format!("its front matter is longer than {LONGEST_FRONT} bytes"));
        }
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_events: 10_000,
                max_aliases: 100,
                max_anchors: 100,
            },
        };
        let front: Option<Map<String, Value>> = serde_saphyr::from_str_with_options(front, options)
            .map_err(|error| format!("its front matter is not a valid YAML map: {error}"))?;
        match front {
            Some(front) if !front.is_empty() => Ok(Self {
                front,
                content: content.to_owned(),
            }),
            _ => Err("its front matter is empty".to_owned()),
        }
    }

    /// A field of the front matter that is a text and not empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        let value = self.front.get(key).and_then(Value::as_str);
        value.filter(|text| !text.is_empty())
    }

    /// A field of the front matter, unless it is null.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.front.get(key).filter(|value| !value.is_null())
    }
}

/// What is between the first line `---` and the next one, and what is after that.
fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.split_inclusive('\n');
    let is_fence = |line: &str| line.trim_end() == "---";
    let start = lines.next().filter(|line| is_fence(line))?.len();
    let mut end = start;
    for line in lines {
        let after = end + line.len();
        if is_fence(line) {
            return Some((&text[start..end], &text[after..]));
        }
        end = after;
    }
    None
}
