//! Records: what was made, what a field holds, what a history has.

use std::collections::{BTreeMap, BTreeSet};

use super::Fate;

/// Things that are made under a mark of their own, so that even one whose answer was lost is recognised.
#[derive(Debug, Default)]
pub struct Made {
    marks: BTreeMap<String, Thing>,
}

#[derive(Debug)]
struct Thing {
    fate: Fate,
    /// `None`: not known, or gone.
    id: Option<String>,
    removal: Option<Fate>,
}

impl Made {
    pub fn made(&mut self, mark: &str, fate: Fate, id: Option<String>) {
        let thing = Thing {
            fate,
            id,
            removal: None,
        };
        self.marks.insert(mark.to_owned(), thing);
    }

    pub fn removed(&mut self, mark: &str, fate: Fate) {
        if let Some(thing) = self.marks.get_mut(mark)
            && fate != Fate::Refused
            && thing.removal != Some(Fate::Done)
        {
            thing.removal = Some(fate);
        }
    }

    /// All there is, by mark and id. Answers the marks of those that nobody knew were there.
    ///
    /// # Errors
    /// What is lost, doubled, or back.
    pub fn found(&mut self, all: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
        let mut strays = Vec::new();
        let mut there: BTreeMap<&str, &str> = BTreeMap::new();
        for (mark, id) in all {
            let Some(thing) = self.marks.get(mark) else {
                return Err(format!("{id} is there as {mark}, which nobody asked for"));
            };
            if let Some(twin) = there.insert(mark, id) {
                return Err(format!("doubled: {mark} is there as {twin} and as {id}"));
            }
            match (thing.fate, &thing.id, thing.removal) {
                (Fate::Refused, ..) => return Err(format!("{mark} was refused, and is there as {id}")),
                (_, _, Some(Fate::Done)) => return Err(format!("{mark} was removed, and is back as {id}")),
                (_, Some(known), _) if known != id => {
                    return Err(format!(
                        "{mark} was acknowledged as {known}, and is there as {id}"
                    ));
                }
                (_, None, _) => strays.push((mark.clone(), id.clone())),
                _ => {}
            }
        }
        for (mark, thing) in &self.marks {
            let missing = !there.contains_key(mark.as_str());
            if missing && thing.fate == Fate::Done && thing.removal.is_none() {
                return Err(format!("lost: {mark} was acknowledged as {:?}", thing.id));
            }
        }
        let there: BTreeSet<String> = there.into_keys().map(str::to_owned).collect();
        self.marks.retain(|mark, _| there.contains(mark));
        for (mark, thing) in &mut self.marks {
            thing.fate = Fate::Done;
            thing.removal = None;
            if let Some((_, id)) = all.iter().find(|(known, _)| known == mark) {
                thing.id = Some(id.clone());
            }
        }
        Ok(strays)
    }

    /// Known to be there, by mark.
    pub fn ids(&self) -> impl Iterator<Item = (&String, &String)> {
        self.marks
            .iter()
            .filter_map(|(mark, thing)| Some((mark, thing.id.as_ref()?)))
    }
}

/// A field that one writer at a time replaces, each time by a value never used before.
#[derive(Debug)]
pub struct Register {
    sure: String,
    /// Written, and nobody knows whether that arrived, or when it will.
    maybe: BTreeSet<String>,
}

impl Register {
    pub fn new(value: String) -> Self {
        Self {
            sure: value,
            maybe: BTreeSet::new(),
        }
    }

    pub fn wrote(&mut self, value: String, fate: Fate) {
        match fate {
            Fate::Done => self.sure = value,
            Fate::Lost => drop(self.maybe.insert(value)),
            Fate::Refused => {}
        }
    }

    /// # Errors
    /// It holds what it may not.
    pub fn found(&mut self, name: &str, value: &str) -> Result<(), String> {
        if value != self.sure && !self.maybe.contains(value) {
            return Err(format!(
                "{name} holds {value:?}; acknowledged last was {:?}, unanswered were {:?}",
                self.sure, self.maybe
            ));
        }
        self.sure = value.to_owned();
        self.maybe.clear();
        Ok(())
    }
}

/// A history that grows by entries that are never the same, each writer's in its order.
#[derive(Debug, Default)]
pub struct Series {
    written: Vec<(String, Fate)>,
}

impl Series {
    pub fn wrote(&mut self, entry: String, fate: Fate) {
        self.written.push((entry, fate));
    }

    pub fn len(&self) -> usize {
        self.written.len()
    }

    /// # Errors
    /// An entry is lost, doubled, out of order, or was refused.
    pub fn found(&mut self, name: &str, entries: &[&str]) -> Result<(), String> {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, entry) in entries.iter().enumerate() {
            if places.insert(entry, place).is_some() {
                return Err(format!("doubled: {name} has {entry} twice"));
            }
        }
        let mut last = None;
        for (entry, fate) in &self.written {
            match (fate, places.remove(entry.as_str())) {
                (Fate::Done, None) => return Err(format!("lost: {name} has no {entry}")),
                (Fate::Refused, Some(_)) => return Err(format!("{name} has {entry}, which was refused")),
                (Fate::Done, Some(place)) => {
                    if Some(place) < last {
                        return Err(format!("{name} has {entry} before what was acknowledged earlier"));
                    }
                    last = Some(place);
                }
                (Fate::Lost, _) | (Fate::Refused, None) => {}
            }
        }
        if let Some(entry) = places.into_keys().next() {
            return Err(format!("{name} has {entry}, which nobody wrote"));
        }
        let there: BTreeSet<&str> = entries.iter().copied().collect();
        self.written.retain(|(entry, _)| there.contains(entry.as_str()));
        // What arrived late stands where it stands: its place among the others is not promised.
        for (_, fate) in self.written.iter_mut().filter(|(_, fate)| *fate != Fate::Done) {
            *fate = Fate::Lost;
        }
        Ok(())
    }
}
