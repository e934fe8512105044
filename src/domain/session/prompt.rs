//! Text for a session's terminal. The hub hands it on and writes it down; whoever owns the terminal types it in.

use std::sync::Arc;

use serde_json::{Map, json};

use crate::domain::{Change, Event, Maybe, Mint, PromptSend, Refusal};

use super::{NewEntry, Session};

/// How much of a prompt the timeline quotes, in UTF-16 units.
const QUOTED: usize = 100;

/// A text for a session's terminal.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// The text.
    pub content: String,
    /// Whether it is sent off.
    pub mode: PromptMode,
    /// Who asks; not checked.
    pub sender_session_id: Option<String>,
}

/// What is done with the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptMode {
    /// Typed in and sent.
    #[default]
    Send,
    /// Typed in only.
    Paste,
}

impl PromptMode {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Paste => "paste",
        }
    }
}

impl Session {
    /// The session after a prompt was sent to it.
    pub fn prompt(&self, prompt: Prompt, mint: &mut Mint) -> Result<Change, Refusal> {
        let status = self.head.status.as_str();
        if !matches!(status, "working" | "idle" | "needs_input" | "spawning") {
            return Err(Refusal::Conflict(format!(
                "Session is not active (status: {status}). Prompt can only be sent to active sessions."
            )));
        }
        let mut next = self.active_at(mint.now());
        next.note(received(&prompt), mint);
        let sent = PromptSend {
            session_id: self.head.id.clone(),
            content: prompt.content,
            mode: prompt.mode.as_str(),
            sender_session_id: prompt.sender_session_id,
            timestamp: mint.now(),
        };
        let mut change = next.updated();
        let sent = Event::SessionPromptSend {
            prompt: Arc::new(sent),
            project: self.head.project_id.clone(),
        };
        change.events.insert(0, sent);
        Ok(change)
    }
}

fn received(prompt: &Prompt) -> NewEntry {
    let sender = prompt.sender_session_id.as_deref();
    let mut metadata = Map::new();
    if let Some(sender) = sender {
        metadata.insert("senderSessionId".into(), sender.into());
    }
    metadata.insert("mode".into(), prompt.mode.as_str().into());
    let (quote, rest) = quote(&prompt.content, QUOTED);
    let message = format!(
        "Received prompt from session {}: \"{quote}{rest}\"",
        sender.unwrap_or("unknown")
    );
    let mut entry = NewEntry::said("prompt_received", &message);
    entry.metadata = Maybe::Value(json!(metadata));
    entry
}

/// The beginning of `content`, at most `most` UTF-16 units, and dots if there is more. A character that is not in plane
/// 0 is two units long and is left out rather than cut in half.
pub(super) fn quote(content: &str, most: usize) -> (&str, &'static str) {
    let mut units = 0;
    for (at, character) in content.char_indices() {
        units += character.len_utf16();
        if units > most {
            return (&content[..at], "...");
        }
    }
    (content, "")
}

#[cfg(test)]
mod tests {
    use crate::domain::samples::{at, mint, session};

    use super::*;

    fn prompt(content: &str, sender: Option<&str>) -> Prompt {
        Prompt {
            content: content.into(),
            mode: PromptMode::Send,
            sender_session_id: sender.map(Into::into),
        }
    }

    #[test]
    fn the_terminal_hears_a_prompt_before_the_timeline_is_shown() {
        let change = session("s", &[])
            .prompt(prompt("go on", Some("boss")), &mut mint(9))
            .unwrap();
        assert_eq!(change.says(), ["session:prompt_send", "session:updated"]);
        let session = change.session.unwrap();
        assert_eq!(session.head.last_activity, at(9));
        let entry = session.timeline.values().unwrap().pop().unwrap();
        assert_eq!(entry["message"], "Received prompt from session boss: \"go on\"");
        assert_eq!(
            entry["metadata"],
            json!({"senderSessionId": "boss", "mode": "send"})
        );
    }

    #[test]
    fn a_prompt_from_nobody_is_from_unknown_and_names_no_sender() {
        let change = session("s", &[])
            .prompt(prompt("go", None), &mut mint(9))
            .unwrap();
        let entry = change.session.unwrap().timeline.values().unwrap().pop().unwrap();
        assert_eq!(entry["message"], "Received prompt from session unknown: \"go\"");
        assert_eq!(entry["metadata"], json!({"mode": "send"}));
    }

    #[test]
    fn a_long_prompt_is_quoted_to_a_hundred_units_and_never_in_the_middle_of_a_character() {
        assert_eq!(quote(&"a".repeat(100), QUOTED), ("a".repeat(100).as_str(), ""));
        assert_eq!(quote(&"a".repeat(101), QUOTED), ("a".repeat(100).as_str(), "..."));
        assert_eq!(quote(&"🦀".repeat(51), QUOTED), ("🦀".repeat(50).as_str(), "..."));
        let odd = format!("{}🦀", "a".repeat(99));
        assert_eq!(quote(&odd, QUOTED), ("a".repeat(99).as_str(), "..."));
    }

    #[test]
    fn only_an_active_session_takes_prompts() {
        for (status, takes) in [
            ("working", true),
            ("idle", true),
            ("needs_input", true),
            ("spawning", true),
            ("completed", false),
            ("failed", false),
            ("stopped", false),
            ("whatever", false),
        ] {
            let mut it = session("s", &[]);
            it.head_mut().status = status.into();
            match it.prompt(prompt("x", None), &mut mint(9)) {
                Ok(_) => assert!(takes, "{status}"),
                Err(refusal) => {
                    assert!(!takes, "{status}");
                    let said = format!(
                        "Session is not active (status: {status}). Prompt can only be sent to active sessions."
                    );
                    assert_eq!(refusal, Refusal::Conflict(said));
                }
            }
        }
    }
}
