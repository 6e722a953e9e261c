//! Cached rights of callers, and their invalidation on this server.
//!
//! A database query for every request and every delivered event would be too slow, so rights are cached for
//! one second. When a right is revoked on this server, everything cached before the commit becomes invalid.

use super::{app::App, cache::Cache};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use uuid::Uuid;

/// Time for which a right read from the database is cached.
pub const CACHE_TTL: Duration = Duration::from_secs(1);

const MAX_CACHED: usize = 10_000;

/// Changes of rights on this server: of API keys, users and sessions, each by its id.
#[derive(Debug, Default)]
pub struct Rights(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Number of changes begun plus number of changes finished.
    moment: u64,
    /// Number of running changes per subject.
    changing: HashMap<Uuid, usize>,
    /// Moment and time at which the last change of each subject finished.
    ended_at: HashMap<Uuid, (u64, Instant)>,
}

/// A logical time, ordered with respect to changes of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Rights {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a change of a subject's rights; call it before the transaction. The change ends when the guard
    /// is dropped, which must be after the commit.
    pub fn begin_change(&self, subject: Uuid) -> Change<'_> {
        let mut state = self.state();
        state.moment += 1;
        *state.changing.entry(subject).or_default() += 1;
        Change { rights: self, subject }
    }

    /// Returns the current moment. Take it before reading rights from the database.
    pub fn now(&self) -> Moment {
        Moment(self.state().moment)
    }

    /// Whether rights of these subjects that were read at `since` are still valid.
    pub fn is_valid(&self, since: Moment, subjects: &[Uuid]) -> bool {
        let state = self.state();
        subjects.iter().all(|subject| {
            !state.changing.contains_key(subject)
                && state.ended_at.get(subject).is_none_or(|(moment, _)| since.0 >= *moment)
        })
    }
}

/// Guard of a running change of a subject's rights.
#[derive(Debug)]
pub struct Change<'a> {
    rights: &'a Rights,
    subject: Uuid,
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let mut state = self.rights.state();
        state.moment += 1;
        if let Some(running) = state.changing.get_mut(&self.subject) {
            *running -= 1;
            if *running == 0 {
                state.changing.remove(&self.subject);
            }
        }
        let moment = state.moment;
        // Cached rights from before that have expired by then.
        state.ended_at.retain(|_, (_, at)| at.elapsed() < 60 * CACHE_TTL);
        state.ended_at.insert(self.subject, (moment, Instant::now()));
    }
}

/// Cache of what was read about callers. A value is valid until its time is over or one of its subjects
/// loses a right on this server.
#[derive(Debug)]
pub struct RightsCache<K, V>(Cache<K, (Moment, V)>);

impl<K: Hash + Eq, V: Clone> RightsCache<K, V> {
    pub fn new(app: &App) -> Self {
        Self(Cache::new(MAX_CACHED, CACHE_TTL, app.monotonic.clone()))
    }

    /// Returns the value of a key while it is valid for its `subjects`.
    pub fn get(&self, rights: &Rights, key: &K, subjects: impl Fn(&V) -> Vec<Uuid>) -> Option<V> {
        let (moment, value) = self.0.get(key)?;
        rights.is_valid(moment, &subjects(&value)).then_some(value)
    }

    /// Caches a value that was read from the database at `moment`.
    pub fn put(&self, key: K, moment: Moment, value: V) {
        self.0.put(key, (moment, value));
    }
}

/// Reads of rights that are running, so that many sockets of one key cost one query.
#[derive(Debug)]
pub struct SharedReads<K: Copy + Hash + Eq>(Arc<RunningReads<K>>);

/// For each key, a channel that is closed when its read has ended.
type RunningReads<K> = Mutex<HashMap<K, watch::Receiver<()>>>;

impl<K: Copy + Hash + Eq> Default for SharedReads<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Copy + Hash + Eq + Send + 'static> SharedReads<K> {
    /// Runs `read` in a task of its own, unless one for this key is running, and waits until it has ended.
    /// The read may have begun before this call, so what it put into a [`RightsCache`] must be checked.
    pub async fn run<F>(&self, key: K, read: impl FnOnce() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut ended = {
            let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(ended) = running.get(&key) {
                ended.clone()
            } else {
                let (end, ended) = watch::channel(());
                running.insert(key, ended.clone());
                let (guard, read) = (RunningRead { all: self.0.clone(), key, _end: end }, read());
                tokio::spawn(async move {
                    read.await;
                    drop(guard);
                });
                ended
            }
        };
        _ = ended.changed().await;
    }
}

/// Guard of a running read.
struct RunningRead<K: Copy + Hash + Eq> {
    all: Arc<RunningReads<K>>,
    key: K,
    _end: watch::Sender<()>,
}

impl<K: Copy + Hash + Eq> Drop for RunningRead<K> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    #[test]
    fn rights_read_before_a_change_ends_are_invalid() {
        let rights = Rights::default();
        let before = rights.now();
        assert!(rights.is_valid(before, &[KEY]));
        let change = rights.begin_change(KEY);
        let during = rights.now();
        assert!(!rights.is_valid(before, &[KEY]) && !rights.is_valid(during, &[KEY]));
        assert!(!rights.is_valid(during, &[OTHER, KEY]));
        assert!(rights.is_valid(before, &[OTHER]));
        drop(change);
        assert!(!rights.is_valid(before, &[KEY]) && !rights.is_valid(during, &[KEY]));
        assert!(rights.is_valid(rights.now(), &[KEY]) && rights.is_valid(before, &[OTHER]));
    }

    #[tokio::test]
    async fn reads_of_one_key_at_a_time_are_shared() {
        let (reads, count) = (SharedReads::default(), Arc::new(Mutex::new(0)));
        let read = || {
            reads.run(KEY, || {
                let count = count.clone();
                async move {
                    tokio::task::yield_now().await;
                    *count.lock().unwrap() += 1;
                }
            })
        };
        futures_util::future::join_all((0..10).map(|_| read())).await;
        assert_eq!(*count.lock().unwrap(), 1);
        read().await;
        assert_eq!(*count.lock().unwrap(), 2, "a read that has ended is not shared");
    }

    #[test]
    fn rights_stay_invalid_until_both_of_two_changes_end() {
        let rights = Rights::default();
        let (one, two) = (rights.begin_change(KEY), rights.begin_change(KEY));
        drop(one);
        assert!(!rights.is_valid(rights.now(), &[KEY]));
        drop(two);
        assert!(rights.is_valid(rights.now(), &[KEY]));
    }
}
