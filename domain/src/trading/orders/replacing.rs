//! Replacing the price or the quantity of an open order.

use super::{
    CASH, RouteOrder, Status, cash_for, check_price, check_quantity, locked, require_open, too_expensive,
    too_many, worth,
};
use crate::{
    Checks, Code, Error, Refusal, Result, Scope, accounts,
    kernel::{
        command::{Command, CommandContext},
        events::Event,
        ledger,
    },
    trading::{instruments, market, restrictions::is_settled_cash_only},
};
use entity::{
    Price, Quantity, account,
    ledger_account::LedgerKind,
    order::{self, Side},
    partner::Mode,
};
use sea_orm::ActiveValue::Set;
use serde::Serialize;
use uuid::Uuid;

/// Replaces the price or the quantity of an open order. What is absent stays as it is.
#[derive(Clone, Debug, Serialize)]
pub struct ReplaceOrder {
    pub order_id: Uuid,
    /// Total quantity, of which some may be filled.
    pub quantity: Option<Quantity>,
    pub limit_price: Option<Price>,
    pub stop_price: Option<Price>,
}

/// Replaces the quantity or the prices of an open order, which keeps its id, its fills and its time in force, and
/// changes what it holds to what the open part needs then. Requires scope `trade`.
///
/// # Errors
/// `REQUIRED` without a new value, `INVALID` for a value that the order cannot have, among them a quantity that is not
/// above the filled one, `NOT_REPLACEABLE` for an order that has ended or whose shares are being split,
/// `MARKET_CLOSED`, what `PlaceOrder` refuses because of the account, and `INSUFFICIENT_BUYING_POWER` or
/// `INSUFFICIENT_POSITION`. The order is then unchanged.
impl Command for ReplaceOrder {
    const NAME: &'static str = "order.replace";
    const SCOPE: Scope = Scope::Trade;
    const FOR_ONESELF: bool = true;
    type Output = order::Model;

    fn check(&self, _: Mode) -> Result<()> {
        let mut checks = Checks::default();
        if self.quantity.is_none() && self.limit_price.is_none() && self.stop_price.is_none() {
            let text = "or a new price is required";
            checks.note::<()>(Err(Refusal::new(Code::Required, "quantity", text).into()));
        }
        if let Some(quantity) = self.quantity {
            checks.note(check_quantity(quantity));
        }
        checks.done()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<order::Model> {
        let mut working = locked(ctx, self.order_id).await?;
        let account = self.usable_account(ctx, &working.order).await?;
        if !working.order.status.is_open() {
            let text = "The order has already ended.";
            return Err(Refusal::new(Code::NotReplaceable, "orderId", text).into());
        }
        if working.order.withdrawal_id.is_some() {
            let text = "The order sells shares for a withdrawal. Cancel the withdrawal.";
            return Err(Refusal::new(Code::NotReplaceable, "orderId", text).into());
        }
        if working.awaits_split {
            let text = "The shares of the account are being split. Try again in a few seconds.";
            return Err(Refusal::new(Code::NotReplaceable, "orderId", text).into());
        }
        require_open(ctx.partner.market_hours, ctx.now)?;
        let before = working.order.clone();
        working.order = self.replaced(&before, &working.instrument.symbol)?;
        let quote = market::quote(ctx.app, ctx.tx, ctx.partner, &working.instrument, ctx.now).await?;
        let needed = match working.order.side {
            Side::Buy => {
                worth(&working.order, quote.ask)?;
                cash_for(&ctx.settings()?, &working.order, quote.ask)?.units()
            }
            Side::Sell => {
                worth(&working.order, quote.bid)?;
                working.order.quantity.minus(before.filled_quantity).unwrap_or_default().units()
            }
        };
        let only_settled = is_settled_cash_only(&account, ctx.now);
        let Some(event) = working.hold(ctx, needed, only_settled).await? else {
            return Err(self.insufficient(ctx, &working.order, needed, only_settled).await?.into());
        };
        working.order.replaced_at = Some(ctx.now);
        let mut row: order::ActiveModel = before.into();
        row.quantity = Set(working.order.quantity);
        row.limit_price = Set(working.order.limit_price);
        row.stop_price = Set(working.order.stop_price);
        row.replaced_at = Set(working.order.replaced_at);
        ctx.tx.update(row).await?;
        event.record(ctx.tx, Event::OrderReplaced(working.state())).await?;
        // An accepted order is routed anyway.
        if working.order.status != Status::Accepted {
            ctx.schedule::<RouteOrder>(working.order.id, ctx.now).await;
        }
        Ok(working.order)
    }
}

impl ReplaceOrder {
    /// Returns the account of the order, or a refusal if it may not trade.
    async fn usable_account(&self, ctx: &CommandContext<'_>, order: &order::Model) -> Result<account::Model> {
        match accounts::usable(ctx.tx, ctx.access_scope, order.account_id).await {
            Err(Error::Refused(refusal)) => {
                Err(Refusal { path: vec!["orderId".to_owned()], ..refusal }.into())
            }
            usable => usable,
        }
    }

    /// Returns the order with the new values.
    fn replaced(&self, order: &order::Model, symbol: &str) -> Result<order::Model> {
        let mut checks = Checks::default();
        if let Some(quantity) = self.quantity {
            if order.notional.is_some() {
                let text = "must be left out of an order by amount";
                checks.note::<()>(Err(Refusal::invalid("quantity", text).into()));
            } else if quantity <= order.filled_quantity {
                let text = format!("must be above the filled quantity, {}", order.filled_quantity);
                checks.note::<()>(Err(Refusal::invalid("quantity", text).into()));
            }
        }
        let kind = order.kind;
        if self.limit_price.is_some() {
            checks.note(check_price("limitPrice", kind, kind.has_limit(), symbol, self.limit_price));
        }
        if self.stop_price.is_some() {
            checks.note(check_price("stopPrice", kind, kind.has_stop(), symbol, self.stop_price));
            if order.triggered_at.is_some() {
                let text = "must be left out because the stop price was reached";
                checks.note::<()>(Err(Refusal::invalid("stopPrice", text).into()));
            }
        }
        checks.done()?;
        Ok(order::Model {
            quantity: self.quantity.unwrap_or(order.quantity),
            limit_price: self.limit_price.or(order.limit_price),
            stop_price: self.stop_price.or(order.stop_price),
            ..order.clone()
        })
    }

    /// Returns the refusal for an order that would hold more than its account has.
    async fn insufficient(
        &self,
        ctx: &CommandContext<'_>,
        order: &order::Model,
        needed: i64,
        only_settled: bool,
    ) -> Result<Refusal> {
        let held: i64 = ledger::open_holds(ctx.tx, order.id).await?.iter().map(|hold| hold.left).sum();
        match order.side {
            Side::Buy => {
                let [cash, unsettled] = ledger::lock(ctx.tx, order.account_id, CASH).await?;
                let proceeds = if only_settled { 0 } else { unsettled.available() };
                Ok(too_expensive(cash.available() + proceeds + held, needed, only_settled))
            }
            Side::Sell => {
                let instrument = instruments::of_order(ctx.app, order).await?;
                let symbol = &instrument.symbol;
                let units = ledger::find(ctx.tx, order.account_id, LedgerKind::Units, symbol).await?;
                let free = units.map_or(0, |units| units.available()) + held;
                let shown = instruments::shown_symbol(ctx.app, Some(ctx.partner.id), instrument.id, symbol);
                Ok(too_many(Quantity::from_units(free), &shown, Quantity::from_units(needed)))
            }
        }
    }
}
