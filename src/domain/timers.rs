//! What happens later is a row here, written with its cause and deleted by the transaction that carries it out.

use super::{Result, clock, ids::Ids};
use chrono::{DateTime, Duration, Utc};
use entity::{
    Kind,
    timer::{self, Clock, TimerKind},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, any},
};
use std::sync::Arc;
use tokio::sync::Notify;
use uuid::Uuid;

/// Tells the worker that something may be due.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Something may be due.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Returns when something may be due, after `at_most` at the latest.
    pub async fn wait(&self, at_most: std::time::Duration) {
        _ = tokio::time::timeout(at_most, self.0.notified()).await;
    }
}

/// Has `kind` carried out for `subject_id` at `due_at` by the partner's clock.
pub async fn schedule(
    connection: &impl ConnectionTrait,
    ids: Ids,
    partner_id: Uuid,
    kind: TimerKind,
    subject_id: Uuid,
    due_at: DateTime<Utc>,
) -> Result<()> {
    insert(connection, ids, partner_id, Clock::Partner, kind, subject_id, due_at).await
}

/// Has `kind` carried out for `subject_id` as soon as this transaction is committed, by the system's clock: a sandbox's
/// clock neither hastens nor delays it.
pub async fn schedule_system(
    connection: &impl ConnectionTrait,
    ids: Ids,
    partner_id: Uuid,
    kind: TimerKind,
    subject_id: Uuid,
) -> Result<()> {
    insert(connection, ids, partner_id, Clock::System, kind, subject_id, clock::system_now()).await
}

async fn insert(
    connection: &impl ConnectionTrait,
    ids: Ids,
    partner_id: Uuid,
    whose: Clock,
    kind: TimerKind,
    subject_id: Uuid,
    due_at: DateTime<Utc>,
) -> Result<()> {
    timer::ActiveModel {
        id: Set(ids.next(Kind::Timer)),
        partner_id: Set(partner_id),
        clock: Set(whose),
        kind: Set(kind),
        subject_id: Set(subject_id),
        due_at: Set(due_at),
        attempts: Set(0),
        retry_at: Set(None),
    }
    .insert(connection)
    .await?;
    Ok(())
}

/// Forgets what was to be done about a subject, once whoever does it now is done.
///
/// The worker takes the timer first and its subject next: so must whoever forgets, or the two wait for each other.
pub async fn forget(connection: &impl ConnectionTrait, partner_id: Uuid, subject_id: Uuid, kind: TimerKind) -> Result<()> {
    timer::Entity::delete_many()
        .filter(timer::Column::SubjectId.eq(subject_id))
        .filter(timer::Column::PartnerId.eq(partner_id))
        .filter(timer::Column::Kind.eq(kind))
        .exec(connection)
        .await?;
    Ok(())
}

/// The partner's next timer due by `until`, in the order of due time, then id. Without `force`, one that failed a moment
/// ago is not due before its retry.
pub async fn next_due(
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    until: DateTime<Utc>,
    force: bool,
) -> Result<Option<timer::Model>> {
    let mut due = timer::Entity::find()
        .filter(timer::Column::PartnerId.eq(partner_id))
        .filter(timer::Column::Clock.eq(Clock::Partner))
        .filter(timer::Column::DueAt.lte(until));
    if !force {
        due = due.filter(any![timer::Column::RetryAt.is_null(), timer::Column::RetryAt.lte(clock::system_now())]);
    }
    Ok(due.order_by_asc(timer::Column::DueAt).order_by_asc(timer::Column::Id).limit(1).one(connection).await?)
}

/// The partners that wait for something, and until when the soonest of it waits.
pub async fn waiting_partners(connection: &impl ConnectionTrait) -> Result<Vec<(Uuid, DateTime<Utc>)>> {
    Ok(timer::Entity::find()
        .select_only()
        .column(timer::Column::PartnerId)
        .column_as(timer::Column::DueAt.min(), "due_at")
        .filter(timer::Column::Clock.eq(Clock::Partner))
        .group_by(timer::Column::PartnerId)
        .order_by_asc(timer::Column::PartnerId)
        .into_tuple()
        .all(connection)
        .await?)
}

/// Takes a timer for this transaction: `false` when another has carried it out.
pub async fn take(connection: &impl ConnectionTrait, timer: &timer::Model) -> Result<bool> {
    Ok(timer::Entity::delete_by_id(timer.id).exec(connection).await?.rows_affected == 1)
}

/// Puts a failed timer off: a second after the first failure, twice as long after each next, an hour at most.
pub async fn put_off(connection: &impl ConnectionTrait, timer: &timer::Model) -> Result<()> {
    let seconds = 1_i64 << timer.attempts.clamp(0, 11);
    timer::Entity::update_many()
        .col_expr(timer::Column::Attempts, Expr::value(timer.attempts.saturating_add(1)))
        .col_expr(timer::Column::RetryAt, Expr::value(clock::system_now() + Duration::seconds(seconds.min(3600))))
        .filter(timer::Column::Id.eq(timer.id))
        .exec(connection)
        .await?;
    Ok(())
}
