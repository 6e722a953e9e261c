//! What happens later is a row here, written with its cause and deleted by the transaction that carries it
//! out.

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

/// Tells the workers that something may be due.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    partners: Notify,
    system: Notify,
}

impl Wake {
    /// Something may be due.
    pub fn wake(&self) {
        self.0.partners.notify_one();
        self.0.system.notify_one();
    }

    /// Returns when something may be due by this clock, after `at_most` at the latest.
    pub async fn wait(&self, clock: Clock, at_most: std::time::Duration) {
        let waiting = match clock {
            Clock::Partner => &self.0.partners,
            Clock::System => &self.0.system,
        };
        _ = tokio::time::timeout(at_most, waiting.notified()).await;
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

/// By how much what hurries goes ahead.
const AHEAD: Duration = Duration::days(1);

/// Has `kind` carried out for `subject_id` as soon as this transaction is committed, by the system's clock: a
/// sandbox's clock neither hastens nor delays it. What hurries goes ahead of what was scheduled within the
/// last day.
pub async fn schedule_system(
    connection: &impl ConnectionTrait,
    ids: Ids,
    partner_id: Uuid,
    kind: TimerKind,
    subject_id: Uuid,
    hurries: bool,
) -> Result<()> {
    let due_at = if hurries { clock::system_now() - AHEAD } else { clock::system_now() };
    insert(connection, ids, partner_id, Clock::System, kind, subject_id, due_at).await
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
/// The worker takes the timer first and its subject next: so must whoever forgets, or the two wait for each
/// other.
pub async fn forget(
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

/// The partner's next timer due by `until`, in the order of due time, then id. Without `force`, one that
/// failed a moment ago is not due before its retry.
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

/// The partners that wait for something, and until when the soonest of it waits. One look into the index per
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

/// Takes a timer for this transaction: `false` when another has carried it out.
pub async fn take(connection: &impl ConnectionTrait, timer: &timer::Model) -> Result<bool> {
    Ok(timer::Entity::delete_by_id(timer.id).exec(connection).await?.rows_affected == 1)
}

/// Puts a failed timer off: a second after the first failure, twice as long after each next, an hour at most.
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

/// Timers due by the system's clock that nobody holds, the longest due first, at most `limit`.
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

/// Takes hold of a timer whose work cannot be done within a transaction, for as long as `span` at the most:
/// `None` when another has taken it since it was read. The number of tries tells whoever holds it from
/// whoever held it before.
pub async fn hold(
    connection: &impl ConnectionTrait,
    timer: timer::Model,
    span: Duration,
) -> Result<Option<timer::Model>> {
    let held = timer::Model {
        attempts: timer.attempts.saturating_add(1),
        retry_at: Some(clock::system_now() + span),
        ..timer
    };
    let taken = put(connection, timer.id, timer.attempts, held.attempts, held.retry_at).await?;
    Ok(taken.then_some(held))
}

/// Lets go of a timer that is held, to be tried again after a pause, unless another has taken hold of it
/// meanwhile.
pub async fn let_go(connection: &impl ConnectionTrait, held: &timer::Model, pause: Duration) -> Result<()> {
    put(connection, held.id, held.attempts, held.attempts, Some(clock::system_now() + pause)).await?;
    Ok(())
}

async fn put(
    connection: &impl ConnectionTrait,
    id: Uuid,
    seen: i32,
    attempts: i32,
    retry_at: Option<DateTime<Utc>>,
) -> Result<bool> {
    let put = timer::Entity::update_many()
        .col_expr(timer::Column::Attempts, Expr::value(attempts))
        .col_expr(timer::Column::RetryAt, Expr::value(retry_at))
        .filter(timer::Column::Id.eq(id))
        .filter(timer::Column::Attempts.eq(seen))
        .exec(connection)
        .await?;
    Ok(put.rows_affected == 1)
}
