//! An order that is being changed: what is open of it, what it holds, and the booking of its fills.

mod adjusting;
mod locking;

use self::locking::{Locked, with_holds};
use super::{Applied, Execution, ReportKind};
use crate::{
    Error, Result,
    kernel::{
        calendar,
        command::CommandContext,
        events::{Event, EventBuilder, OrderState},
        ledger::{self, Entry, OpenHold, USD},
    },
    trading::{
        fees::{self, Fees},
        fill_rules::Open,
        instruments,
        lots::{self, Purchase},
        orders::{
            fills::{SettleTrade, release_proceeds},
            raising,
            state::{Filled, Release, can_become},
        },
    },
};
use entity::{
    Kind, Money, Price, Quantity, fill, instrument,
    ledger_account::{self, LedgerKind},
    ledger_release::Reason,
    order::{self, RejectCode, Side, Status},
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::sync::Arc;
use uuid::Uuid;

/// An order that is locked until the transaction ends, with its open holds and what has been filled of it.
pub(in crate::trading) struct Working {
    pub(in crate::trading) order: order::Model,
    pub(in crate::trading) instrument: Arc<instrument::Model>,
    /// The instrument as it is shown to the partner.
    shown: Arc<instrument::Model>,
    /// Open holds, oldest first.
    holds: Vec<OpenHold>,
    filled: Filled,
    executions: Vec<String>,
    /// Whether shares of the instrument were recently sold at a loss.
    follows_losses: bool,
    /// Whether the account's shares of the instrument are to be split first: until then, nothing is filled.
    pub(in crate::trading) awaits_split: bool,
    /// Whether the order was still being placed when a dividend or a split was recorded.
    pub(in crate::trading) missed_action: bool,
}

impl Working {
    /// Locks an order; `None` if it does not exist.
    pub(in crate::trading) async fn lock(ctx: &CommandContext<'_>, order_id: Uuid) -> Result<Option<Self>> {
        let Some(locked) = with_holds(ctx, order_id).await? else { return Ok(None) };
        let Locked { order, holds, follows_losses, awaits_split, missed_action } = locked;
        let instrument = instruments::of_order(ctx.app, &order).await?;
        let shown = instruments::shown(ctx.app, Some(order.partner_id), &instrument).await?;
        let mut filled = Filled::default();
        let mut executions = Vec::new();
        if order.fill_count > 0 {
            let fills = fill::Entity::find()
                .filter(fill::Column::OrderId.eq(order.id))
                .order_by_asc(fill::Column::Number)
                .select_only()
                .columns([fill::Column::ExecutionId, fill::Column::Quantity, fill::Column::Price])
                .into_tuple::<(Option<String>, Quantity, Price)>()
                .all(ctx.tx)
                .await?;
            for (id, quantity, price) in fills {
                (filled, _) = filled.and(quantity, price).ok_or_else(too_large)?;
                executions.extend(id);
            }
        }
        Ok(Some(Self {
            order,
            instrument,
            shown,
            holds,
            filled,
            executions,
            follows_losses,
            awaits_split,
            missed_action,
        }))
    }

    /// Returns what is open of the order.
    pub(in crate::trading) fn open(&self) -> Open {
        let shares = self.order.quantity.minus(self.order.filled_quantity).unwrap_or_default();
        match self.order.notional {
            None => Open::Shares(shares),
            Some(notional) => {
                let left = notional.minus(self.filled.amount).unwrap_or_default();
                Open::Amount(left, (self.order.side == Side::Sell).then(|| Quantity::from_units(self.held())))
            }
        }
    }

    /// Returns the next number of a fill.
    pub(in crate::trading) const fn next_number(&self) -> i32 {
        self.order.fill_count + 1
    }

    /// Returns what the order holds: cents, or hundred-millionths of a share.
    pub(in crate::trading) fn held(&self) -> i64 {
        self.holds.iter().map(|hold| hold.left).sum()
    }

    /// Returns the state of the order for an event.
    pub(in crate::trading) fn state(&self) -> OrderState {
        OrderState::of(&self.order, &self.shown)
    }

    /// Applies a report, as `apply` does.
    pub(in crate::trading) async fn apply(
        &mut self,
        ctx: &CommandContext<'_>,
        report: ReportKind,
    ) -> Result<Applied> {
        if let ReportKind::Fill(execution) = &report
            && self.executions.contains(&execution.id)
        {
            return Ok(Applied::Duplicate);
        }
        if !self.order.status.is_open() {
            return Ok(Applied::Ended);
        }
        match report {
            ReportKind::Fill(execution) => self.fill(ctx, execution).await,
            ReportKind::Triggered => {
                self.order.triggered_at = Some(ctx.now);
                let mut row: order::ActiveModel = self.order.clone().into();
                row.triggered_at = Set(Some(ctx.now));
                ctx.tx.update(row).await?;
                Ok(Applied::Yes)
            }
            ReportKind::Canceled => {
                self.end(ctx, Status::Canceled, None).await?;
                Ok(Applied::Yes)
            }
        }
    }

    /// Notes in memory that the order has been sent, and records the event. The row is written with the next
    /// change.
    pub(in crate::trading) async fn sent(&mut self, ctx: &CommandContext<'_>) -> Result<()> {
        self.change_status(Status::New)?;
        ctx.record(Event::OrderNew(self.state())).await
    }

    fn change_status(&mut self, to: Status) -> Result<()> {
        if !can_become(Some(self.order.status), to) {
            return Err(Error::broken("an order must not change to this status"));
        }
        self.order.status = to;
        Ok(())
    }

    async fn fill(&mut self, ctx: &CommandContext<'_>, execution: Execution) -> Result<Applied> {
        if self.awaits_split {
            return Err(Error::broken("shares are traded that are to be split first"));
        }
        let Execution { quantity, price, .. } = execution;
        let open = self.open().at(price);
        if !quantity.is_positive() || quantity > open {
            return Err(Error::broken("a venue reports more shares than are open"));
        }
        let (filled, amount) = self.filled.and(quantity, price).ok_or_else(too_large)?;
        let is_whole = quantity == open;
        if is_whole && !filled.amount.is_positive() {
            return Ok(Applied::Unpayable(match self.order.side {
                Side::Buy => RejectCode::InsufficientBuyingPower,
                Side::Sell => RejectCode::Invalid,
            }));
        }
        let release = Release { held: self.held(), open, quantity };
        let released = match (self.order.side, self.order.notional) {
            (Side::Sell, _) if is_whole => self.held(),
            (Side::Sell, _) => release.shares(),
            (Side::Buy, Some(notional)) if !is_whole => {
                let left = notional.minus(filled.amount).unwrap_or_default();
                (self.held() - left.units()).max(0)
            }
            (Side::Buy, _) => release.cash(&filled, amount, self.order.limit_price),
        };
        let fees = fees::of(&ctx.settings()?, self.order.side, quantity, amount).ok_or_else(too_large)?;
        let mut event = ctx.event();
        let mut set_aside = Money::ZERO;
        let purchase = match self.order.side {
            Side::Buy => match self.buy(ctx, &mut event, quantity, amount, released).await? {
                None => return Ok(Applied::Unpayable(RejectCode::InsufficientBuyingPower)),
                purchase => purchase,
            },
            Side::Sell => {
                set_aside = self.sell(ctx, &mut event, quantity, amount, fees.total(), released).await?;
                None
            }
        };
        self.filled = filled;
        let fill = self.fill_row(ctx, &execution, amount, fees, set_aside)?;
        write(ctx, &fill).await?;
        self.executions.push(execution.id);
        self.count(ctx, quantity, open, event, price).await?;
        match purchase {
            Some(purchase) => lots::bought(ctx, &self.order, &fill, purchase).await?,
            None => lots::sold(ctx, &self.order, &fill).await?,
        }
        Ok(Applied::Yes)
    }

    fn fill_row(
        &self,
        ctx: &CommandContext<'_>,
        execution: &Execution,
        amount: Money,
        fees: Fees,
        set_aside: Money,
    ) -> Result<fill::Model> {
        Ok(fill::Model {
            id: ctx.app.ids.next(Kind::Fill),
            partner_id: self.order.partner_id,
            account_id: self.order.account_id,
            order_id: self.order.id,
            number: self.next_number(),
            side: self.order.side,
            quantity: execution.quantity,
            price: execution.price,
            amount,
            execution_id: Some(execution.id.clone()),
            explanation: Some(execution.explanation.text()?),
            traded_at: ctx.now,
            settles_at: calendar::trade_settles_at(ctx.now),
            settled_at: None,
            sec_fee: fees.sec,
            trading_activity_fee: fees.trading_activity,
            set_aside,
        })
    }

    /// Updates the order after a fill and records the event.
    async fn count(
        &mut self,
        ctx: &CommandContext<'_>,
        quantity: Quantity,
        open: Quantity,
        event: EventBuilder,
        price: Price,
    ) -> Result<()> {
        let before = self.order.clone();
        let total = self.filled.quantity;
        let is_whole = quantity == open;
        self.change_status(if is_whole { Status::Filled } else { Status::PartiallyFilled })?;
        if self.order.notional.is_some() {
            let ordered = before.filled_quantity.plus(open).ok_or_else(too_large)?;
            self.order.quantity = ordered;
        }
        self.order.filled_quantity = total;
        self.order.filled_average_price = self.filled.average_price();
        self.order.fill_count = self.next_number();
        self.order.filled_at = is_whole.then_some(ctx.now);
        let mut row: order::ActiveModel = before.into();
        row.status = Set(self.order.status);
        row.quantity = Set(self.order.quantity);
        row.filled_quantity = Set(total);
        row.filled_average_price = Set(self.order.filled_average_price);
        row.fill_count = Set(self.order.fill_count);
        row.filled_at = Set(self.order.filled_at);
        ctx.tx.update(row).await?;
        if is_whole {
            raising::ended(ctx, &self.order).await;
        }
        let order = self.state();
        let recorded = if is_whole {
            Event::OrderFilled { order, price: Some(price) }
        } else {
            Event::OrderPartiallyFilled { order, price }
        };
        event.record(ctx.tx, recorded).await
    }

    /// Releases units of the holds, oldest first; returns what was released on each account.
    fn release(&mut self, entry: &mut Entry, units: i64, reason: Reason) -> Vec<(Uuid, i64)> {
        let mut left = units;
        let mut released = Vec::new();
        for hold in &mut self.holds {
            let part = Ord::min(hold.left, left);
            if part > 0 {
                entry.release_part(hold, part, reason);
                released.push((hold.account_id, part));
                hold.left -= part;
                left -= part;
            }
        }
        self.holds.retain(|hold| hold.left > 0);
        released
    }

    /// Books a purchase; returns `None` if the account cannot pay for it, and then has changed nothing.
    async fn buy(
        &mut self,
        ctx: &CommandContext<'_>,
        event: &mut EventBuilder,
        quantity: Quantity,
        amount: Money,
        released: i64,
    ) -> Result<Option<Purchase>> {
        let symbol = self.instrument.symbol.clone();
        let account_id = self.order.account_id;
        let [cash, unsettled, units, payable, custody] = ctx
            .lock_ledger_accounts([
                (account_id, LedgerKind::Cash, USD),
                (account_id, LedgerKind::Unsettled, USD),
                (account_id, LedgerKind::Units, &symbol),
                ctx.house_account(LedgerKind::ClearingPayable, USD),
                ctx.house_account(LedgerKind::Custody, &symbol),
            ])
            .await?;
        if cash.available() + unsettled.available() + self.held() < amount.units() {
            return Ok(None);
        }
        let mut entry = Entry::default();
        let released = self.release(&mut entry, released, Reason::Posted);
        let of = |account: &ledger_account::Model| {
            released.iter().filter(|(id, _)| *id == account.id).map(|(_, units)| units).sum::<i64>()
        };
        let from_cash = Ord::min(amount.units(), cash.available() + of(&cash));
        entry.post(&cash, &payable, from_cash).post(&unsettled, &payable, amount.units() - from_cash).post(
            &custody,
            &units,
            quantity.units(),
        );
        let frees_proceeds = of(&unsettled) > 0;
        entry.write_later(ctx.tx, ctx.app.ids, event).await?;
        if frees_proceeds {
            release_proceeds(ctx, event, account_id).await?;
        }
        Ok(Some(Purchase {
            is_unsettled: from_cash < amount.units(),
            follows_losses: self.follows_losses,
            held_before: Quantity::from_units(units.balance()),
        }))
    }

    /// Books a sale; returns what of its proceeds a withdrawal has set aside.
    async fn sell(
        &mut self,
        ctx: &CommandContext<'_>,
        event: &mut EventBuilder,
        quantity: Quantity,
        amount: Money,
        fees: Money,
        released: i64,
    ) -> Result<Money> {
        let symbol = self.instrument.symbol.clone();
        let account_id = self.order.account_id;
        let mut entry = Entry::default();
        self.release(&mut entry, released, Reason::Posted);
        let [units, unsettled, custody, receivable] = ctx
            .ledger_accounts([
                (account_id, LedgerKind::Units, &symbol),
                (account_id, LedgerKind::Unsettled, USD),
                ctx.house_account(LedgerKind::Custody, &symbol),
                ctx.house_account(LedgerKind::ClearingReceivable, USD),
            ])
            .await?;
        let net = amount.units() - fees.units();
        entry.post(&units, &custody, quantity.units()).post(&receivable, &unsettled, net);
        if fees.is_positive() {
            let [owed] = ctx.ledger_accounts([ctx.house_account(LedgerKind::RegulatoryFees, USD)]).await?;
            entry.post(&receivable, &owed, fees.units());
        }
        let set_aside = match self.order.withdrawal_id {
            Some(id) => raising::set_aside(ctx, &mut entry, id, &unsettled, Money::from_units(net)).await?,
            None => Money::ZERO,
        };
        entry.write_later(ctx.tx, ctx.app.ids, event).await?;
        Ok(set_aside)
    }

    /// Ends the order because it cannot be paid for: rejects it, or cancels the rest if a part is filled.
    pub(in crate::trading) async fn refuse(
        &mut self,
        ctx: &CommandContext<'_>,
        why: RejectCode,
    ) -> Result<()> {
        let to = if self.order.filled_quantity.is_positive() { Status::Canceled } else { Status::Rejected };
        self.end(ctx, to, Some(why)).await
    }

    /// Ends the order with its fills kept: releases its holds and records the event.
    pub(in crate::trading) async fn end(
        &mut self,
        ctx: &CommandContext<'_>,
        to: Status,
        why: Option<RejectCode>,
    ) -> Result<()> {
        let mut event = ctx.event();
        let mut entry = Entry::default();
        self.release(&mut entry, i64::MAX, Reason::Voided);
        entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
        if self.order.side == Side::Buy {
            release_proceeds(ctx, &mut event, self.order.account_id).await?;
        }
        let mut row: order::ActiveModel = self.order.clone().into();
        self.change_status(to)?;
        self.order.reject_code = why;
        row.status = Set(to);
        row.reject_code = Set(why);
        let at = Some(ctx.now);
        let recorded: fn(OrderState) -> Event = match to {
            Status::Expired => {
                self.order.expired_at = at;
                row.expired_at = Set(at);
                Event::OrderExpired
            }
            Status::Rejected => {
                self.order.failed_at = at;
                row.failed_at = Set(at);
                Event::OrderRejected
            }
            _ => {
                self.order.canceled_at = at;
                row.canceled_at = Set(at);
                Event::OrderCanceled
            }
        };
        ctx.tx.update(row).await?;
        raising::ended(ctx, &self.order).await;
        event.record(ctx.tx, recorded(self.state())).await
    }

    /// Changes what the order holds to this amount; `None` if the account's cash or shares do not suffice. What it
    /// holds more comes from settled cash alone if `only_settled` says so.
    pub(in crate::trading) async fn hold(
        &mut self,
        ctx: &CommandContext<'_>,
        needed: i64,
        only_settled: bool,
    ) -> Result<Option<EventBuilder>> {
        let mut event = ctx.event();
        let more = needed - self.held();
        let mut entry = Entry::default();
        if more <= 0 {
            self.release(&mut entry, -more, Reason::Voided);
            entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
            if self.order.side == Side::Buy {
                release_proceeds(ctx, &mut event, self.order.account_id).await?;
            }
            return Ok(Some(event));
        }
        match self.order.side {
            Side::Buy => {
                let kinds = [LedgerKind::Cash, LedgerKind::Unsettled];
                let [cash, unsettled] = ledger::lock(ctx.tx, self.order.account_id, kinds).await?;
                let proceeds = if only_settled { 0 } else { unsettled.available() };
                if cash.available() + proceeds < more {
                    return Ok(None);
                }
                let from_cash = more.min(cash.available());
                entry.hold(&cash, from_cash, self.order.id).hold(&unsettled, more - from_cash, self.order.id);
            }
            Side::Sell => {
                let symbol = &self.instrument.symbol;
                let place = (self.order.account_id, LedgerKind::Units, symbol.as_str());
                let [units] = ctx.lock_ledger_accounts([place]).await?;
                if units.available() < more {
                    return Ok(None);
                }
                entry.hold(&units, more, self.order.id);
            }
        }
        entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
        Ok(Some(event))
    }
}

/// Writes a fill and schedules its settlement.
async fn write(ctx: &CommandContext<'_>, fill: &fill::Model) -> Result<()> {
    ctx.schedule::<SettleTrade>(fill.id, fill.settles_at).await;
    ctx.tx.insert(fill).await;
    Ok(())
}

fn too_large() -> Error {
    Error::broken("the amount of a fill exceeds 64 bits")
}
