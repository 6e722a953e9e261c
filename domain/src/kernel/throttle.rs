//! Failures in a row make the next try wait: longer each time, never for good.

use super::{clock, db::WriteTransaction, limits::address_key};
use crate::{Error, Result, kernel::app::App};
use chrono::{DateTime, Duration, Utc};
use entity::throttle::{self, Column};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{CaseStatement, Expr, ExprTrait, OnConflict, any},
};
use std::net::IpAddr;
use uuid::Uuid;

/// How many tries in a row need not wait.
const FREE: i32 = 5;
/// The same of one e-mail address, whoever tries: a stranger must not lock its owner out.
const FREE_FROM_ANYWHERE: i32 = 100;
/// How long the next one waits at first, and at most.
const FIRST: Duration = Duration::seconds(30);
const MAX_DELAY: Duration = Duration::minutes(15);
/// After how long without a try all is forgotten.
const FORGOTTEN: Duration = Duration::hours(24);

/// What tries are counted for, of which only a keyed hash is kept.
pub struct Subject {
    key: Vec<u8>,
    free: i32,
}

/// Codes of an authenticator app, tried by one person.
pub fn totp(app: &App, partner_id: Uuid, user_id: Uuid) -> [Subject; 1] {
    [Subject { key: app.vault.blind_index("throttle.totp", partner_id, &user_id.to_string()), free: FREE }]
}

/// Passwords for one e-mail address: from one client address, if that is known, and in all.
pub fn password(app: &App, partner_id: Uuid, email: &str, address: Option<IpAddr>) -> [Subject; 2] {
    let client = address.map(|address| hex::encode(address_key(address))).unwrap_or_default();
    let from_client =
        app.vault.blind_index("throttle.password_from", partner_id, &format!("{client} {email}"));
    let from_anywhere = app.vault.blind_index("throttle.password", partner_id, email);
    [Subject { key: from_client, free: FREE }, Subject { key: from_anywhere, free: FREE_FROM_ANYWHERE }]
}

/// Counts a try as failed before it is made, so that tries at the same moment are counted one by one. Refused
/// while any of the subjects must wait; then none is counted.
pub async fn before(app: &App, subjects: &[Subject]) -> Result<()> {
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
    let forgotten = || Expr::col((throttle::Entity, Column::LastAt)).lt(now - FORGOTTEN);
    let mut blocked_until = CaseStatement::new().case(forgotten(), Expr::value(None::<DateTime<Utc>>));
    for (failures, wait) in waits(subject.free).into_iter().rev() {
        blocked_until = blocked_until.case(failed(failures), Expr::value(now + wait));
    }
    let counted = CaseStatement::new()
        .case(forgotten(), Expr::value(1))
        .finally(Expr::col((throttle::Entity, Column::Failures)).add(1));
    let blocked = blocked_until.finally(Expr::col((throttle::Entity, Column::BlockedUntil)));
    let free = any![
        Expr::col((throttle::Entity, Column::BlockedUntil)).is_null(),
        Expr::col((throttle::Entity, Column::BlockedUntil)).lte(now)
    ];
    let heard = throttle::Entity::insert(row)
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
    if heard == 0 {
        let row = throttle::Entity::find_by_id(subject.key.clone()).one(tx).await?;
        return Err(Error::TooMany {
            retry_after: seconds_until(row.and_then(|row| row.blocked_until), now),
        });
    }
    Ok(())
}

/// From how many failures on the next try waits how long, if so many are free.
fn waits(free: i32) -> Vec<(i32, Duration)> {
    let doubled = |times: i32| FIRST * (1 << times);
    (0..=5).map(|times| (free + times, Ord::min(doubled(times), MAX_DELAY))).collect()
}

fn seconds_until(then: Option<DateTime<Utc>>, now: DateTime<Utc>) -> u64 {
    then.and_then(|then| u64::try_from((then - now).num_seconds()).ok()).unwrap_or(0) + 1
}

fn keys(subjects: &[Subject]) -> Vec<Vec<u8>> {
    subjects.iter().map(|subject| subject.key.clone()).collect()
}

/// Takes back a try that was counted and could not be made.
pub async fn take_back(app: &App, subjects: &[Subject]) -> Result<()> {
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

/// Forgets the failures of subjects that have succeeded.
pub async fn succeeded(app: &App, subjects: &[Subject]) -> Result<()> {
    let tx = app.db.write().await?;
    throttle::Entity::delete_many().filter(Column::Subject.is_in(keys(subjects))).exec(&tx).await?;
    tx.commit().await
}

/// Forgets subjects that were not tried for a day; how many.
pub async fn forget_old(connection: &impl ConnectionTrait) -> Result<u64> {
    let old = throttle::Entity::delete_many().filter(Column::LastAt.lt(clock::system_now() - FORGOTTEN));
    Ok(old.exec(connection).await?.rows_affected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_half_a_minute_to_a_quarter_of_an_hour() {
        let seconds: Vec<(i32, i64)> =
            waits(FREE).into_iter().map(|(failures, wait)| (failures, wait.num_seconds())).collect();
        assert_eq!(seconds, [(5, 30), (6, 60), (7, 120), (8, 240), (9, 480), (10, 900)]);
    }
}
