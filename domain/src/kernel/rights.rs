//! What a server remembers about callers' rights, and from when on it no longer counts.
//!
//! Looking up a key or a session for every request and every delivered event would be too much, so answers
//! are remembered for a second. On the server that ends a right, nothing remembered of it counts from before
//! the commit on.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How long an answer of the database is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(1);

/// The rights that end on this server: of keys, people and sessions, each by its id.
#[derive(Debug, Default)]
pub struct Rights(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Counts the beginnings and the ends of changes.
    moment: u64,
    /// How many changes of a subject's rights are under way.
    ending: HashMap<Uuid, usize>,
    /// When the last change of a subject's rights was over.
    ended: HashMap<Uuid, (u64, Instant)>,
}

/// When the database was asked, in the order of changes of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Rights {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a change of a subject's rights, before its transaction. It is over when the guard is dropped,
    /// after the commit.
    pub fn end(&self, subject: Uuid) -> Ending<'_> {
        let mut state = self.state();
        state.moment += 1;
        *state.ending.entry(subject).or_default() += 1;
        Ending { rights: self, subject }
    }

    /// The present moment, to be taken before the database is asked.
    pub fn now(&self) -> Moment {
        Moment(self.state().moment)
    }

    /// Whether what the database said of these subjects at a moment still counts.
    pub fn count(&self, since: Moment, subjects: &[Uuid]) -> bool {
        let state = self.state();
        subjects.iter().all(|subject| {
            !state.ending.contains_key(subject)
                && state.ended.get(subject).is_none_or(|(ended, _)| since.0 >= *ended)
        })
    }
}

/// A change of a subject's rights that is under way.
#[derive(Debug)]
pub struct Ending<'a> {
    rights: &'a Rights,
    subject: Uuid,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut state = self.rights.state();
        state.moment += 1;
        if let Some(under_way) = state.ending.get_mut(&self.subject) {
            *under_way -= 1;
            if *under_way == 0 {
                state.ending.remove(&self.subject);
            }
        }
        let moment = state.moment;
        // Older answers are no longer remembered by then.
        state.ended.retain(|_, (_, at)| at.elapsed() < 60 * REMEMBERED);
        state.ended.insert(self.subject, (moment, Instant::now()));
    }
}

/// An answer of the database, and when it was given.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<T> {
    at: Instant,
    moment: Moment,
    value: T,
}

impl<T> Remembered<T> {
    /// An answer of the database that was asked at this moment.
    pub fn new(moment: Moment, value: T) -> Self {
        Self { at: Instant::now(), moment, value }
    }

    /// The answer, while it counts for these subjects.
    pub fn get(&self, rights: &Rights, subjects: impl Fn(&T) -> Vec<Uuid>) -> Option<&T> {
        (self.at.elapsed() < REMEMBERED && rights.count(self.moment, &subjects(&self.value)))
            .then_some(&self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    #[test]
    fn nothing_counts_that_was_asked_before_a_change_was_over() {
        let rights = Rights::default();
        let before = rights.now();
        assert!(rights.count(before, &[KEY]));
        let ending = rights.end(KEY);
        let during = rights.now();
        assert!(!rights.count(before, &[KEY]) && !rights.count(during, &[KEY]));
        assert!(!rights.count(during, &[OTHER, KEY]));
        assert!(rights.count(before, &[OTHER]));
        drop(ending);
        assert!(!rights.count(before, &[KEY]) && !rights.count(during, &[KEY]));
        assert!(rights.count(rights.now(), &[KEY]) && rights.count(before, &[OTHER]));
    }

    #[test]
    fn two_changes_at_once_both_have_to_be_over() {
        let rights = Rights::default();
        let (one, two) = (rights.end(KEY), rights.end(KEY));
        drop(one);
        assert!(!rights.count(rights.now(), &[KEY]));
        drop(two);
        assert!(rights.count(rights.now(), &[KEY]));
    }
}
