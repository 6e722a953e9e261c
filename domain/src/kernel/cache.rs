//! A bounded cache whose values expire, and its clock.

use quick_cache::sync;
use std::{
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Monotonic clock: the system's, or one that a test can stop and advance. Clones share their time.
#[derive(Clone, Debug, Default)]
pub struct MonotonicClock(Option<Arc<Mutex<Adjustment>>>);

#[derive(Debug, Default)]
struct Adjustment {
    ahead: Duration,
    stopped_at: Option<Instant>,
}

impl MonotonicClock {
    /// Creates a clock that runs like the system's until it is adjusted.
    pub fn adjustable() -> Self {
        Self(Some(Arc::default()))
    }

    fn adjust(&self, change: impl FnOnce(&mut Adjustment)) {
        if let Some(adjustment) = &self.0 {
            change(&mut adjustment.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Returns the current time.
    pub fn now(&self) -> Instant {
        let mut now = Instant::now();
        self.adjust(|adjustment| now = adjustment.stopped_at.unwrap_or(now) + adjustment.ahead);
        now
    }

    /// Returns the time since `then`.
    pub fn since(&self, then: Instant) -> Duration {
        self.now().saturating_duration_since(then)
    }

    /// Stops an adjustable clock. The system's clock goes on.
    pub fn stop(&self) {
        self.adjust(|adjustment| adjustment.stopped_at = Some(Instant::now()));
    }

    /// Advances an adjustable clock. The system's clock does not change.
    pub fn advance(&self, by: Duration) {
        self.adjust(|adjustment| adjustment.ahead += by);
    }
}

/// Cache of at most `capacity` values, each valid for a fixed time after it was put in.
///
/// `quick_cache` handles eviction and locking. It cannot use an injected clock, so each entry stores the time at
/// which it was put in.
pub struct Cache<K, V> {
    entries: sync::Cache<K, (Instant, V)>,
    ttl: Duration,
    clock: MonotonicClock,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// Creates an empty cache.
    pub fn new(capacity: usize, ttl: Duration, clock: MonotonicClock) -> Self {
        Self { entries: sync::Cache::new(capacity), ttl, clock }
    }

    /// Returns the value of a key, unless it has expired.
    pub fn get(&self, key: &K) -> Option<V> {
        let (put_at, value) = self.entries.get(key)?;
        (self.clock.since(put_at) < self.ttl).then_some(value)
    }

    /// Caches a value; it replaces the one of the same key.
    pub fn put(&self, key: K, value: V) {
        self.entries.insert(key, (self.clock.now(), value));
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_expires_exactly_after_its_time() {
        let clock = MonotonicClock::adjustable();
        clock.stop();
        let cache = Cache::new(10, Duration::from_secs(1), clock.clone());
        cache.put("a", 1);
        clock.advance(Duration::from_millis(999));
        assert_eq!(cache.get(&"a"), Some(1));
        cache.put("b", 2);
        clock.advance(Duration::from_millis(1));
        assert_eq!((cache.get(&"a"), cache.get(&"b")), (None, Some(2)));
        cache.put("a", 3);
        assert_eq!(cache.get(&"a"), Some(3));
    }

    #[test]
    fn a_full_cache_drops_values_and_never_grows() {
        let cache = Cache::new(100, Duration::from_secs(60), MonotonicClock::default());
        for number in 0..10_000 {
            cache.put(number, number);
            assert_eq!(cache.get(&number), Some(number));
        }
        assert!((0..10_000).filter(|number| cache.get(number).is_some()).count() <= 100);
    }
}
