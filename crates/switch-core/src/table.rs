//! The engine's tables: entries found by identity or number.
//!
//! They are hashed, since each transaction is looked up some twenty times while it is in memory, where a hundred thousand
//! others may be. Nobody can walk one, so that no order that hashing makes reaches an effect, and a seed replays exactly.
//! The hash is seeded from outside ([`EngineConfig::hash_seed`](crate::EngineConfig)): identities come from terminals.

#![expect(clippy::disallowed_types, reason = "it is not walked but in the order of its keys")]

use std::{collections::HashMap, hash::Hash};

use foldhash::fast::FixedState;

#[derive(Debug)]
pub(crate) struct Table<K, V>(HashMap<K, V, FixedState>);

impl<K: Hash + Ord + Copy, V> Table<K, V> {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(HashMap::with_hasher(FixedState::with_seed(seed)))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    pub(crate) fn all(&self, is: impl Fn(&V) -> bool) -> bool {
        self.0.values().all(is)
    }

    /// The keys of the entries that are `wanted`, rising.
    pub(crate) fn keys_of(&self, wanted: impl Fn(&V) -> bool) -> Vec<K> {
        let found = self.0.iter().filter(|(_, value)| wanted(value));
        let mut keys: Vec<K> = found.map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_rise_whatever_the_seed_and_the_order_in_which_they_came() {
        for seed in [0, 7, u64::MAX] {
            let mut table = Table::seeded(seed);
            for key in [5, 900, 1, 77, 3] {
                assert_eq!(table.insert(key, key % 2 == 0), None);
            }
            assert_eq!((table.remove(&77), table.remove(&77)), (Some(false), None));
            assert_eq!(table.keys_of(|even| !even), [1, 3, 5], "seed {seed}");
            assert_eq!((table.len(), table.get(&900)), (4, Some(&true)));
            assert!(!table.all(|even| *even));
        }
    }
}
