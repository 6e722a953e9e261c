//! Delays attempts after repeated failures: longer each time, but never permanently.

use crate::{
    Error, Result,
    kernel::{app::App, clock, db::WriteTransaction},
};
use chrono::{DateTime, Duration, Utc};
use entity::limit_use::{self, Column};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{CaseStatement, Expr, ExprTrait, OnConflict, any},
};

/// Delay after repeated failures of one subject: the first attempts are free, then each failure doubles the
/// delay, from 30 seconds to 15 minutes. A day without attempts forgets the failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrowingDelay {
    /// Number of attempts without delay.
    pub free: i64,
}

/// The first delay and the longest one.
const FIRST_DELAY: Duration = Duration::seconds(30);
const MAX_DELAY: Duration = Duration::minutes(15);
/// Time without attempts after which failures are forgotten.
const FORGET_AFTER: Duration = Duration::hours(24);

/// Counts attempts as failed. Refused while any subject must wait; then none is counted.
pub async fn count(app: &App, attempts: &[(GrowingDelay, [u8; 32])]) -> Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let tx = app.db.write().await?;
    for (delay, key) in attempts {
        count_one(&tx, *delay, key).await?;
    }
    tx.commit().await
}

async fn count_one(tx: &WriteTransaction, delay: GrowingDelay, key: &[u8]) -> Result<()> {
    let now = clock::system_now();
    let row = limit_use::ActiveModel {
        key: Set(key.to_vec()),
        ends_at: Set(now + FORGET_AFTER),
        used: Set(1),
        granted: Set(1),
        blocked_until: Set(None),
    };
    let stored = |column: Column| Expr::col((limit_use::Entity, column));
    let failed = |than: i64| stored(Column::Used).gte(than - 1);
    let expired = || stored(Column::EndsAt).lt(now);
    let mut blocked_until = CaseStatement::new().case(expired(), Expr::value(None::<DateTime<Utc>>));
    for (failures, wait) in waits(delay.free).into_iter().rev() {
        blocked_until = blocked_until.case(failed(failures), Expr::value(now + wait));
    }
    let counted = CaseStatement::new().case(expired(), Expr::value(1)).finally(stored(Column::Used).add(1));
    let blocked = blocked_until.finally(stored(Column::BlockedUntil));
    let free = any![stored(Column::BlockedUntil).is_null(), stored(Column::BlockedUntil).lte(now)];
    let counted_rows = limit_use::Entity::insert(row)
        .on_conflict(
            OnConflict::column(Column::Key)
                .value(Column::Used, counted)
                .value(Column::BlockedUntil, blocked)
                .value(Column::EndsAt, now + FORGET_AFTER)
                .action_cond_where(free)
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    if counted_rows == 0 {
        let row = limit_use::Entity::find_by_id(key.to_vec()).one(tx).await?;
        return Err(Error::TooMany {
            retry_after: seconds_until(row.and_then(|row| row.blocked_until), now),
        });
    }
    Ok(())
}

/// Returns pairs of a number of failures and the delay from there on, after `free` attempts without delay.
fn waits(free: i64) -> Vec<(i64, Duration)> {
    let doubled = |times: i32| FIRST_DELAY * (1 << times);
    (0..=5).map(|times| (free + i64::from(times), Ord::min(doubled(times), MAX_DELAY))).collect()
}

fn seconds_until(then: Option<DateTime<Utc>>, now: DateTime<Utc>) -> u64 {
    then.and_then(|then| u64::try_from((then - now).num_seconds()).ok()).unwrap_or(0) + 1
}

/// Reverts the counting of an attempt of each of these keys.
pub async fn uncount(app: &App, keys: &[Vec<u8>]) -> Result<()> {
    let tx = app.db.write().await?;
    limit_use::Entity::update_many()
        .col_expr(Column::Used, Expr::col(Column::Used).sub(1))
        .col_expr(Column::BlockedUntil, Expr::value(None::<DateTime<Utc>>))
        .filter(Column::Key.is_in(keys.iter().cloned()))
        .filter(Column::Used.gt(0))
        .exec(&tx)
        .await?;
    tx.commit().await
}

/// Deletes the failures of these keys.
pub async fn forget(app: &App, keys: &[Vec<u8>]) -> Result<()> {
    let tx = app.db.write().await?;
    limit_use::Entity::delete_many().filter(Column::Key.is_in(keys.iter().cloned())).exec(&tx).await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_from_30_seconds_to_15_minutes() {
        let seconds: Vec<(i64, i64)> =
            waits(5).into_iter().map(|(failures, wait)| (failures, wait.num_seconds())).collect();
        assert_eq!(seconds, [(5, 30), (6, 60), (7, 120), (8, 240), (9, 480), (10, 900)]);
    }
}
