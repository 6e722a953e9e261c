//! Delays attempts after repeated failures: longer each time, but never permanently.

use crate::{
    Error, Result,
    kernel::{app::App, clock, db::WriteTransaction},
};
use chrono::{DateTime, Duration, Utc};
use entity::throttle::{self, Column};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{CaseStatement, Expr, ExprTrait, OnConflict, any},
};
use uuid::Uuid;

/// Delay after repeated failures of one subject: the first attempts are free, then each failure doubles the
/// delay, from 30 seconds to 15 minutes. A day without attempts forgets the failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrowingDelay {
    /// Distinguishes the delays of one subject.
    pub name: &'static str,
    /// Number of attempts without delay.
    pub free: i32,
}

/// The first delay and the longest one.
const FIRST_DELAY: Duration = Duration::seconds(30);
const MAX_DELAY: Duration = Duration::minutes(15);
/// Time without attempts after which failures are forgotten.
const FORGET_AFTER: Duration = Duration::hours(24);

/// A subject of failed attempts, stored only as a keyed hash.
pub struct Subject {
    key: Vec<u8>,
    free: i32,
}

impl GrowingDelay {
    /// Returns what the failures of a partner's subject are counted under.
    pub fn of(self, app: &App, partner_id: Uuid, subject: &str) -> Subject {
        Subject { key: app.vault.blind_index(self.name, partner_id, subject), free: self.free }
    }
}

/// Counts an attempt as failed before it is made, so that concurrent attempts are counted one by one. Refused
/// while any subject must wait; then none is counted.
pub async fn count_attempt(app: &App, subjects: &[Subject]) -> Result<()> {
    let tx = app.db.write().await?;
    for subject in subjects {
        count(&tx, subject).await?;
    }
    tx.commit().await
}

async fn count(tx: &WriteTransaction, subject: &Subject) -> Result<()> {
    let now = clock::system_now();
    let row = throttle::ActiveModel {
        subject: Set(subject.key.clone()),
        failures: Set(1),
        blocked_until: Set(None),
        last_at: Set(now),
    };
    let failed = |than: i32| Expr::col((throttle::Entity, Column::Failures)).gte(than - 1);
    let expired = || Expr::col((throttle::Entity, Column::LastAt)).lt(now - FORGET_AFTER);
    let mut blocked_until = CaseStatement::new().case(expired(), Expr::value(None::<DateTime<Utc>>));
    for (failures, wait) in waits(subject.free).into_iter().rev() {
        blocked_until = blocked_until.case(failed(failures), Expr::value(now + wait));
    }
    let counted = CaseStatement::new()
        .case(expired(), Expr::value(1))
        .finally(Expr::col((throttle::Entity, Column::Failures)).add(1));
    let blocked = blocked_until.finally(Expr::col((throttle::Entity, Column::BlockedUntil)));
    let free = any![
        Expr::col((throttle::Entity, Column::BlockedUntil)).is_null(),
        Expr::col((throttle::Entity, Column::BlockedUntil)).lte(now)
    ];
    let counted_rows = throttle::Entity::insert(row)
        .on_conflict(
            OnConflict::column(Column::Subject)
                .value(Column::Failures, counted)
                .value(Column::BlockedUntil, blocked)
                .value(Column::LastAt, now)
                .action_cond_where(free)
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    if counted_rows == 0 {
        let row = throttle::Entity::find_by_id(subject.key.clone()).one(tx).await?;
        return Err(Error::TooMany {
            retry_after: seconds_until(row.and_then(|row| row.blocked_until), now),
        });
    }
    Ok(())
}

/// Returns pairs of a number of failures and the delay from there on, after `free` attempts without delay.
fn waits(free: i32) -> Vec<(i32, Duration)> {
    let doubled = |times: i32| FIRST_DELAY * (1 << times);
    (0..=5).map(|times| (free + times, Ord::min(doubled(times), MAX_DELAY))).collect()
}

fn seconds_until(then: Option<DateTime<Utc>>, now: DateTime<Utc>) -> u64 {
    then.and_then(|then| u64::try_from((then - now).num_seconds()).ok()).unwrap_or(0) + 1
}

fn keys(subjects: &[Subject]) -> Vec<Vec<u8>> {
    subjects.iter().map(|subject| subject.key.clone()).collect()
}

/// Reverts the counting of an attempt that could not be made.
pub async fn uncount_attempt(app: &App, subjects: &[Subject]) -> Result<()> {
    let tx = app.db.write().await?;
    throttle::Entity::update_many()
        .col_expr(Column::Failures, Expr::col(Column::Failures).sub(1))
        .col_expr(Column::BlockedUntil, Expr::value(None::<DateTime<Utc>>))
        .filter(Column::Subject.is_in(keys(subjects)))
        .filter(Column::Failures.gt(0))
        .exec(&tx)
        .await?;
    tx.commit().await
}

/// Deletes the failures of subjects that have succeeded.
pub async fn succeeded(app: &App, subjects: &[Subject]) -> Result<()> {
    let tx = app.db.write().await?;
    throttle::Entity::delete_many().filter(Column::Subject.is_in(keys(subjects))).exec(&tx).await?;
    tx.commit().await
}

/// Deletes subjects without an attempt for a day; returns their number.
pub async fn forget_old_failures(connection: &impl ConnectionTrait) -> Result<u64> {
    let old = throttle::Entity::delete_many().filter(Column::LastAt.lt(clock::system_now() - FORGET_AFTER));
    Ok(old.exec(connection).await?.rows_affected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_from_30_seconds_to_15_minutes() {
        let seconds: Vec<(i32, i64)> =
            waits(5).into_iter().map(|(failures, wait)| (failures, wait.num_seconds())).collect();
        assert_eq!(seconds, [(5, 30), (6, 60), (7, 120), (8, 240), (9, 480), (10, 900)]);
    }
}
