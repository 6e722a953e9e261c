//! Whether the database takes writes: what transactions have met, and a write of its own where that does not
//! tell.

use crate::Error;
use sea_orm::DbErr;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::OwnedMutexGuard;

/// For how long what was learned about the database is believed.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// How long a database that commits what others ask for may keep the probe waiting.
const BUSY_FOR: Duration = Duration::from_secs(3);

/// What is known about writing to the database.
#[derive(Debug, Default)]
pub(super) struct Health {
    known: Mutex<Known>,
    probing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The last commit.
    wrote_at: Option<Instant>,
    /// Whether a write has failed since the last commit.
    failing: bool,
    /// Whether a write has failed since the last probe that succeeded: a small write may still fit where
    /// larger ones do not.
    doubted: bool,
    /// The last probe and whether it succeeded.
    probed: Option<(Instant, bool)>,
}

impl Known {
    fn wrote_within(&self, span: Duration) -> bool {
        self.wrote_at.is_some_and(|at| at.elapsed() < span)
    }
}

/// The next step towards knowing.
pub(super) enum Verdict {
    Known(bool),
    /// A probe must be made; after a failed write a large one.
    Probe {
        large: bool,
    },
}

impl Health {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a commit.
    pub fn wrote(&self) {
        let mut known = self.known();
        known.wrote_at = Some(Instant::now());
        known.failing = false;
    }

    /// Takes note of a failed write; whether the database is at fault, and not the statement or another
    /// writer.
    pub fn note(&self, error: &DbErr) -> bool {
        let at_fault = Error::is_fault_of_database(error);
        if at_fault {
            let mut known = self.known();
            (known.failing, known.doubted) = (true, true);
        }
        at_fault
    }

    /// The same, on the way out.
    pub fn judged(&self, error: DbErr) -> Error {
        self.note(&error);
        error.into()
    }

    /// Takes note of a writer that did not get its turn in time, which says nothing as long as others get
    /// theirs.
    pub fn waited_in_vain(&self) {
        let mut known = self.known();
        if !known.wrote_within(BUSY_FOR) {
            (known.failing, known.doubted) = (true, true);
        }
    }

    /// How long a writer may wait for its turn: not long while writes fail.
    pub fn patience(&self, usual: Duration) -> Duration {
        if self.known().failing { usual.min(Duration::from_secs(1)) } else { usual }
    }

    /// Whether the database takes writes, as far as is known.
    pub fn verdict(&self) -> Verdict {
        let known = self.known();
        match known.probed {
            Some((at, succeeded)) if at.elapsed() < FRESH_FOR && !(succeeded && known.doubted) => {
                Verdict::Known(succeeded)
            }
            _ if known.wrote_within(FRESH_FOR) && !known.failing && !known.doubted => Verdict::Known(true),
            _ => Verdict::Probe { large: known.doubted },
        }
    }

    /// The right to probe; one at a time.
    pub async fn turn(&self) -> OwnedMutexGuard<()> {
        self.probing.clone().lock_owned().await
    }

    /// Takes note of a probe.
    pub fn probed(&self, succeeded: bool, large: bool) {
        let mut known = self.known();
        known.probed = Some((Instant::now(), succeeded));
        if succeeded && large {
            known.doubted = false;
        }
    }

    /// What to say while a probe has no answer yet: the database may just be busy with what others write.
    pub fn busy(&self) -> bool {
        let known = self.known();
        known.wrote_within(BUSY_FOR) && !known.failing && !known.doubted
    }
}
