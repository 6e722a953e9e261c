//! Whether the database accepts writes, learned from transactions and, if those are not conclusive, from a
//! probe.

use crate::Error;
use sea_orm::DbErr;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::OwnedMutexGuard;

/// Time for which a finding is considered current.
const FINDING_TTL: Duration = Duration::from_secs(1);
/// How long a probe may wait while other writes are committed.
const BUSY_SPAN: Duration = Duration::from_secs(3);

/// Knowledge about writing to the database.
#[derive(Debug, Default)]
pub(super) struct Health {
    known: Mutex<HealthState>,
    probing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct HealthState {
    /// Time of the last commit.
    wrote_at: Option<Instant>,
    /// Whether a write has failed since the last commit.
    failing: bool,
    /// Whether a write has failed since the last successful large probe: small writes may succeed where large
    /// ones fail.
    doubted: bool,
    /// Time of the last probe, and whether it succeeded.
    probed: Option<(Instant, bool)>,
}

impl HealthState {
    fn wrote_within(&self, span: Duration) -> bool {
        self.wrote_at.is_some_and(|at| at.elapsed() < span)
    }
}

/// A finding, or the need for a probe.
pub(super) enum Verdict {
    Known(bool),
    /// A probe is needed; a large one after a failed write.
    Probe {
        large: bool,
    },
}

impl Health {
    fn known(&self) -> MutexGuard<'_, HealthState> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a commit.
    pub fn wrote(&self) {
        let mut known = self.known();
        known.wrote_at = Some(Instant::now());
        known.failing = false;
    }

    /// Records a failed write; returns whether the database is at fault, and not the statement or another
    /// writer.
    pub fn note(&self, error: &DbErr) -> bool {
        let at_fault = Error::is_fault_of_database(error);
        if at_fault {
            let mut known = self.known();
            (known.failing, known.doubted) = (true, true);
        }
        at_fault
    }

    /// Records a failed write and converts its error.
    pub fn classify(&self, error: DbErr) -> Error {
        self.note(&error);
        error.into()
    }

    /// Records a writer that timed out waiting for its turn. This counts as a failure only if no other write
    /// was committed meanwhile.
    pub fn acquire_timed_out(&self) {
        let mut known = self.known();
        if !known.wrote_within(BUSY_SPAN) {
            (known.failing, known.doubted) = (true, true);
        }
    }

    /// Returns how long a writer may wait for its turn: only briefly while writes fail.
    pub fn acquire_timeout(&self, usual: Duration) -> Duration {
        if self.known().failing { usual.min(Duration::from_secs(1)) } else { usual }
    }

    /// Returns whether the database accepts writes, or that a probe is needed.
    pub fn verdict(&self) -> Verdict {
        let known = self.known();
        match known.probed {
            Some((at, succeeded)) if at.elapsed() < FINDING_TTL && !(succeeded && known.doubted) => {
                Verdict::Known(succeeded)
            }
            _ if known.wrote_within(FINDING_TTL) && !known.failing && !known.doubted => Verdict::Known(true),
            _ => Verdict::Probe { large: known.doubted },
        }
    }

    /// Waits for the right to probe; there is only one probe at a time.
    pub async fn probe_lock(&self) -> OwnedMutexGuard<()> {
        self.probing.clone().lock_owned().await
    }

    /// Records a probe.
    pub fn probed(&self, succeeded: bool, large: bool) {
        let mut known = self.known();
        known.probed = Some((Instant::now(), succeeded));
        if succeeded && large {
            known.doubted = false;
        }
    }

    /// Whether a probe without an answer yet is just waiting for other writes.
    pub fn busy(&self) -> bool {
        let known = self.known();
        known.wrote_within(BUSY_SPAN) && !known.failing && !known.doubted
    }
}
