//! The books that this server has in memory.

use super::book::Book;
use crate::kernel::app::{App, Feature};
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use uuid::Uuid;

/// Age at which a book is read again. Orders that were canceled stay in it until their price is reached or it is
/// read again.
const MAX_AGE: TimeDelta = TimeDelta::hours(6);

/// The books that this server has in memory, by partner and instrument.
#[derive(Debug, Default)]
pub(super) struct Books(Mutex<HashMap<(Uuid, Uuid), Known>>);

/// A book in memory.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) version: Uuid,
    /// When its orders were read, by the partner's clock.
    pub(super) read_at: DateTime<Utc>,
    pub(super) book: Book,
}

impl Feature for Books {
    fn new(_: &App) -> Self {
        Self::default()
    }
}

impl Books {
    /// Takes a book out of memory if it has this version and is not too old.
    pub(super) fn take(&self, key: (Uuid, Uuid), version: Uuid, now: DateTime<Utc>) -> Option<Known> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key)?;
        (found.version == version && now - found.read_at < MAX_AGE).then_some(found)
    }

    pub(super) fn put(&self, key: (Uuid, Uuid), known: Known) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, known);
    }
}
