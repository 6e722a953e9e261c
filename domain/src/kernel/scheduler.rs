//! Carries out what is due, in the order of due time, each thing at its own due time.

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

/// What carries out a timer that is due. Features know how; the scheduler knows none of them.
#[derive(Clone, Copy, Debug)]
pub struct DueHandlers {
    /// By the partner's clock, within the transaction that takes the timer.
    pub by_partner_clock: for<'a> fn(&'a CommandContext<'a>, TimerKind, Uuid) -> BoxFuture<'a, Result<()>>,
    /// By the system's clock, with the timer held and no transaction.
    pub by_system_clock: for<'a> fn(&'a App, &'a timer::Model) -> BoxFuture<'a, Result<()>>,
}

/// How many things of one partner may be carried out in a row before the other partners get their turn.
const TIMERS_PER_TURN: usize = 10;

/// Carries out what is due for every partner; whether more may be due at once.
pub async fn carry_out_due(app: &App) -> Result<bool> {
    let mut more = false;
    for (partner_id, soonest) in timers::waiting_partners(&app.db.read).await? {
        match carry_out_if_due(app, partner_id, soonest).await {
            Ok(left) => more |= left,
            Err(error) if error.is_outage() => return Err(error),
            Err(error) => {
                tracing::error!(cause = %error.cause(), partner = %partner_id,
                    "what is due for a partner could not be carried out");
            }
        }
    }
    Ok(more)
}

async fn carry_out_if_due(app: &App, partner_id: Uuid, soonest: DateTime<Utc>) -> Result<bool> {
    let partner = clock::partner(&app.db.read, partner_id).await?;
    if soonest <= now_of(&partner) { carry_out_for(app, partner_id).await } else { Ok(false) }
}

/// Carries out what is due for one partner by its clock; whether more may be due at once.
pub async fn carry_out_for(app: &App, partner_id: Uuid) -> Result<bool> {
    app.vault.ready_for(&app.db, partner_id).await?;
    for _ in 0..TIMERS_PER_TURN {
        let now = now_of(&clock::partner(&app.db.read, partner_id).await?);
        let Some(timer) = timers::next_due(&app.db.read, partner_id, now, false).await? else {
            return Ok(false);
        };
        if let Err(error) = execute(app, &timer, None).await {
            // No fault of the timer's, which stays due.
            if error.is_outage() {
                return Err(error);
            }
            tracing::error!(cause = %error.cause(), timer = %timer.id, kind = ?timer.kind,
                "a timer failed and is put off");
            let tx = app.db.write().await?;
            timers::put_off(&tx, &timer).await?;
            tx.commit().await?;
        }
    }
    Ok(true)
}

/// Refuses as busy while something is due that failed and was put off.
pub async fn require_nothing_due(app: &App, partner_id: Uuid) -> Result<()> {
    let now = now_of(&clock::partner(&app.db.read, partner_id).await?);
    let put_off =
        timers::next_due(&app.db.read, partner_id, now, true).await?.is_some_and(|timer| timer.attempts > 0);
    if put_off { Err(Error::Busy) } else { Ok(()) }
}

/// The most things that are carried out at once by the system's clock.
const AT_ONCE: usize = 16;

/// How long a thing may take that is carried out by the system's clock, before another tries it.
fn longest() -> Duration {
    Duration::seconds(90)
}

/// Begins what is due by the system's clock, each thing in a task of its own, so that a slow one delays no
/// other; whether more may be due at once. Nothing here happens within a transaction: whoever begins a thing
/// holds its timer meanwhile.
pub async fn begin_due_by_system(app: &App, begun: &mut JoinSet<()>) -> Result<bool> {
    while begun.try_join_next().is_some() {}
    let room = AT_ONCE.saturating_sub(begun.len());
    if room == 0 {
        begun.join_next().await;
        return Ok(true);
    }
    let due = timers::due_by_system(&app.db.read, room as u64).await?;
    let more = due.len() == room;
    for timer in due {
        let tx = app.db.write().await?;
        let held = timers::hold(&tx, timer, longest()).await?;
        tx.commit().await?;
        if let Some(held) = held {
            let app = app.clone();
            begun.spawn(async move {
                if let Err(error) = (app.due_handlers.by_system_clock)(&app, &held).await {
                    tracing::error!(cause = %error.cause(), timer = %held.id, kind = ?held.kind,
                        "a timer failed and is tried again");
                }
            });
        }
    }
    Ok(more)
}

/// Moves a sandbox partner's clock to `until`, everything due by then happening at its own time on the way.
///
/// A failure leaves the clock where it happened.
pub async fn advance(app: &App, partner_id: Uuid, until: DateTime<Utc>) -> Result<()> {
    while let Some(timer) = timers::next_due(&app.db.read, partner_id, until, true).await? {
        execute(app, &timer, Some(timer.due_at)).await?;
    }
    let tx = app.db.write().await?;
    let partner = clock::locked(&tx, partner_id).await?;
    move_clock(&tx, partner, until).await?;
    tx.commit().await
}

/// Sets a sandbox clock to `to` unless it is past it already, frozen or running as it was.
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

/// A span in whole microseconds.
pub fn microseconds(span: Duration) -> Result<i64> {
    span.num_microseconds().ok_or_else(|| Error::broken("a clock is hundreds of thousands of years away"))
}

async fn execute(app: &App, timer: &timer::Model, clock_to: Option<DateTime<Utc>>) -> Result<()> {
    for attempt in 1.. {
        match carry_out_once(app, timer, clock_to).await {
            Err(error) if error.is_retryable() && attempt < 5 => pause(attempt).await,
            other => {
                app.sequencer.wake();
                return other;
            }
        }
    }
    Err(Error::Busy)
}

async fn carry_out_once(app: &App, timer: &timer::Model, clock_to: Option<DateTime<Utc>>) -> Result<()> {
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
    (app.due_handlers.by_partner_clock)(&ctx, timer.kind, timer.subject_id).await?;
    tx.commit().await
}
