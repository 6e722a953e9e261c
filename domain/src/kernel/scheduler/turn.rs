//! Executes timers of one partner in the order of due time, several in one transaction.
//!
//! A timer sees what earlier ones of its transaction have done. If one fails, the transaction is rolled back, and
//! each of its timers gets a transaction of its own.

use super::{move_clock, moved, prefetch, run_by_partner_clock};
use crate::{
    Error, Result,
    kernel::{
        actor::AccessScope,
        app::App,
        clock::{self, now_of},
        command::{CommandContext, pause},
        db::WriteTransaction,
        timers,
    },
};
use chrono::{DateTime, Utc};
use entity::{partner, timer};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Maximum number of timers of one transaction.
pub(super) const MAX_TIMERS: usize = 50;

/// Time after which a transaction takes no further timer, so that others can write.
const MAX_DURATION: Duration = Duration::from_millis(25);

/// How often a transaction is tried if the database asks for it.
const MAX_ATTEMPTS: u32 = 5;

/// Timers of one partner that are executed in a row.
pub(super) struct Turn<'a> {
    app: &'a App,
    partner_id: Uuid,
    /// Time to which a sandbox's clock is advanced: each timer runs when the clock has reached its due time.
    until: Option<DateTime<Utc>>,
    pub(super) executed: usize,
    /// Number of timers that get a transaction of their own, because one that they shared has failed.
    alone: usize,
    attempts: u32,
}

/// Why a transaction failed, and the timer that was executed in it, if it was one.
pub(super) struct Failure {
    pub(super) timer: Option<timer::Model>,
    pub(super) cause: Error,
}

impl From<Error> for Failure {
    fn from(cause: Error) -> Self {
        Self { timer: None, cause }
    }
}

impl<'a> Turn<'a> {
    pub(super) const fn new(app: &'a App, partner_id: Uuid, until: Option<DateTime<Utc>>) -> Self {
        Self { app, partner_id, until, executed: 0, alone: 0, attempts: 0 }
    }

    /// Executes at most `limit` due timers in one transaction; returns whether more may be due. Fails only
    /// because of a timer that had a transaction of its own, or because of the database.
    pub(super) async fn next(&mut self, limit: usize) -> Result<bool, Failure> {
        let limit = if self.alone > 0 { 1 } else { limit };
        let outcome = self.transaction(limit).await;
        match outcome {
            Err(failure) if failure.cause.is_retryable() && self.attempts + 1 < MAX_ATTEMPTS => {
                self.attempts += 1;
                pause(self.attempts).await;
                return Ok(true);
            }
            _ => self.attempts = 0,
        }
        match outcome {
            Ok((executed, more)) => {
                self.app.sequencer.wake();
                self.executed += executed;
                self.alone = self.alone.saturating_sub(executed);
                Ok(more)
            }
            Err(failure) if limit > 1 && !failure.cause.is_outage() => {
                self.alone = limit;
                Ok(true)
            }
            Err(failure) => {
                self.alone = self.alone.saturating_sub(1);
                Err(failure)
            }
        }
    }

    /// Returns how many timers were executed, and whether more may be due.
    async fn transaction(&self, limit: usize) -> Result<(usize, bool), Failure> {
        let tx = self.app.db.write().await?;
        let partner = clock::locked(&tx, self.partner_id).await?;
        let until = self.until.unwrap_or_else(|| now_of(&partner));
        let due = timers::lock_due(&tx, self.partner_id, until, self.until.is_some(), limit).await?;
        let mut last = None;
        let outcome = self.execute(&tx, partner, &due, &mut last).await;
        let is_soon = tx.scheduled().first_due_at.is_some_and(|first| first <= until);
        let outcome = match outcome {
            Ok(executed) => tx.commit().await.map(|()| executed),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(executed) => Ok((executed, executed < due.len() || due.len() == limit || is_soon)),
            Err(cause) => Err(Failure { timer: last.cloned(), cause }),
        }
    }

    /// Executes timers until something else may have to happen before the next one; returns their number.
    async fn execute<'t>(
        &self,
        tx: &WriteTransaction,
        partner: partner::Model,
        due: &'t [timer::Model],
        last: &mut Option<&'t timer::Model>,
    ) -> Result<usize> {
        let started = Instant::now();
        prefetch(self.app, tx, due).await?;
        let mut at_timer = partner.clone();
        let mut executed = 0;
        for timer in due {
            let scheduled = *tx.scheduled();
            let is_next = scheduled.first_due_at.is_none_or(|first| first >= timer.due_at);
            if executed > 0 && (!is_next || scheduled.has_canceled || started.elapsed() > MAX_DURATION) {
                break;
            }
            *last = Some(timer);
            if self.until.is_some() {
                at_timer = moved(at_timer, timer.due_at)?;
            }
            let ctx = CommandContext {
                app: self.app,
                tx,
                partner: &at_timer,
                access_scope: AccessScope::all_of(self.partner_id),
                actor_id: None,
                now: timer.due_at,
            };
            run_by_partner_clock(&ctx, timer).await?;
            tx.delete::<timer::Entity>(timer.id).await?;
            executed += 1;
        }
        if let (Some(_), Some(last)) = (self.until, *last) {
            move_clock(tx, partner, last.due_at).await?;
        }
        Ok(executed)
    }
}
