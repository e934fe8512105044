//! Two shapes of persistent map: records in order of creation, and groups of them. Copies share structure.

use std::{hash::Hash, sync::Arc};

use rpds::{HashTrieMapSync, RedBlackTreeMapSync};

/// Where a record stands in the order of creation, among records of all kinds; also its row's key in the file.
pub(super) type Place = u64;

/// Records of one kind by name, and in order of creation.
#[derive(Clone)]
pub(super) struct Shelf<K: Eq + Hash, R> {
    places: HashTrieMapSync<K, Place>,
    records: RedBlackTreeMapSync<Place, Arc<R>>,
}

impl<K: Clone + Eq + Hash, R> Shelf<K, R> {
    pub(super) fn get(&self, key: &K) -> Option<&Arc<R>> {
        self.records.get(self.places.get(key)?)
    }

    pub(super) fn place(&self, key: &K) -> Option<Place> {
        self.places.get(key).copied()
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Arc<R>> {
        self.records.values()
    }

    /// Stores at `place`, which is the record's old one if it has one.
    pub(super) fn put(&mut self, place: Place, key: K, record: Arc<R>) {
        self.places.insert_mut(key, place);
        self.records.insert_mut(place, record);
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<(Place, Arc<R>)> {
        let place = self.place(key)?;
        let record = self.records.get(&place).cloned()?;
        self.places.remove_mut(key);
        self.records.remove_mut(&place);
        Some((place, record))
    }
}

impl<K: Eq + Hash + Clone, R> Default for Shelf<K, R> {
    fn default() -> Self {
        Self {
            places: HashTrieMapSync::default(),
            records: RedBlackTreeMapSync::default(),
        }
    }
}

/// Records that belong to something, in order of creation.
#[derive(Clone)]
pub(super) struct Groups<G: Ord, R> {
    members: RedBlackTreeMapSync<(G, Place), Arc<R>>,
}

impl<G: Ord + Clone, R> Groups<G, R> {
    pub(super) fn of(&self, group: &G) -> impl Iterator<Item = &Arc<R>> {
        let span = (group.clone(), Place::MIN)..=(group.clone(), Place::MAX);
        self.members.range(span).map(|(_, record)| record)
    }

    pub(super) fn put(&mut self, group: G, place: Place, record: Arc<R>) {
        self.members.insert_mut((group, place), record);
    }

    pub(super) fn remove(&mut self, group: G, place: Place) {
        self.members.remove_mut(&(group, place));
    }
}

impl<G: Ord, R> Default for Groups<G, R> {
    fn default() -> Self {
        Self {
            members: RedBlackTreeMapSync::default(),
        }
    }
}
