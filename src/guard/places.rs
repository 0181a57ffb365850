//! So many at once, of each or of all: nobody takes every place.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub struct Places<Key: Eq + Hash> {
    most: usize,
    most_of_one: usize,
    held: Mutex<HashMap<Key, usize>>,
}

/// One place, given back when it is dropped.
#[derive(Debug)]
pub struct Place<Key: Eq + Hash> {
    places: Arc<Places<Key>>,
    key: Key,
}

impl<Key: Eq + Hash + Clone> Places<Key> {
    /// Half of them may be one's.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_one: most.div_ceil(2),
            held: Mutex::default(),
        })
    }

    /// As many for each as there are.
    pub fn for_each(most_of_one: usize) -> Arc<Self> {
        Arc::new(Self {
            most: usize::MAX,
            most_of_one,
            held: Mutex::default(),
        })
    }

    /// A place, if there is one left for this one.
    pub fn take(self: &Arc<Self>, key: Key) -> Option<Place<Key>> {
        let mut held = self.held();
        let all: usize = held.values().sum();
        let own = held.get(&key).copied().unwrap_or(0);
        if all >= self.most || own >= self.most_of_one {
            return None;
        }
        held.insert(key.clone(), own + 1);
        Some(Place {
            places: Arc::clone(self),
            key,
        })
    }
}

impl<Key: Eq + Hash> Places<Key> {
    fn held(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Key: Eq + Hash> Drop for Place<Key> {
    fn drop(&mut self) {
        let mut held = self.places.held();
        if let Some(own) = held.get_mut(&self.key) {
            *own -= 1;
            if *own == 0 {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_takes_half_of_the_places_and_gives_them_back() {
        let places = Places::new(3);
        let mut held: Vec<Place<&str>> = (0..2).filter_map(|_| places.take("a")).collect();
        assert_eq!(held.len(), 2);
        assert!(places.take("a").is_none(), "more than half");
        held.extend(places.take("b"));
        assert_eq!(held.len(), 3);
        assert!(places.take("c").is_none(), "more than there are");
        held.clear();
        assert!(places.take("c").is_some());
        assert!(places.held().is_empty());
    }

    #[test]
    fn each_has_places_of_their_own() {
        let places = Places::for_each(2);
        let held: Vec<Place<&str>> = ["a", "a", "a", "b"]
            .into_iter()
            .filter_map(|key| places.take(key))
            .collect();
        assert_eq!(held.len(), 3);
        assert!(places.take("a").is_none());
        assert!(places.take("b").is_some());
    }
}
