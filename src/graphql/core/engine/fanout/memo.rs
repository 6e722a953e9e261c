//! Responses to recent signals, within limits on their age, number and size.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// Maximum age of a response. It contains the state at the time of its evaluation.
const MAX_AGE: Duration = Duration::from_secs(2);
const MAX_RESPONSES: usize = 10_000;
const MAX_BYTES: usize = 16 << 20;

/// Number of a group and number of a signal.
pub type Key = (u64, u64);

/// Responses to recent signals. Those that are still being evaluated are kept in any case, so that nothing is
/// evaluated twice at a time.
pub struct Memo<T: Clone> {
    entries: HashMap<Key, Entry<T>>,
    /// Evaluated responses, oldest first.
    evaluated: VecDeque<(Key, Instant)>,
    bytes: usize,
}

struct Entry<T> {
    response: T,
    started: Instant,
    bytes: usize,
}

impl<T: Clone> Default for Memo<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), evaluated: VecDeque::new(), bytes: 0 }
    }
}

impl<T: Clone> Memo<T> {
    /// Returns a response; with `since`, only if its evaluation started after that.
    pub fn get(&mut self, key: &Key, since: Option<Instant>) -> Option<T> {
        self.drop_old(Instant::now());
        let entry = self.entries.get(key)?;
        since.is_none_or(|since| entry.started >= since).then(|| entry.response.clone())
    }

    /// Keeps a response whose evaluation starts now.
    pub fn put(&mut self, key: Key, response: T) {
        let entry = Entry { response, started: Instant::now(), bytes: 0 };
        if let Some(replaced) = self.entries.insert(key, entry) {
            self.bytes -= replaced.bytes;
        }
    }

    /// Records that a response has been evaluated, and its size.
    pub fn evaluated(&mut self, key: Key, bytes: usize) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        self.bytes = self.bytes - entry.bytes + bytes;
        entry.bytes = bytes;
        self.evaluated.push_back((key, entry.started));
        self.drop_old(Instant::now());
    }

    fn drop_old(&mut self, now: Instant) {
        while let Some((key, started)) = self.evaluated.front().copied() {
            let is_old = now.saturating_duration_since(started) >= MAX_AGE;
            if !is_old && self.evaluated.len() <= MAX_RESPONSES && self.bytes <= MAX_BYTES {
                return;
            }
            self.evaluated.pop_front();
            // The entry may have been replaced by a later evaluation.
            if self.entries.get(&key).is_some_and(|entry| entry.started == started)
                && let Some(entry) = self.entries.remove(&key)
            {
                self.bytes -= entry.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (1, 1);

    fn evaluated(memo: &mut Memo<&'static str>, key: Key, bytes: usize) {
        memo.put(key, "response");
        memo.evaluated(key, bytes);
    }

    #[test]
    fn old_responses_are_dropped_but_not_those_being_evaluated() {
        let mut memo = Memo::default();
        memo.put((1, 2), "slow");
        evaluated(&mut memo, KEY, 10);
        assert_eq!((memo.get(&KEY, None), memo.bytes), (Some("response"), 10));
        memo.drop_old(Instant::now() + MAX_AGE);
        assert_eq!((memo.get(&KEY, None), memo.bytes), (None, 0));
        assert_eq!(memo.get(&(1, 2), None), Some("slow"));
    }

    #[test]
    fn the_number_and_size_of_responses_is_limited() {
        let mut memo = Memo::default();
        for number in 0..100 {
            evaluated(&mut memo, (1, number), MAX_BYTES / 10);
        }
        assert!(memo.bytes <= MAX_BYTES && memo.entries.len() <= 10);
        assert_eq!((memo.get(&(1, 0), None), memo.get(&(1, 99), None)), (None, Some("response")));
        evaluated(&mut memo, (2, 0), MAX_BYTES + 1);
        assert_eq!((memo.entries.len(), memo.bytes), (0, 0), "a response larger than the limit is not kept");
        for number in 0..2 * MAX_RESPONSES as u64 {
            evaluated(&mut memo, (1, number), 0);
        }
        assert_eq!((memo.entries.len(), memo.evaluated.len()), (MAX_RESPONSES, MAX_RESPONSES));
    }

    #[test]
    fn a_response_from_before_can_be_replaced() {
        let mut memo = Memo::default();
        evaluated(&mut memo, KEY, 10);
        let later = Instant::now() + Duration::from_millis(1);
        assert_eq!(memo.get(&KEY, Some(later)), None);
        memo.put(KEY, "newer");
        memo.evaluated(KEY, 7);
        assert_eq!((memo.get(&KEY, None), memo.bytes), (Some("newer"), 7));
    }
}
