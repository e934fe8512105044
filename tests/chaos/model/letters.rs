//! Mail: each letter is in exactly the inboxes it was for, once.

use std::collections::BTreeMap;

use super::Fate;

#[derive(Debug)]
struct Letter {
    /// `None`: to everybody.
    to: Option<String>,
    fate: Fate,
    id: Option<String>,
    removal: Option<Fate>,
}

/// A letter as an inbox shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub id: String,
    pub subject: String,
}

/// All letters, by subject; no two are alike.
#[derive(Debug, Default)]
pub struct Letters {
    letters: BTreeMap<String, Letter>,
}

impl Letters {
    /// A sending was answered, or given up. The same subject again is the same sending, repeated.
    ///
    /// # Errors
    /// A repeated sending was answered as another letter.
    pub fn sent(
        &mut self,
        subject: &str,
        to: Option<&str>,
        fate: Fate,
        id: Option<String>,
    ) -> Result<(), String> {
        let letter = self.letters.entry(subject.to_owned()).or_insert_with(|| Letter {
            to: to.map(str::to_owned),
            fate: Fate::Refused,
            id: None,
            removal: None,
        });
        if let (Some(known), Some(new)) = (&letter.id, &id)
            && known != new
        {
            return Err(format!(
                "doubled: {subject} was acknowledged as {known} and as {new}"
            ));
        }
        letter.id = id.or(letter.id.take());
        letter.fate = match (letter.fate, fate) {
            (Fate::Done, _) | (_, Fate::Done) => Fate::Done,
            (Fate::Lost, _) | (_, Fate::Lost) => Fate::Lost,
            (Fate::Refused, Fate::Refused) => Fate::Refused,
        };
        Ok(())
    }

    pub fn removed(&mut self, id: &str, fate: Fate) {
        let letter = self
            .letters
            .values_mut()
            .find(|letter| letter.id.as_deref() == Some(id));
        if let Some(letter) = letter
            && fate != Fate::Refused
            && letter.removal != Some(Fate::Done)
        {
            letter.removal = Some(fate);
        }
    }

    /// # Errors
    /// A letter is lost, doubled, back, in the wrong inbox, or nobody's.
    pub fn found(&mut self, session: &str, inbox: &[Found]) -> Result<(), String> {
        let mut seen: BTreeMap<&str, &Found> = BTreeMap::new();
        for found in inbox {
            if seen.insert(&found.subject, found).is_some() {
                return Err(format!(
                    "doubled: {} is twice in the inbox of {session}",
                    found.subject
                ));
            }
            let Some(letter) = self.letters.get_mut(&found.subject) else {
                return Err(format!("{} in the inbox of {session} is nobody's", found.subject));
            };
            if letter.to.as_deref().is_some_and(|to| to != session) {
                return Err(format!("{} to {:?} came to {session}", found.subject, letter.to));
            }
            match (letter.fate, &letter.id, letter.removal) {
                (Fate::Refused, ..) => return Err(format!("{} was refused, and is there", found.subject)),
                (_, _, Some(Fate::Done)) => {
                    return Err(format!("{} was removed, and is back", found.subject));
                }
                (_, Some(id), _) if *id != found.id => {
                    return Err(format!(
                        "{} was acknowledged as {id} and is there as {}",
                        found.subject, found.id
                    ));
                }
                _ => letter.id = Some(found.id.clone()),
            }
        }
        for (subject, letter) in &self.letters {
            let here = letter.to.as_deref().is_none_or(|to| to == session);
            let certain = letter.fate == Fate::Done && letter.removal.is_none();
            if here && certain && !seen.contains_key(subject.as_str()) {
                return Err(format!("lost: {subject} is not in the inbox of {session}"));
            }
        }
        Ok(())
    }

    /// All inboxes were looked at, and these letters are in one: the doubt is over.
    pub fn settle(&mut self, there: &[Found]) {
        self.letters
            .retain(|subject, _| there.iter().any(|found| found.subject == *subject));
        for letter in self.letters.values_mut() {
            letter.fate = Fate::Done;
            letter.removal = None;
        }
    }
}
