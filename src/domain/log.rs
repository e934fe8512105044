//! An append-only list of JSON values, kept as text.
//!
//! A session's history is answered whole by the contract and grows for as long as the agent works. Kept as text it
//! is never parsed again, a copy shares everything but the newest few kilobytes, and appending costs the entry.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

/// A sealed piece of text is about this long (bytes); the open tail is shorter.
const PIECE: usize = 8 * 1024;
/// Room for more that a tail gets when it has to be copied.
const ROOM: usize = 1024;

/// JSON values in order, joined by commas. A clone shares all of the text; only the next one to append to a shared log
/// copies its tail.
#[derive(Clone, Debug, Default)]
pub struct Log {
    sealed: Arc<Vec<Arc<str>>>,
    tail: Arc<String>,
    len: usize,
    bytes: usize,
    unsaved: Vec<Arc<str>>,
}

impl Log {
    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if it holds no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Length of its text in bytes, without the brackets.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The sealed pieces of its text, which copies share.
    pub fn pieces(&self) -> impl Iterator<Item = &Arc<str>> {
        self.sealed.iter()
    }

    /// Appends a value that is not stored yet.
    pub fn append(&mut self, value: &impl Serialize) -> Result<(), serde_json::Error> {
        let text = serde_json::to_string(value)?;
        self.restore(&text);
        self.unsaved.push(text.into());
        Ok(())
    }

    /// Appends the text of a value that comes from the store. The caller vouches that it is one JSON value.
    pub fn restore(&mut self, text: &str) {
        let divided = self.len > 0;
        let tail = self.own_tail(text.len() + 1);
        if divided {
            tail.push(',');
        }
        tail.push_str(text);
        if tail.len() >= PIECE {
            let piece = std::mem::take(tail);
            Arc::make_mut(&mut self.sealed).push(piece.into());
        }
        self.len += 1;
        self.bytes += text.len() + usize::from(divided);
    }

    /// The tail for this log alone, with room for `more` bytes.
    fn own_tail(&mut self, more: usize) -> &mut String {
        if Arc::get_mut(&mut self.tail).is_none() {
            let mut own = String::with_capacity(self.tail.len() + more + ROOM);
            own.push_str(&self.tail);
            self.tail = Arc::new(own);
        }
        Arc::make_mut(&mut self.tail) // nobody else has it: nothing is copied
    }

    /// Values appended since the log was last stored, oldest first: what the store writes, and what is new in an event.
    pub fn unsaved(&self) -> &[Arc<str>] {
        &self.unsaved
    }

    /// Tells the log that everything in it is stored.
    pub fn mark_saved(&mut self) {
        self.unsaved = Vec::new();
    }

    /// Writes the log as a JSON array.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.reserve(self.bytes + 2);
        out.push(b'[');
        for piece in self.sealed.iter() {
            out.extend_from_slice(piece.as_bytes());
        }
        out.extend_from_slice(self.tail.as_bytes());
        out.push(b']');
    }

    /// The newest values before number `before` (counted from 0; anything beyond the end is the end), at most `most` of
    /// them, oldest first, and the number of the first of them. Costs what is newer, not what is older.
    ///
    /// # Errors
    /// The text is no JSON, which only a damaged store can bring about.
    pub fn newest(
        &self,
        before: usize,
        most: usize,
    ) -> Result<(usize, Vec<Box<RawValue>>), serde_json::Error> {
        let end = before.min(self.len);
        let first = end.saturating_sub(most);
        let (mut at, mut found) = (self.len, Vec::new());
        let pieces = self.sealed.iter().map(|piece| &**piece);
        for piece in pieces.chain([self.tail.as_str()]).rev() {
            if at <= first {
                break;
            }
            // A piece holds whole values; all but the first begin with the comma that divides it from the one before.
            let values = format!("[{}]", piece.strip_prefix(',').unwrap_or(piece));
            let values: Vec<Box<RawValue>> = serde_json::from_str(&values)?;
            at -= values.len();
            let numbered = values.into_iter().enumerate().rev();
            found.extend(
                numbered
                    .filter(|(n, _)| (first..end).contains(&(at + n)))
                    .map(|(_, value)| value),
            );
        }
        found.reverse();
        Ok((first, found))
    }

    /// The values, parsed. For the few places that must look inside.
    pub fn values(&self) -> Result<Vec<serde_json::Value>, serde_json::Error> {
        let mut text = Vec::new();
        self.write_json(&mut text);
        serde_json::from_slice(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_log_reads_back_what_was_appended_and_a_copy_keeps_its_age() {
        let mut log = Log::default();
        let mut expected = Vec::new();
        let mut young = log.clone();
        for n in 0..3000 {
            if n == 1500 {
                young = log.clone();
            }
            let value = json!({"n": n, "text": "some words, and [brackets]"});
            log.append(&value).unwrap();
            expected.push(value);
        }
        assert_eq!(log.values().unwrap(), expected);
        assert_eq!(young.values().unwrap(), expected[..1500]);
        assert_eq!(log.unsaved().len(), 3000);
        let mut text = Vec::new();
        log.write_json(&mut text);
        assert_eq!(text.len(), log.bytes() + 2);
    }

    #[test]
    fn a_log_is_turned_over_page_by_page_from_its_newest_end() {
        let mut log = Log::default();
        let told = |page: Result<(usize, Vec<Box<RawValue>>), _>| {
            let (first, values): (usize, Vec<Box<RawValue>>) = page.unwrap();
            let texts: Vec<String> = values.iter().map(|value| value.get().to_owned()).collect();
            (first, texts.join(" "))
        };
        assert_eq!(told(log.newest(usize::MAX, 10)), (0, String::new()));
        for n in 0..5000 {
            log.append(&n).unwrap();
        }
        assert_eq!(told(log.newest(usize::MAX, 3)), (4997, "4997 4998 4999".into()));
        assert_eq!(told(log.newest(4997, 2)), (4995, "4995 4996".into()));
        assert_eq!(told(log.newest(2, 10)), (0, "0 1".into()));
        assert_eq!(told(log.newest(0, 10)), (0, String::new()));
        let (mut before, mut seen) = (usize::MAX, Vec::new());
        loop {
            let (first, mut page) = log.newest(before, 700).unwrap();
            page.append(&mut seen);
            (before, seen) = (first, page);
            if first == 0 {
                break;
            }
        }
        let all: Vec<usize> = seen.iter().map(|value| value.get().parse().unwrap()).collect();
        assert_eq!(all, (0..5000).collect::<Vec<_>>());
    }
}
