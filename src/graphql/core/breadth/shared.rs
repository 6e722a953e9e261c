//! Keys that several fields of one operation look up: they are loaded together.

use super::{Fast, Slow};
use crate::{
    graphql::core::{context::Viewpoint, loaders::BatchLoader},
    wire::Fault,
};
use async_graphql::dataloader::Loader;
use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Key of a batch loader.
pub trait Key: Clone + Eq + Hash + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Key for K {}

pub type Found<K> = <BatchLoader as Loader<K>>::Value;

/// The keys of one kind that an operation looks up, with their values as far as they are loaded.
///
/// The fields of a level first say which keys they want, and only then is the first of them loaded. So a level
/// costs one statement for each kind of key, however many fields look it up.
pub struct Keys<K>
where
    K: Key,
    BatchLoader: Loader<K, Error = Fault>,
{
    /// Number of fields that look up keys of this kind.
    fields: AtomicUsize,
    state: Mutex<State<K>>,
}

struct State<K>
where
    K: Key,
    BatchLoader: Loader<K, Error = Fault>,
{
    known: HashSet<K>,
    /// Keys that are not loaded yet.
    wanted: Vec<K>,
    found: HashMap<K, Found<K>>,
}

impl<K> Default for Keys<K>
where
    K: Key,
    BatchLoader: Loader<K, Error = Fault>,
{
    fn default() -> Self {
        let state = State { known: HashSet::new(), wanted: Vec::new(), found: HashMap::new() };
        Self { fields: AtomicUsize::new(0), state: Mutex::new(state) }
    }
}

impl<K> Keys<K>
where
    K: Key,
    BatchLoader: Loader<K, Error = Fault>,
{
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a field looks up such keys.
    pub fn add_field(&self) {
        self.fields.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether more than one field looks up such keys.
    pub fn are_shared(&self) -> bool {
        self.fields.load(Ordering::Relaxed) > 1
    }

    /// Notes that keys will be looked up.
    pub fn want(&self, keys: impl IntoIterator<Item = K>) {
        let state = &mut *self.lock();
        for key in keys {
            if state.known.insert(key.clone()) {
                state.wanted.push(key);
            }
        }
    }

    /// Loads all keys that are wanted and not loaded yet.
    pub async fn load(&self, view: &Viewpoint) -> Fast<()> {
        let wanted = std::mem::take(&mut self.lock().wanted);
        if !wanted.is_empty() {
            let found = view.loaders().batch_loader().load(&wanted).await.map_err(|_| Slow)?;
            self.lock().found.extend(found);
        }
        Ok(())
    }

    /// Returns the values of keys that have been loaded.
    pub fn values<'a>(&self, keys: impl Iterator<Item = Option<&'a K>>) -> Vec<Option<Found<K>>> {
        let state = self.lock();
        keys.map(|key| key.and_then(|key| state.found.get(key).cloned())).collect()
    }
}
