//! Who holds what, as a value: no clock, no lock, no I/O.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use crate::ports::{Lease, LockError};

/// So many names can be held at once.
const MOST: usize = 100_000;

#[derive(Clone, Debug)]
struct Held {
    owner: String,
    fence: u64,
    until: Duration,
}

/// Times are readings of one clock that never goes back and stands still while the machine sleeps: a sleeping
/// laptop loses no lease.
#[derive(Clone, Debug, Default)]
pub struct Table {
    held: HashMap<String, Held>,
    by_owner: HashMap<String, BTreeSet<String>>,
    last_fence: u64,
}

impl Table {
    /// A table whose fencing numbers start above `floor`.
    pub fn above(floor: u64) -> Self {
        Self {
            last_fence: floor,
            ..Self::default()
        }
    }

    /// See [`crate::ports::Locks::acquire`].
    pub fn acquire(
        &mut self,
        name: &str,
        owner: &str,
        ttl: Duration,
        now: Duration,
    ) -> Result<Lease, LockError> {
        match self.live(name, now) {
            Some(held) if held.owner == owner => return self.renew(name, owner, ttl, now),
            Some(held) => return Err(LockError::Held(lease(held, now))),
            None => {}
        }
        if self.held.len() >= MOST {
            self.drop_lapsed(now);
            if self.held.len() >= MOST {
                return Err(LockError::Full);
            }
        }
        self.remove(name);
        self.last_fence += 1;
        let held = Held {
            owner: owner.to_owned(),
            fence: self.last_fence,
            until: now + ttl,
        };
        let granted = lease(&held, now);
        self.by_owner
            .entry(owner.to_owned())
            .or_default()
            .insert(name.to_owned());
        self.held.insert(name.to_owned(), held);
        Ok(granted)
    }

    /// See [`crate::ports::Locks::renew`].
    pub fn renew(
        &mut self,
        name: &str,
        owner: &str,
        ttl: Duration,
        now: Duration,
    ) -> Result<Lease, LockError> {
        match self.held.get_mut(name) {
            Some(held) if held.owner == owner && held.until > now => {
                held.until = held.until.max(now + ttl);
                Ok(lease(held, now))
            }
            _ => Err(LockError::Lost),
        }
    }

    /// See [`crate::ports::Locks::release`].
    pub fn release(&mut self, name: &str, owner: &str, now: Duration) -> bool {
        let ours = self.live(name, now).is_some_and(|held| held.owner == owner);
        if ours {
            self.remove(name);
        }
        ours
    }

    /// See [`crate::ports::Locks::release_all`].
    pub fn release_all(&mut self, owner: &str, now: Duration) -> Vec<String> {
        let names = self.by_owner.remove(owner).unwrap_or_default();
        names
            .into_iter()
            .filter(|name| self.held.remove(name).is_some_and(|held| held.until > now))
            .collect()
    }

    /// See [`crate::ports::Locks::holder`].
    pub fn holder(&self, name: &str, now: Duration) -> Option<Lease> {
        self.live(name, now).map(|held| lease(held, now))
    }

    /// How many names are held.
    pub fn len(&self, now: Duration) -> usize {
        self.held.values().filter(|held| held.until > now).count()
    }

    fn live(&self, name: &str, now: Duration) -> Option<&Held> {
        self.held.get(name).filter(|held| held.until > now)
    }

    fn remove(&mut self, name: &str) {
        let Some(held) = self.held.remove(name) else {
            return;
        };
        if let Some(names) = self.by_owner.get_mut(&held.owner) {
            names.remove(name);
            if names.is_empty() {
                self.by_owner.remove(&held.owner);
            }
        }
    }

    fn drop_lapsed(&mut self, now: Duration) {
        let lapsed: Vec<String> = self
            .held
            .iter()
            .filter(|(_, held)| held.until <= now)
            .map(|(name, _)| name.clone())
            .collect();
        for name in lapsed {
            self.remove(&name);
        }
    }
}

fn lease(held: &Held, now: Duration) -> Lease {
    Lease {
        owner: held.owner.clone(),
        fence: held.fence,
        left: held.until.saturating_sub(now),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn the_first_one_wins_and_the_others_are_told_who_it_is() {
        let mut table = Table::default();
        let won = table.acquire("task_1", "anna", S(10), S(0)).unwrap();
        let Err(LockError::Held(holder)) = table.acquire("task_1", "bert", S(10), S(4)) else {
            panic!()
        };
        assert_eq!(
            (holder.owner.as_str(), holder.fence, holder.left),
            ("anna", won.fence, S(6))
        );
        assert!(!table.release("task_1", "bert", S(4)));
    }

    #[test]
    fn a_lapsed_lease_is_anybodys_and_its_late_owner_is_told_so() {
        let mut table = Table::default();
        let first = table.acquire("t", "anna", S(10), S(0)).unwrap();
        let second = table.acquire("t", "bert", S(10), S(10)).unwrap();
        assert!(second.fence > first.fence);
        assert!(matches!(
            table.renew("t", "anna", S(10), S(11)),
            Err(LockError::Lost)
        ));
        assert_eq!(table.release_all("anna", S(11)), Vec::<String>::new());
        assert_eq!(table.holder("t", S(11)).unwrap().owner, "bert");
    }

    #[test]
    fn asking_again_prolongs_and_keeps_the_fencing_number() {
        let mut table = Table::above(41);
        let first = table.acquire("t", "anna", S(10), S(0)).unwrap();
        let again = table.acquire("t", "anna", S(10), S(5)).unwrap();
        assert_eq!((first.fence, again.fence, again.left), (42, 42, S(10)));
        assert_eq!(table.release_all("anna", S(6)), ["t"]);
        assert_eq!(table.holder("t", S(6)), None);
    }

    proptest! {
        /// Whatever happens: at most one holder, fences only grow, nothing is kept of owners that hold nothing.
        #[test]
        fn any_history_has_one_holder_and_growing_fences(
            steps in prop::collection::vec((0u8..4, 0u8..3, 0u8..3, 0u64..5), 1..200),
        ) {
            let mut table = Table::default();
            let mut now = S(0);
            let mut newest = 0;
            for (what, name, owner, wait) in steps {
                now += S(wait);
                let (name, owner) = (format!("t{name}"), format!("o{owner}"));
                let before = table.holder(&name, now);
                match what {
                    0 => match table.acquire(&name, &owner, S(6), now) {
                        Ok(lease) => {
                            prop_assert!(before.is_none_or(|held| held.owner == owner && held.fence == lease.fence) );
                            prop_assert!(lease.fence >= newest || table.holder(&name, now) == Some(lease.clone()));
                            newest = newest.max(lease.fence);
                        }
                        Err(_) => prop_assert!(before.is_some_and(|held| held.owner != owner)),
                    },
                    1 => prop_assert_eq!(table.renew(&name, &owner, S(6), now).is_ok(), before.is_some_and(|held| held.owner == owner)),
                    2 => prop_assert_eq!(table.release(&name, &owner, now), before.is_some_and(|held| held.owner == owner)),
                    _ => { table.release_all(&owner, now); }
                }
            }
            table.drop_lapsed(now + S(100));
            prop_assert!(table.held.is_empty() && table.by_owner.is_empty());
        }
    }
}
