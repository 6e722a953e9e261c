//! Timers: a scheduled action is a row, written with its cause and deleted by the transaction that executes
//! it.

use super::{clock, db::WriteTransaction, ids::Ids};
use crate::Result;
use chrono::{DateTime, Duration, Utc};
use entity::{
    Kind, partner,
    timer::{self, Clock, TimerKind},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select,
    Statement,
    sea_query::{Expr, LockType, any},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio::sync::Notify;
use uuid::Uuid;

/// Wakes the workers when a timer may be due.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    partners: Notify,
    system: Notify,
    /// Partners with a timer that is due.
    due: Mutex<BTreeSet<Uuid>>,
    /// When all partners were last looked at.
    polled_at: Mutex<Option<Instant>>,
}

impl Wake {
    /// Signals that a timer may be due.
    pub fn wake(&self) {
        self.0.partners.notify_one();
        self.0.system.notify_one();
    }

    /// Signals that a timer of this partner is due.
    pub fn wake_for(&self, partner_id: Uuid) {
        self.0.due.lock().unwrap_or_else(PoisonError::into_inner).insert(partner_id);
        self.0.partners.notify_one();
    }

    /// Returns the workers to wake once this transaction of a partner is committed.
    pub(super) fn after(tx: &WriteTransaction, partner: &partner::Model) -> WakeAfterCommit {
        let Scheduled { first_due_at, by_system, .. } = *tx.scheduled();
        let is_due = first_due_at.is_some_and(|due_at| due_at <= clock::now_of(partner));
        WakeAfterCommit { partner_id: is_due.then_some(partner.id), by_system }
    }

    /// Wakes the workers for what a committed transaction has scheduled.
    pub(super) fn wake_after_commit(&self, wake: WakeAfterCommit) {
        if let Some(partner_id) = wake.partner_id {
            self.wake_for(partner_id);
        }
        if wake.by_system {
            self.0.system.notify_one();
        }
    }

    /// Waits until a timer may be due by this clock, for at most `at_most`.
    pub async fn wait(&self, clock: Clock, at_most: std::time::Duration) {
        let waiting = match clock {
            Clock::Partner => &self.0.partners,
            Clock::System => &self.0.system,
        };
        _ = tokio::time::timeout(at_most, waiting.notified()).await;
    }

    /// Takes the partners with a timer that is due.
    pub(super) fn take_due(&self) -> BTreeSet<Uuid> {
        std::mem::take(&mut *self.0.due.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether all partners were looked at within this time.
    pub(super) fn polled_within(&self, span: std::time::Duration) -> bool {
        let polled_at = *self.0.polled_at.lock().unwrap_or_else(PoisonError::into_inner);
        polled_at.is_some_and(|at| at.elapsed() < span)
    }

    /// Records that all partners are looked at now.
    pub(super) fn polled(&self) {
        *self.0.polled_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// The workers to wake once a transaction is committed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WakeAfterCommit {
    partner_id: Option<Uuid>,
    by_system: bool,
}

/// What a transaction has scheduled and canceled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scheduled {
    /// When the first timer is due that it has scheduled by the partner's clock.
    pub(super) first_due_at: Option<DateTime<Utc>>,
    /// Whether it may have canceled timers.
    pub(super) has_canceled: bool,
    /// Whether it has scheduled something by the system clock.
    pub(super) by_system: bool,
}

/// Schedules `kind` for `subject_id` at `due_at` by the partner's clock.
pub(super) async fn schedule(
    tx: &WriteTransaction,
    ids: Ids,
    partner_id: Uuid,
    kind: TimerKind,
    subject_id: Uuid,
    due_at: DateTime<Utc>,
) {
    insert(tx, ids, partner_id, Clock::Partner, kind, subject_id, due_at).await;
}

/// How far an urgent timer is dated back.
const URGENT_LEAD: Duration = Duration::days(1);

/// Schedules `kind` for `subject_id` right after the commit, by the system clock: a sandbox's clock has no
/// effect on it. An urgent timer runs before everything that was scheduled within the last day.
pub async fn schedule_system(
    tx: &WriteTransaction,
    ids: Ids,
    partner_id: Uuid,
    kind: TimerKind,
    subject_id: Uuid,
    urgent: bool,
) {
    let due_at = if urgent { clock::system_now() - URGENT_LEAD } else { clock::system_now() };
    insert(tx, ids, partner_id, Clock::System, kind, subject_id, due_at).await;
}

async fn insert(
    tx: &WriteTransaction,
    ids: Ids,
    partner_id: Uuid,
    clock: Clock,
    kind: TimerKind,
    subject_id: Uuid,
    due_at: DateTime<Utc>,
) {
    {
        let mut scheduled = tx.scheduled();
        match clock {
            Clock::Partner => {
                let first = scheduled.first_due_at.map_or(due_at, |first| Ord::min(first, due_at));
                scheduled.first_due_at = Some(first);
            }
            Clock::System => scheduled.by_system = true,
        }
    }
    tx.insert(&timer::Model {
        id: ids.next(Kind::Timer),
        partner_id,
        clock,
        kind,
        subject_id,
        due_at,
        attempts: 0,
        retry_at: None,
    })
    .await;
}

/// Cancels the timers of this kind for a subject.
pub(super) async fn cancel(
    tx: &WriteTransaction,
    partner_id: Uuid,
    subject_id: Uuid,
    kind: TimerKind,
) -> Result<()> {
    tx.scheduled().has_canceled = true;
    timer::Entity::delete_many()
        .filter(timer::Column::SubjectId.eq(subject_id))
        .filter(timer::Column::PartnerId.eq(partner_id))
        .filter(timer::Column::Kind.eq(kind))
        .exec(tx)
        .await?;
    Ok(())
}

/// Locks the timers by the partner's clock for these subjects.
pub(super) async fn lock(tx: &WriteTransaction, partner_id: Uuid, subject_ids: &[Uuid]) -> Result<()> {
    let timers = timer::Entity::find()
        .select_only()
        .column(timer::Column::Id)
        .filter(timer::Column::SubjectId.is_in(subject_ids.iter().copied()))
        .filter(timer::Column::PartnerId.eq(partner_id))
        .filter(timer::Column::Clock.eq(Clock::Partner))
        .order_by_asc(timer::Column::Id)
        .lock(LockType::Update);
    timers.into_tuple::<Uuid>().all(tx).await?;
    Ok(())
}

/// Cancels all timers by the partner's clock for a subject.
pub(super) async fn cancel_all(tx: &WriteTransaction, partner_id: Uuid, subject_id: Uuid) -> Result<()> {
    tx.scheduled().has_canceled = true;
    timer::Entity::delete_many()
        .filter(timer::Column::SubjectId.eq(subject_id))
        .filter(timer::Column::PartnerId.eq(partner_id))
        .filter(timer::Column::Clock.eq(Clock::Partner))
        .exec(tx)
        .await?;
    Ok(())
}

fn select_due(partner_id: Uuid, until: DateTime<Utc>, force: bool) -> Select<timer::Entity> {
    let mut due = timer::Entity::find()
        .filter(timer::Column::PartnerId.eq(partner_id))
        .filter(timer::Column::Clock.eq(Clock::Partner))
        .filter(timer::Column::DueAt.lte(until));
    if !force {
        due = due
            .filter(any![timer::Column::RetryAt.is_null(), timer::Column::RetryAt.lte(clock::system_now())]);
    }
    due.order_by_asc(timer::Column::DueAt).order_by_asc(timer::Column::Id)
}

/// Returns the partner's next timer due by `until`, in the order of due time, then id. Without `force`, a
/// timer that failed is skipped until its retry time.
pub async fn next_due(
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    until: DateTime<Utc>,
    force: bool,
) -> Result<Option<timer::Model>> {
    Ok(select_due(partner_id, until, force).limit(1).one(connection).await?)
}

/// Locks and returns at most `limit` of the partner's timers due by `until`, in the same order. The partner's
/// row must be locked. A timer that is canceled meanwhile is left out.
pub async fn lock_due(
    tx: &WriteTransaction,
    partner_id: Uuid,
    until: DateTime<Utc>,
    force: bool,
    limit: usize,
) -> Result<Vec<timer::Model>> {
    let due = select_due(partner_id, until, force).limit(limit as u64);
    Ok(due.lock(LockType::Update).all(tx).await?)
}

/// Returns the partners that have timers, each with the due time of its next one. Needs one index lookup per
/// partner, however many timers it has.
pub async fn waiting_partners(
    connection: &impl ConnectionTrait,
) -> Result<Vec<(partner::Model, DateTime<Utc>)>> {
    let soonest = "SELECT timer.due_at FROM timer WHERE timer.partner_id = partner.id AND timer.clock = $1 \
                   ORDER BY timer.due_at, timer.id LIMIT 1";
    let text = format!(
        "SELECT waiting.partner_id, waiting.due_at, partner.* FROM (SELECT partner.id AS partner_id, \
            ({soonest}) AS due_at FROM partner) AS waiting JOIN partner ON partner.id = waiting.partner_id \
         WHERE waiting.due_at IS NOT NULL ORDER BY waiting.partner_id"
    );
    let statement =
        Statement::from_sql_and_values(connection.get_database_backend(), text, [Clock::Partner.into()]);
    let rows = connection.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| Ok((partner::Model::from_query_result(row, "")?, row.try_get("", "due_at")?)))
        .collect()
}

/// Deletes a timer in this transaction; returns `false` if another transaction has already deleted it.
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
