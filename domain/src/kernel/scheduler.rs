//! Executes due timers in the order of due time, each at its own due time.

use super::{
    actor::AccessScope,
    app::App,
    clock::{self, now_of},
    command::{CommandContext, pause},
    timers,
};
use crate::{Error, Result};
use chrono::{DateTime, Duration, Utc};
use entity::{
    partner::{self, Mode},
    timer::{self, TimerKind},
};
use futures_util::future::BoxFuture;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait};
use tokio::task::JoinSet;
use uuid::Uuid;

/// A change that is due later by the partner's clock.
pub trait Due: 'static {
    /// Kind of its timers.
    const KIND: TimerKind;

    /// Makes the change, within the transaction that deletes the timer. Does nothing if its subject has
    /// changed meanwhile.
    fn run(ctx: &CommandContext<'_>, subject_id: Uuid) -> impl Future<Output = Result<()>> + Send;
}

/// Work that is due by the system clock and cannot be done within a transaction.
pub trait DueBySystem: 'static {
    /// Kind of its timers.
    const KIND: TimerKind;

    /// Does the work for a leased timer, and ends or releases the timer.
    fn run(app: &App, leased: &timer::Model) -> impl Future<Output = Result<()>> + Send;
}

/// Handler of one kind of timer.
#[derive(Clone, Copy, Debug)]
pub struct DueHandler {
    kind: TimerKind,
    run: Run,
}

#[derive(Clone, Copy, Debug)]
enum Run {
    ByPartnerClock(for<'a> fn(&'a CommandContext<'a>, Uuid) -> BoxFuture<'a, Result<()>>),
    BySystemClock(for<'a> fn(&'a App, &'a timer::Model) -> BoxFuture<'a, Result<()>>),
}

impl DueHandler {
    /// Returns the handler of a change that is due by the partner's clock.
    pub const fn of<D: Due>() -> Self {
        Self { kind: D::KIND, run: Run::ByPartnerClock(|ctx, subject_id| Box::pin(D::run(ctx, subject_id))) }
    }

    /// Returns the handler of work that is due by the system clock.
    pub const fn of_system<D: DueBySystem>() -> Self {
        Self { kind: D::KIND, run: Run::BySystemClock(|app, leased| Box::pin(D::run(app, leased))) }
    }

    /// Returns the kind of timer that it handles.
    pub const fn kind(&self) -> TimerKind {
        self.kind
    }
}

/// Makes the change of a timer by the partner's clock.
async fn run_by_partner_clock(ctx: &CommandContext<'_>, timer: &timer::Model) -> Result<()> {
    match handler(ctx.app, timer.kind)? {
        Run::ByPartnerClock(run) => run(ctx, timer.subject_id).await,
        Run::BySystemClock(_) => Err(misplaced(timer.kind)),
    }
}

/// Does the work of a leased timer by the system clock.
async fn run_by_system_clock(app: &App, leased: &timer::Model) -> Result<()> {
    match handler(app, leased.kind)? {
        Run::BySystemClock(run) => run(app, leased).await,
        Run::ByPartnerClock(_) => Err(misplaced(leased.kind)),
    }
}

fn handler(app: &App, kind: TimerKind) -> Result<Run> {
    let handler = app.due_handlers.iter().find(|handler| handler.kind == kind);
    handler
        .map(|handler| handler.run)
        .ok_or_else(|| Error::broken(format!("a timer of kind {kind:?} has no handler")))
}

fn misplaced(kind: TimerKind) -> Error {
    Error::broken(format!("a timer of kind {kind:?} is due by the wrong clock"))
}

/// Maximum number of timers of one partner in a row before other partners get their turn.
const TIMERS_PER_TURN: usize = 10;

/// Executes due timers of every partner; returns whether more may be due now.
pub async fn run_due(app: &App) -> Result<bool> {
    let mut more = false;
    for (partner_id, soonest) in timers::waiting_partners(&app.db.read).await? {
        match run_if_due(app, partner_id, soonest).await {
            Ok(left) => more |= left,
            Err(error) if error.is_outage() => return Err(error),
            Err(error) => {
                tracing::error!(cause = %error.cause(), partner = %partner_id,
                    "a partner's due timers could not be executed");
            }
        }
    }
    Ok(more)
}

async fn run_if_due(app: &App, partner_id: Uuid, soonest: DateTime<Utc>) -> Result<bool> {
    let partner = clock::partner(&app.db.read, partner_id).await?;
    if soonest <= now_of(&partner) { run_due_for(app, partner_id).await } else { Ok(false) }
}

/// Executes due timers of one partner by its clock; returns whether more may be due now.
pub async fn run_due_for(app: &App, partner_id: Uuid) -> Result<bool> {
    app.vault.ready_for(&app.db, partner_id).await?;
    for _ in 0..TIMERS_PER_TURN {
        let now = now_of(&clock::partner(&app.db.read, partner_id).await?);
        let Some(timer) = timers::next_due(&app.db.read, partner_id, now, false).await? else {
            return Ok(false);
        };
        if let Err(error) = execute(app, &timer, None).await {
            // An outage is not the timer's fault; the timer stays due.
            if error.is_outage() {
                return Err(error);
            }
            tracing::error!(cause = %error.cause(), timer = %timer.id, kind = ?timer.kind,
                "a timer failed and is postponed");
            let tx = app.db.write().await?;
            timers::put_off(&tx, &timer).await?;
            tx.commit().await?;
        }
    }
    Ok(true)
}

/// Fails as busy while a failed timer is due that was postponed.
pub async fn require_nothing_due(app: &App, partner_id: Uuid) -> Result<()> {
    let now = now_of(&clock::partner(&app.db.read, partner_id).await?);
    let put_off =
        timers::next_due(&app.db.read, partner_id, now, true).await?.is_some_and(|timer| timer.attempts > 0);
    if put_off { Err(Error::Busy) } else { Ok(()) }
}

/// Maximum number of timers executed concurrently by the system clock.
const MAX_CONCURRENT: usize = 16;

/// How long a timer by the system clock may take before another worker retries it.
fn lease_span() -> Duration {
    Duration::seconds(90)
}

/// Starts due timers by the system clock, each in its own task, so that a slow one does not delay others;
/// returns whether more may be due now. The tasks run without a transaction and hold a lease on their timer.
pub async fn start_due_by_system(app: &App, running: &mut JoinSet<()>) -> Result<bool> {
    while running.try_join_next().is_some() {}
    let room = MAX_CONCURRENT.saturating_sub(running.len());
    if room == 0 {
        running.join_next().await;
        return Ok(true);
    }
    let due = timers::due_by_system(&app.db.read, room as u64).await?;
    let more = due.len() == room;
    for timer in due {
        let tx = app.db.write().await?;
        let leased = timers::lease(&tx, timer, lease_span()).await?;
        tx.commit().await?;
        if let Some(leased) = leased {
            let app = app.clone();
            running.spawn(async move {
                if let Err(error) = run_by_system_clock(&app, &leased).await {
                    tracing::error!(cause = %error.cause(), timer = %leased.id, kind = ?leased.kind,
                        "a timer failed and is retried");
                }
            });
        }
    }
    Ok(more)
}

/// Advances a sandbox partner's clock to `until`, executing every timer due by then at its own time.
///
/// On a failure, the clock stays at the time of the failed timer.
pub async fn advance(app: &App, partner_id: Uuid, until: DateTime<Utc>) -> Result<()> {
    while let Some(timer) = timers::next_due(&app.db.read, partner_id, until, true).await? {
        execute(app, &timer, Some(timer.due_at)).await?;
    }
    let tx = app.db.write().await?;
    let partner = clock::locked(&tx, partner_id).await?;
    move_clock(&tx, partner, until).await?;
    tx.commit().await
}

/// Moves a sandbox clock forward to `to`, frozen or running as before. Does nothing if it is already past
/// `to`.
pub async fn move_clock(
    connection: &impl ConnectionTrait,
    partner: partner::Model,
    to: DateTime<Utc>,
) -> Result<partner::Model> {
    if partner.mode != Mode::Sandbox || now_of(&partner) >= to {
        return Ok(partner);
    }
    let frozen = partner.clock_frozen_at.is_some();
    let mut row: partner::ActiveModel = partner.into();
    if frozen {
        row.clock_frozen_at = Set(Some(to));
    } else {
        row.clock_offset = Set(microseconds(to - clock::system_now())?);
    }
    Ok(row.update(connection).await?)
}

/// Returns a span in whole microseconds.
pub fn microseconds(span: Duration) -> Result<i64> {
    span.num_microseconds()
        .ok_or_else(|| Error::broken("a clock offset does not fit into 64 bits of microseconds"))
}

async fn execute(app: &App, timer: &timer::Model, clock_to: Option<DateTime<Utc>>) -> Result<()> {
    for attempt in 1.. {
        match execute_once(app, timer, clock_to).await {
            Err(error) if error.is_retryable() && attempt < 5 => pause(attempt).await,
            other => {
                app.sequencer.wake();
                return other;
            }
        }
    }
    Err(Error::Busy)
}

async fn execute_once(app: &App, timer: &timer::Model, clock_to: Option<DateTime<Utc>>) -> Result<()> {
    let tx = app.db.write().await?;
    let mut partner = clock::locked(&tx, timer.partner_id).await?;
    if !timers::take(&tx, timer).await? {
        return Ok(());
    }
    if let Some(to) = clock_to {
        partner = move_clock(&tx, partner, to).await?;
    }
    let ctx = CommandContext {
        app,
        tx: &tx,
        partner: &partner,
        access_scope: AccessScope::all_of(partner.id),
        actor_id: None,
        now: timer.due_at,
    };
    run_by_partner_clock(&ctx, timer).await?;
    tx.commit().await
}
