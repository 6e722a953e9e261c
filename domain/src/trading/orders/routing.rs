//! Sending accepted orders to their venue, and ending orders that expire.

use crate::{
    Result,
    kernel::{calendar, command::CommandContext, scheduler::Due},
    trading::{
        corporate_actions,
        executions::Working,
        instruments, matching,
        venue::{Paper, Submission, Venue},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use entity::{
    order::{self, Status, TimeInForce},
    partner::MarketHours,
    timer::TimerKind,
};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

/// Sends an accepted order to its venue, which fills it at once or lets it rest.
///
/// Rejects the order and releases its holds if it now costs more than the available cash. Tells the venue if an order
/// that rests there was replaced. Does nothing if the order has ended.
pub struct RouteOrder;

impl Due for RouteOrder {
    const KIND: TimerKind = TimerKind::OrderRoute;

    async fn run(ctx: &CommandContext<'_>, order_id: Uuid) -> Result<()> {
        let Some(mut working) = Working::lock(ctx, order_id).await? else { return Ok(()) };
        match working.order.status {
            Status::Accepted => {}
            status if status.is_open() => return matching::replaced(ctx, &working).await,
            _ => return Ok(()),
        }
        if working.missed_action {
            corporate_actions::catch_up(ctx, &mut working).await?;
            if !working.order.status.is_open() {
                return Ok(());
            }
        }
        working.sent(ctx).await?;
        let submission = Submission {
            order: &working.order,
            instrument: &working.instrument,
            open: working.open(),
            next_number: working.next_number(),
        };
        // An order whose account awaits a split rests until it is adjusted.
        let reports = if working.awaits_split { Vec::new() } else { Paper.submit(ctx, submission).await? };
        matching::apply_all(ctx, &mut working, reports).await?;
        if !working.order.status.is_open() {
            return Ok(());
        }
        let mut row: order::ActiveModel = working.order.clone().into();
        row.status = Set(working.order.status);
        ctx.tx.update(row).await?;
        if let Some(expires_at) = working.order.expires_at {
            ctx.schedule::<ExpireOrder>(order_id, expires_at).await;
        }
        matching::rest(ctx, &working).await
    }
}

/// Days after which an order without a closer end expires.
const GOOD_TILL_CANCELED: TimeDelta = TimeDelta::days(90);

/// Returns when an order ends that is placed now: at today's close, 13:00 on early closes; in a market that never
/// closes at 16:00 in New York on the next day on which the New York Stock Exchange trades; good-till-canceled
/// orders after 90 days.
pub(super) fn expires_at(hours: MarketHours, force: TimeInForce, now: DateTime<Utc>) -> DateTime<Utc> {
    match (force, hours) {
        (TimeInForce::Gtc, _) => now + GOOD_TILL_CANCELED,
        (_, MarketHours::Nyse) => calendar::next_close(now),
        (_, MarketHours::AlwaysOpen) => {
            let days = calendar::new_york_date(now).iter_days();
            let days = days.filter(|day| calendar::session(*day).is_some());
            days.map(|day| calendar::at_new_york(day, 16, 0))
                .find(|end| *end > now)
                .unwrap_or(DateTime::<Utc>::MAX_UTC)
        }
    }
}

/// Ends an order whose time is over and releases its holds; its fills stay. Bars that were over by then are
/// compared with it first. Does nothing if the order has ended.
pub struct ExpireOrder;

impl Due for ExpireOrder {
    const KIND: TimerKind = TimerKind::OrderExpire;

    async fn run(ctx: &CommandContext<'_>, order_id: Uuid) -> Result<()> {
        let Some(order) = ctx.tx.row::<order::Entity>(order_id).await? else { return Ok(()) };
        if !order.status.is_open() {
            return Ok(());
        }
        let instrument = instruments::of_order(ctx.app, &order).await?;
        if matching::run_bars(ctx, &instrument).await? {
            ctx.schedule::<Self>(order_id, ctx.now).await;
            return Ok(());
        }
        let Some(mut working) = Working::lock(ctx, order_id).await? else { return Ok(()) };
        if working.order.status.is_open() {
            working.end(ctx, Status::Expired, None).await?;
        }
        Ok(())
    }
}
