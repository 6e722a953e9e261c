//! Executes due timers in the order of due time, each at its own due time.

mod turn;

use super::{
    app::App,
    clock::{self, now_of},
    command::CommandContext,
    db::WriteTransaction,
    timers,
};
use crate::{Error, Result};
use chrono::{DateTime, Duration, Utc};
use entity::{
    partner::{self, Mode},
    timer::{self, TimerKind},
};
use futures_util::future::BoxFuture;
use sea_orm::ActiveValue::Set;
use tokio::task::JoinSet;
use turn::{Failure, Turn};
use uuid::Uuid;

/// A change that is due later by the partner's clock.
pub trait Due: 'static {
    /// Kind of its timers.
    const KIND: TimerKind;

    /// Makes the change, within the transaction that deletes the timer. Does nothing if its subject has
    /// changed meanwhile.
    fn run(ctx: &CommandContext<'_>, subject_id: Uuid) -> impl Future<Output = Result<()>> + Send;

    /// Reads rows in advance that several of these changes read with `tx.row`.
    fn prefetch(_: &WriteTransaction, _: &[Uuid]) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
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
    prefetch: for<'a> fn(&'a WriteTransaction, &'a [Uuid]) -> BoxFuture<'a, Result<()>>,
}

#[derive(Clone, Copy, Debug)]
enum Run {
    ByPartnerClock(for<'a> fn(&'a CommandContext<'a>, Uuid) -> BoxFuture<'a, Result<()>>),
    BySystemClock(for<'a> fn(&'a App, &'a timer::Model) -> BoxFuture<'a, Result<()>>),
}

impl DueHandler {
    /// Returns the handler of a change that is due by the partner's clock.
    pub const fn of<D: Due>() -> Self {
        Self {
            kind: D::KIND,
            run: Run::ByPartnerClock(|ctx, subject_id| Box::pin(D::run(ctx, subject_id))),
            prefetch: |tx, subject_ids| Box::pin(D::prefetch(tx, subject_ids)),
        }
    }

    /// Returns the handler of work that is due by the system clock.
    pub const fn of_system<D: DueBySystem>() -> Self {
        Self {
            kind: D::KIND,
            run: Run::BySystemClock(|app, leased| Box::pin(D::run(app, leased))),
            prefetch: |_, _| Box::pin(async { Ok(()) }),
        }
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

/// Reads in advance what these timers need, one statement for each kind of timer.
async fn prefetch(app: &App, tx: &WriteTransaction, due: &[timer::Model]) -> Result<()> {
    for handler in app.due_handlers {
        let of_kind = due.iter().filter(|timer| timer.kind == handler.kind);
        let subject_ids: Vec<Uuid> = of_kind.map(|timer| timer.subject_id).collect();
        if subject_ids.len() > 1 {
            (handler.prefetch)(tx, &subject_ids).await?;
        }
    }
    Ok(())
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

/// How often all partners are looked at while some are known to have due timers.
const POLL_INTERVAL: std::time::Duration = std::time::Duration::from_millis(200);

/// Executes due timers: of the partners that are known to have some, and otherwise of every partner; returns
/// whether more may be due now.
pub async fn run_due(app: &App) -> Result<bool> {
    let mut more = false;
    let known = app.timers.take_due();
    for partner_id in &known {
        more |= run_turn(app, *partner_id).await?;
    }
    if !known.is_empty() && app.timers.polled_within(POLL_INTERVAL) {
        return Ok(more);
    }
    app.timers.polled();
    for (partner, soonest) in timers::waiting_partners(&app.db.read).await? {
        if soonest <= now_of(&partner) {
            more |= run_turn(app, partner.id).await?;
        }
    }
    Ok(more)
}

/// Executes due timers of one partner; fails only if the database does.
async fn run_turn(app: &App, partner_id: Uuid) -> Result<bool> {
    match run_due_for(app, partner_id).await {
        Ok(more) => {
            if more {
                app.timers.wake_for(partner_id);
            }
            Ok(more)
        }
        Err(error) if error.is_outage() => Err(error),
        Err(error) => {
            tracing::error!(cause = %error.cause(), partner = %partner_id,
                "a partner's due timers could not be executed");
            Ok(false)
        }
    }
}

/// Executes due timers of one partner by its clock; returns whether more may be due now.
pub async fn run_due_for(app: &App, partner_id: Uuid) -> Result<bool> {
    app.vault.ready_for(&app.db, partner_id).await?;
    let mut turn = Turn::new(app, partner_id, None);
    while turn.executed < TIMERS_PER_TURN {
        match turn.next(TIMERS_PER_TURN - turn.executed).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(Failure { timer: Some(timer), cause }) if !cause.is_outage() => {
                tracing::error!(cause = %cause.cause(), timer = %timer.id, kind = ?timer.kind,
                    "a timer failed and is postponed");
                let tx = app.db.write().await?;
                timers::put_off(&tx, &timer).await?;
                tx.commit().await?;
                turn.executed += 1;
            }
            // An outage is not the timer's fault; the timer stays due.
            Err(failure) => return Err(failure.cause),
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
/// On a failure, the clock stays at the time of the last timer before the failed one.
pub async fn advance(app: &App, partner_id: Uuid, until: DateTime<Utc>) -> Result<()> {
    let mut turn = Turn::new(app, partner_id, Some(until));
    while turn.next(turn::MAX_TIMERS).await.map_err(|failure| failure.cause)? {}
    let tx = app.db.write().await?;
    let partner = clock::locked(&tx, partner_id).await?;
    move_clock(&tx, partner, until).await?;
    tx.commit().await
}

/// Moves a locked sandbox partner's clock forward to `to`, frozen or running as before. Does nothing if it is
/// already past `to`.
async fn move_clock(tx: &WriteTransaction, partner: partner::Model, to: DateTime<Utc>) -> Result<()> {
    let moved = moved(partner.clone(), to)?;
    if moved != partner {
        let mut row = partner::ActiveModel::from(partner);
        row.clock_frozen_at = Set(moved.clock_frozen_at);
        row.clock_offset = Set(moved.clock_offset);
        tx.update(row).await?;
    }
    Ok(())
}

/// Returns the partner with its sandbox clock moved forward to `to`.
fn moved(mut partner: partner::Model, to: DateTime<Utc>) -> Result<partner::Model> {
    if partner.mode == Mode::Sandbox && now_of(&partner) < to {
        if partner.clock_frozen_at.is_some() {
            partner.clock_frozen_at = Some(to);
        } else {
            partner.clock_offset = microseconds(to - clock::system_now())?;
        }
    }
    Ok(partner)
}

/// Returns a span in whole microseconds.
pub fn microseconds(span: Duration) -> Result<i64> {
    span.num_microseconds()
        .ok_or_else(|| Error::broken("a clock offset does not fit into 64 bits of microseconds"))
}
