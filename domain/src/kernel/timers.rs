//! Timers: a scheduled action is a row, written with its cause and deleted by the transaction that executes
//! it.

use super::{clock, ids::Ids};
use crate::Result;
use chrono::{DateTime, Duration, Utc};
use entity::{
    Kind,
    timer::{self, Clock, TimerKind},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement,
    sea_query::{Expr, any},
};
use std::sync::Arc;
use tokio::sync::Notify;
use uuid::Uuid;

/// Wakes the workers when a timer may be due.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    partners: Notify,
    system: Notify,
}

impl Wake {
    /// Signals that a timer may be due.
    pub fn wake(&self) {
        self.0.partners.notify_one();
        self.0.system.notify_one();
    }

    /// Waits until a timer may be due by this clock, for at most `at_most`.
    pub async fn wait(&self, clock: Clock, at_most: std::time::Duration) {
        let waiting = match clock {
            Clock::Partner => &self.0.partners,
            Clock::System => &self.0.system,
        };
        _ = tokio::time::timeout(at_most, waiting.notified()).await;
    }
}

/// Schedules `kind` for `subject_id` at `due_at` by the partner's clock.
pub(super) async fn schedule(
    connection: &impl ConnectionTrait,
    ids: Ids,
    partner_id: Uuid,
    kind: TimerKind,
    subject_id: Uuid,
    due_at: DateTime<Utc>,
) -> Result<()> {
    insert(connection, ids, partner_id, Clock::Partner, kind, subject_id, due_at).await
}

/// How far an urgent timer is dated back.
const URGENT_LEAD: Duration = Duration::days(1);

/// Schedules `kind` for `subject_id` right after the commit, by the system clock: a sandbox's clock has no
/// effect on it. An urgent timer runs before everything that was scheduled within the last day.
pub async fn schedule_system(
    connection: &impl ConnectionTrait,
    ids: Ids,
    partner_id: Uuid,
    kind: TimerKind,
    subject_id: Uuid,
    urgent: bool,
) -> Result<()> {
    let due_at = if urgent { clock::system_now() - URGENT_LEAD } else { clock::system_now() };
    insert(connection, ids, partner_id, Clock::System, kind, subject_id, due_at).await
}

async fn insert(
    connection: &impl ConnectionTrait,
    ids: Ids,
    partner_id: Uuid,
    clock: Clock,
    kind: TimerKind,
    subject_id: Uuid,
    due_at: DateTime<Utc>,
) -> Result<()> {
    timer::ActiveModel {
        id: Set(ids.next(Kind::Timer)),
        partner_id: Set(partner_id),
        clock: Set(clock),
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

/// Cancels the timers of this kind for a subject.
pub(super) async fn cancel(
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    subject_id: Uuid,
    kind: TimerKind,
) -> Result<()> {
    timer::Entity::delete_many()
        .filter(timer::Column::SubjectId.eq(subject_id))
        .filter(timer::Column::PartnerId.eq(partner_id))
        .filter(timer::Column::Kind.eq(kind))
        .exec(connection)
        .await?;
    Ok(())
}

/// Returns the partner's next timer due by `until`, in the order of due time, then id. Without `force`, a
/// timer that failed is skipped until its retry time.
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
        due = due
            .filter(any![timer::Column::RetryAt.is_null(), timer::Column::RetryAt.lte(clock::system_now())]);
    }
    Ok(due
        .order_by_asc(timer::Column::DueAt)
        .order_by_asc(timer::Column::Id)
        .limit(1)
        .one(connection)
        .await?)
}

/// Returns the partners that have timers, each with the due time of its next one. Needs one index lookup per
/// partner, however many timers it has.
pub async fn waiting_partners(connection: &impl ConnectionTrait) -> Result<Vec<(Uuid, DateTime<Utc>)>> {
    let soonest = "SELECT timer.due_at FROM timer WHERE timer.partner_id = partner.id AND timer.clock = $1 \
                   ORDER BY timer.due_at, timer.id LIMIT 1";
    let text = format!(
        "SELECT waiting.partner_id, waiting.due_at FROM (SELECT partner.id AS partner_id, ({soonest}) AS \
            due_at FROM partner) AS waiting \
         WHERE waiting.due_at IS NOT NULL ORDER BY waiting.partner_id"
    );
    let statement =
        Statement::from_sql_and_values(connection.get_database_backend(), text, [Clock::Partner.into()]);
    let rows = connection.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok((row.try_get("", "partner_id")?, row.try_get("", "due_at")?))).collect()
}

/// Deletes a timer in this transaction; returns `false` if another transaction has already executed it.
pub async fn take(connection: &impl ConnectionTrait, timer: &timer::Model) -> Result<bool> {
    Ok(timer::Entity::delete_by_id(timer.id).exec(connection).await?.rows_affected == 1)
}

/// Postpones a failed timer: by one second after the first failure, doubling after each further one, at most
/// an hour.
pub async fn put_off(connection: &impl ConnectionTrait, timer: &timer::Model) -> Result<()> {
    let seconds = 1_i64 << timer.attempts.clamp(0, 11);
    timer::Entity::update_many()
        .col_expr(timer::Column::Attempts, Expr::value(timer.attempts.saturating_add(1)))
        .col_expr(
            timer::Column::RetryAt,
            Expr::value(clock::system_now() + Duration::seconds(seconds.min(3600))),
        )
        .filter(timer::Column::Id.eq(timer.id))
        .exec(connection)
        .await?;
    Ok(())
}

/// Returns at most `limit` timers due by the system clock that are not leased, in the order of due time.
pub async fn due_by_system(connection: &impl ConnectionTrait, limit: u64) -> Result<Vec<timer::Model>> {
    let now = clock::system_now();
    Ok(timer::Entity::find()
        .filter(timer::Column::Clock.eq(Clock::System))
        .filter(timer::Column::DueAt.lte(now))
        .filter(any![timer::Column::RetryAt.is_null(), timer::Column::RetryAt.lte(now)])
        .order_by_asc(timer::Column::DueAt)
        .order_by_asc(timer::Column::Id)
        .limit(limit)
        .all(connection)
        .await?)
}

/// Leases a timer for at most `span`, because its work cannot be done within a transaction: `None` if another
/// worker has leased it since it was read. The number of attempts distinguishes one lease from the next.
pub async fn lease(
    connection: &impl ConnectionTrait,
    timer: timer::Model,
    span: Duration,
) -> Result<Option<timer::Model>> {
    let leased = timer::Model {
        attempts: timer.attempts.saturating_add(1),
        retry_at: Some(clock::system_now() + span),
        ..timer
    };
    let won = update_lease(connection, timer.id, timer.attempts, leased.attempts, leased.retry_at).await?;
    Ok(won.then_some(leased))
}

/// Releases a leased timer, to be retried after `pause`, unless another worker has leased it meanwhile.
pub async fn release(
    connection: &impl ConnectionTrait,
    leased: &timer::Model,
    pause: Duration,
) -> Result<()> {
    update_lease(connection, leased.id, leased.attempts, leased.attempts, Some(clock::system_now() + pause))
        .await?;
    Ok(())
}

async fn update_lease(
    connection: &impl ConnectionTrait,
    id: Uuid,
    seen: i32,
    attempts: i32,
    retry_at: Option<DateTime<Utc>>,
) -> Result<bool> {
    let updated = timer::Entity::update_many()
        .col_expr(timer::Column::Attempts, Expr::value(attempts))
        .col_expr(timer::Column::RetryAt, Expr::value(retry_at))
        .filter(timer::Column::Id.eq(id))
        .filter(timer::Column::Attempts.eq(seen))
        .exec(connection)
        .await?;
    Ok(updated.rows_affected == 1)
}
