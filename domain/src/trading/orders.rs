//! Orders: placing them, holding cash or shares for them, replacing and canceling them.

use super::{
    executions::Working,
    instruments,
    lots::LotChoice,
    venue::{CancelReply, Paper, Venue},
};
use crate::{
    Actor, Checks, Code, Refusal, Result, Scope, Visible, accounts,
    kernel::{
        command::{Command, CommandContext},
        events::{Event, OrderState},
        ledger::Entry,
        lists::{Filter, SortedPage},
        pages::Slice,
        rows,
        visible::Owner,
    },
};
use entity::{
    Money, Price, Quantity, account, fill,
    order::{self, OrderKind, Side, Status, TimeInForce},
    partner::Mode,
};
use sea_orm::{ConnectionTrait, QuerySelect, sea_query::LockType};
use serde::Serialize;
use state::QUANTITY_STEP;
use uuid::Uuid;

mod decision;
pub(super) mod fills;
mod preview;
pub mod raising;
mod replacing;
mod routing;
pub mod state;
pub(super) mod ticks;

use decision::{CASH, Decision, PAYING, View, cash_for, require_open, too_expensive, too_many, worth};

pub use fills::{SettleTrade, release_proceeds, unsettled_until, waiting};
pub use preview::{Preview, preview};
pub use replacing::ReplaceOrder;
pub use routing::{ExpireOrder, RouteOrder};

/// Places an order. The values are not validated yet.
#[derive(Clone, Debug, Serialize)]
pub struct PlaceOrder {
    /// Defaults to the caller's only tradable account.
    pub account_id: Option<Uuid>,
    /// Symbol, in upper or lower case, or id of an instrument.
    pub symbol: String,
    pub side: Side,
    pub kind: OrderKind,
    /// Shares to trade; either this or an amount.
    pub quantity: Option<Quantity>,
    /// Amount to trade for.
    pub notional: Option<Money>,
    pub limit_price: Option<Price>,
    pub stop_price: Option<Price>,
    pub time_in_force: TimeInForce,
    /// Lots that a sell order sells. Without a choice, the fingerprint is that of an order from before there were
    /// lots.
    #[serde(skip_serializing_if = "LotChoice::is_default")]
    pub lots: LotChoice,
}

/// Maximum quantity: one hundred million shares.
const MAX_QUANTITY: Quantity = Quantity::from_units(100_000_000 * 100_000_000);

/// Maximum amount of an order by amount: a hundred million dollars.
const MAX_NOTIONAL: Money = Money::from_units(100_000_000 * 100);

fn check_quantity(quantity: Quantity) -> Result<()> {
    let refused = |text: String| Err(Refusal::invalid("quantity", text).into());
    if !quantity.is_positive() {
        refused("must be above zero".to_owned())
    } else if quantity.units() % QUANTITY_STEP != 0 {
        refused("must have at most four decimals".to_owned())
    } else if quantity > MAX_QUANTITY {
        refused(format!("must be at most {MAX_QUANTITY}"))
    } else {
        Ok(())
    }
}

/// Returns the name of a type of order in a refusal.
const fn named(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Market => "a market order",
        OrderKind::Limit => "a limit order",
        OrderKind::Stop => "a stop order",
        OrderKind::StopLimit => "a stop-limit order",
    }
}

/// Checks a price that this type of order must or must not have.
fn check_price(
    field: &str,
    kind: OrderKind,
    is_expected: bool,
    symbol: &str,
    price: Option<Price>,
) -> Result<()> {
    match price {
        Some(price) if is_expected => ticks::check(field, symbol, price),
        Some(_) => Err(Refusal::invalid(field, format!("must be left out of {}", named(kind))).into()),
        None if is_expected => Err(Refusal::required(field).into()),
        None => Ok(()),
    }
}

/// Places an order and holds its cash or shares, or refuses it and changes nothing. Requires scope `trade`.
///
/// Repeating the same order with the same idempotency key returns the first order, so a retry never trades
/// twice. What the request alone decides is checked first: the quantity (above zero, at most four decimals, or
/// an amount for a market day order), and the prices that the type needs, as multiples of the tick. Then, in this
/// order: the owners are approved, the account is active, the market is open (documented), the instrument
/// exists, and buying power or shares suffice.
///
/// A purchase holds its quantity at the limit price, or at the stop price or the ask raised by the partner's
/// buffer, 3 % by default, rounded up to the cent once; an order by amount holds its amount. A sale holds its
/// shares, so shares cannot be sold short.
impl Command for PlaceOrder {
    const NAME: &'static str = "order.place";
    const SCOPE: Scope = Scope::Trade;
    const FOR_ONESELF: bool = true;
    type Output = order::Model;

    fn check(&self, _: Mode) -> Result<()> {
        let mut checks = Checks::default();
        if self.symbol.trim().is_empty() {
            checks.note::<()>(Err(Refusal::required("symbol").into()));
        }
        checks.note(self.check_size());
        let Self { kind, symbol, .. } = self;
        checks.note(check_price("limitPrice", *kind, kind.has_limit(), symbol, self.limit_price));
        checks.note(check_price("stopPrice", *kind, kind.has_stop(), symbol, self.stop_price));
        checks.note(self.lots.check(self.side));
        checks.done()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<order::Model> {
        let decision = self.decide(ctx).await?;
        self.accept(ctx, decision).await
    }
}

impl PlaceOrder {
    /// Decides about the order: locks the account and its cash, and changes nothing if the order is refused.
    pub(super) async fn decide(&self, ctx: &CommandContext<'_>) -> Result<Decision> {
        let account_id = match self.account_id {
            Some(id) => id,
            None => accounts::only_one(ctx.tx, ctx.access_scope).await?,
        };
        let kinds = match self.side {
            Side::Buy => &PAYING[..],
            Side::Sell => &[],
        };
        let (account, cash) = accounts::usable_with_cash(ctx.tx, ctx.access_scope, account_id, kinds).await?;
        View::of(ctx).decide(self, account, &cash).await
    }

    /// Places an order that was accepted. If it fails, the transaction must be rolled back.
    pub(super) async fn accept(&self, ctx: &CommandContext<'_>, decision: Decision) -> Result<order::Model> {
        let Decision { order, instrument, holds, .. } = decision;
        let mut entry = Entry::default();
        let mut event = ctx.event();
        for (ledger_account, amount) in &holds {
            entry.hold(ledger_account, *amount, order.id);
        }
        ctx.tx.insert(&order).await;
        self.lots.name(ctx, &order).await;
        ctx.schedule::<RouteOrder>(order.id, ctx.now).await;
        if !entry.write(ctx.tx, ctx.app.ids, &mut event).await? {
            return Err(insufficient(self.side).into());
        }
        let shown = instruments::shown(ctx.app, Some(ctx.partner.id), &instrument).await?;
        event.record(ctx.tx, Event::OrderAccepted(OrderState::of(&order, &shown))).await?;
        Ok(order)
    }

    fn check_size(&self) -> Result<()> {
        match (self.quantity, self.notional) {
            (Some(quantity), None) => check_quantity(quantity),
            (None, None) => Err(Refusal::new(Code::Required, "quantity", "or notional is required").into()),
            (Some(_), Some(_)) => {
                Err(Refusal::invalid("notional", "must be left out of an order by quantity").into())
            }
            (None, Some(_)) if self.kind != OrderKind::Market || self.time_in_force != TimeInForce::Day => {
                Err(Refusal::invalid("notional", "is only for market orders of the day").into())
            }
            (None, Some(amount)) if !amount.is_positive() || amount > MAX_NOTIONAL => {
                let text = format!("must be above zero and at most {MAX_NOTIONAL}");
                Err(Refusal::invalid("notional", text).into())
            }
            (None, Some(_)) => Ok(()),
        }
    }
}

/// Returns the refusal for an order that lost its cash or shares to another order at the same time.
fn insufficient(side: Side) -> Refusal {
    match side {
        Side::Buy => Refusal::new(
            Code::InsufficientBuyingPower,
            "quantity",
            "Buying power is less than this order may cost.",
        ),
        Side::Sell => {
            Refusal::new(Code::InsufficientPosition, "quantity", "The position is smaller than this order.")
        }
    }
}

/// Cancels an order.
#[derive(Clone, Debug, Serialize)]
pub struct CancelOrder {
    pub order_id: Uuid,
}

/// Cancels an open order and releases its holds; its fills stay. Requires scope `trade`. Orders in a final state
/// are refused (documented: until it is filled).
impl Command for CancelOrder {
    const NAME: &'static str = "order.cancel";
    const SCOPE: Scope = Scope::Trade;
    const FOR_ONESELF: bool = true;
    type Output = order::Model;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<order::Model> {
        ctx.unschedule_all(self.order_id).await?;
        let mut working = locked(ctx, self.order_id).await?;
        if working.order.withdrawal_id.is_some() {
            let text = "The order sells shares for a withdrawal. Cancel the withdrawal.";
            return Err(Refusal::new(Code::NotCancelable, "orderId", text).into());
        }
        let ended = || Refusal::new(Code::NotCancelable, "orderId", "The order has already ended.");
        match Paper.cancel(ctx, &working.order).await? {
            CancelReply::Canceled => working.end(ctx, Status::Canceled, None).await?,
            CancelReply::TooLate => return Err(ended().into()),
        }
        Ok(working.order)
    }
}

/// Locks an order that the caller may change.
async fn locked(ctx: &CommandContext<'_>, order_id: Uuid) -> Result<Working> {
    let not_found = || Refusal::not_found("orderId");
    order::Entity::by_id_within(ctx.access_scope, order_id)
        .lock(LockType::NoKeyUpdate)
        .one(ctx.tx)
        .await?
        .ok_or_else(not_found)?;
    Ok(Working::lock(ctx, order_id).await?.ok_or_else(not_found)?)
}

/// Orders are visible to those who see their account.
impl Visible for order::Entity {
    const ID: order::Column = order::Column::Id;
    const OWNER: Owner<order::Column> =
        Owner::of::<account::Entity>(order::Column::PartnerId, order::Column::AccountId);
}

/// Fills are visible to those who see their account.
impl Visible for fill::Entity {
    const ID: fill::Column = fill::Column::Id;
    const OWNER: Owner<fill::Column> =
        Owner::of::<account::Entity>(fill::Column::PartnerId, fill::Column::AccountId);
}

/// Returns the order with this id if the caller may see it. Requires scope `read`.
pub async fn find(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    id: Uuid,
) -> Result<Option<order::Model>> {
    Ok(order::Entity::by_id_within(order::Entity::access(actor)?, id).one(connection).await?)
}

/// Returns a page of the orders that the caller may see and that match all filters. Requires scope `read`.
pub async fn list(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    page: &SortedPage<order::Column>,
    filters: &[Filter],
) -> Result<Slice<order::Model>> {
    rows::page::<order::Entity>(connection, order::Entity::access(actor)?, page, filters).await
}

/// Returns the condition for the fills in the instrument with this ticker symbol, in upper or lower case.
pub fn fills_of_symbol(symbol: &str) -> Filter {
    Filter::of_symbol("(SELECT instrument_id FROM orders WHERE orders.id = order_id) = {}", symbol)
}
