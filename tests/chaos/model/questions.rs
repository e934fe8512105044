//! Questions: one answer counts, and it is the one that was acknowledged.

use std::collections::BTreeMap;

use super::Fate;

#[derive(Debug, Default)]
struct Question {
    answers: Vec<(String, Fate)>,
}

/// All open questions, by their request id.
#[derive(Debug, Default)]
pub struct Questions {
    asked: BTreeMap<String, Question>,
}

impl Questions {
    pub fn asked(&mut self, request: &str) {
        self.asked.entry(request.to_owned()).or_default();
    }

    /// # Errors
    /// A second one was let in.
    pub fn answered(&mut self, request: &str, text: &str, fate: Fate) -> Result<(), String> {
        let question = self.asked.entry(request.to_owned()).or_default();
        if fate == Fate::Done
            && let Some((first, _)) = question
                .answers
                .iter()
                .find(|(known, fate)| *fate == Fate::Done && known != text)
        {
            return Err(format!("{request} was answered by {first} and by {text}"));
        }
        question.answers.push((text.to_owned(), fate));
        Ok(())
    }

    /// What the agent is told: the text, if there is one. The newest question of a session only.
    ///
    /// # Errors
    /// An acknowledged answer is not there, or another one is.
    pub fn found(&mut self, request: &str, text: Option<&str>, mails: usize) -> Result<(), String> {
        let Some(question) = self.asked.remove(request) else {
            return Ok(());
        };
        let with = |wanted: Fate| {
            question
                .answers
                .iter()
                .filter(move |(_, fate)| *fate == wanted)
                .map(|(text, _)| text.as_str())
        };
        if mails > 1 {
            return Err(format!(
                "doubled: the answer to {request} was mailed {mails} times"
            ));
        }
        match (text, with(Fate::Done).next()) {
            (None, Some(won)) => Err(format!("lost: {won} was acknowledged as the answer to {request}")),
            (Some(text), Some(won)) if text != won => Err(format!(
                "{request} has {text} for an answer; acknowledged was {won}"
            )),
            (Some(text), None) if with(Fate::Lost).all(|lost| lost != text) => {
                Err(format!("{request} has {text} for an answer, which nobody gave"))
            }
            _ => Ok(()),
        }
    }

    /// Nobody will answer any more, and nobody looks: the session asked again since.
    pub fn forget(&mut self, request: &str) {
        self.asked.remove(request);
    }
}
