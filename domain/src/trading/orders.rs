//! Orders: placing them, holding cash or shares for them, replacing and canceling them.

use super::{
    executions::Working,
    instruments,
    lots::LotChoice,
    market, receivables,
    restrictions::is_settled_cash_only,
    venue::{CancelReply, Paper, Venue},
};
use crate::{
    Actor, Checks, Code, Refusal, Result, Scope, Visible, accounts,
    kernel::{
        command::{Command, CommandContext},
        events::{Event, OrderState},
        ledger::{self, Entry},
        lists::{Filter, SortedPage},
        pages::Slice,
        rows,
        visible::Owner,
    },
};
use chrono::{DateTime, SecondsFormat, Utc};
use entity::{
    Kind, Money, Price, Quantity, account, fill, instrument,
    ledger_account::{self, LedgerKind},
    order::{self, OrderKind, Side, Status, TimeInForce},
    partner::{MarketHours, Mode},
};
use sea_orm::{ConnectionTrait, QuerySelect, sea_query::LockType};
use serde::Serialize;
use state::{QUANTITY_STEP, Terms, cash_to_hold, shares_for};
use uuid::Uuid;

pub(super) mod fills;
mod preview;
pub mod raising;
mod replacing;
mod routing;
pub mod state;
mod ticks;

pub use fills::{SettleTrade, release_proceeds, waiting};
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
        let account_id = match self.account_id {
            Some(id) => id,
            None => accounts::only_one(ctx.tx, ctx.access_scope).await?,
        };
        let kinds = match self.side {
            Side::Buy => &[LedgerKind::Cash, LedgerKind::Unsettled, LedgerKind::Receivable][..],
            Side::Sell => &[],
        };
        let (account, cash) = accounts::usable_with_cash(ctx.tx, ctx.access_scope, account_id, kinds).await?;
        receivables::require_nothing_owed(&cash)?;
        require_open(ctx.partner.market_hours, ctx.now)?;
        let instrument =
            instruments::named(ctx.app, &self.symbol).await?.ok_or_else(|| Refusal::not_found("symbol"))?;
        let quote = market::quote(ctx.app, ctx.tx, ctx.partner, &instrument, ctx.now).await?;
        let order = self.accepted(ctx, account_id, &instrument, &quote)?;
        let mut entry = Entry::default();
        let mut event = ctx.event();
        match self.side {
            Side::Buy => {
                let only_settled = is_settled_cash_only(&account, ctx.now);
                hold_cash(ctx, &mut entry, &order, &cash, quote.ask, only_settled)?;
            }
            Side::Sell => hold_shares(ctx, &mut entry, &order, &instrument, quote.bid).await?,
        }
        ctx.tx.insert(&order).await;
        self.lots.named(ctx, &order).await?;
        ctx.schedule::<RouteOrder>(order.id, ctx.now).await;
        if !entry.write(ctx.tx, ctx.app.ids, &mut event).await? {
            return Err(insufficient(self.side).into());
        }
        event.record(ctx.tx, Event::OrderAccepted(OrderState::of(&order, &instrument))).await?;
        Ok(order)
    }
}

/// Refuses while the market is closed, and says when it next opens.
fn require_open(hours: MarketHours, now: DateTime<Utc>) -> Result<()> {
    let hours = market::hours(hours, now);
    if hours.is_open {
        return Ok(());
    }
    let opens = hours.next_open_at.map_or_else(String::new, |at| {
        format!(" It next opens at {}.", at.to_rfc3339_opts(SecondsFormat::Secs, true))
    });
    Err(Refusal::new(Code::MarketClosed, "", format!("The market is closed.{opens}")).into())
}

impl PlaceOrder {
    fn check_size(&self) -> Result<()> {
        match (self.quantity, self.notional) {
            (Some(quantity), None) => check_quantity(quantity),
            (None, None) => Err(Refusal::required("quantity").into()),
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

    /// Returns the shares to trade. Of an order by amount, what it is worth at the quote.
    fn shares(&self, quote: &market::Quote) -> Result<Quantity> {
        let price = match self.side {
            Side::Buy => quote.ask,
            Side::Sell => quote.bid,
        };
        let Some(notional) = self.notional else { return Ok(self.quantity.unwrap_or_default()) };
        let shares = shares_for(notional, price);
        if shares.is_positive() {
            Ok(shares)
        } else {
            Err(Refusal::invalid("notional", "is worth less than 0.0001 shares").into())
        }
    }

    fn accepted(
        &self,
        ctx: &CommandContext<'_>,
        account_id: Uuid,
        instrument: &instrument::Model,
        quote: &market::Quote,
    ) -> Result<order::Model> {
        Ok(order::Model {
            id: ctx.app.ids.next(Kind::Order),
            partner_id: ctx.partner.id,
            account_id,
            instrument_id: instrument.id,
            side: self.side,
            kind: self.kind,
            time_in_force: self.time_in_force,
            quantity: self.shares(quote)?,
            notional: self.notional,
            limit_price: self.limit_price,
            stop_price: self.stop_price,
            triggered_at: None,
            filled_quantity: Quantity::ZERO,
            filled_average_price: None,
            fill_count: 0,
            status: Status::Accepted,
            reject_code: None,
            submitted_at: ctx.now,
            expires_at: Some(routing::expires_at(ctx.partner.market_hours, self.time_in_force, ctx.now)),
            replaced_at: None,
            filled_at: None,
            expired_at: None,
            canceled_at: None,
            failed_at: None,
            lot_method: self.lots.method(),
            withdrawal_id: None,
        })
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

fn too_much() -> Refusal {
    Refusal::invalid("quantity", "makes the order's value too large")
}

/// Returns the price at which an order is valued before it is filled: its limit price, its stop price, or else
/// the market's.
fn reference_price(order: &order::Model, market: Price) -> Price {
    order.limit_price.or(order.stop_price).unwrap_or(market)
}

/// Returns what an order is worth, or a refusal if that is less than a cent.
fn worth(order: &order::Model, market: Price) -> Result<Money> {
    let worth = Money::cost(order.quantity, reference_price(order, market)).ok_or_else(too_much)?;
    if worth.is_positive() {
        Ok(worth)
    } else {
        Err(Refusal::invalid("quantity", "makes the order's value less than one cent").into())
    }
}

/// Returns the cash that an order to buy holds.
fn cash_for(ctx: &CommandContext<'_>, order: &order::Model, open: Quantity, ask: Price) -> Result<Money> {
    match order.notional {
        Some(notional) => Ok(notional),
        None => {
            let buffer = ctx.settings()?.market_buy_buffer;
            Ok(cash_to_hold(&Terms::from(order), open, ask, buffer).ok_or_else(too_much)?)
        }
    }
}

/// Returns the refusal for an order that may cost more than the buying power.
fn too_expensive(power: i64, most: i64) -> Refusal {
    let (power, most) = (Money::from_units(power), Money::from_units(most));
    let text = format!("Buying power is ${power}; this order may cost up to ${most}.");
    Refusal::new(Code::InsufficientBuyingPower, "quantity", text)
}

/// Holds the cash that a buy order may cost: settled cash first, then unsettled proceeds of sales unless the account
/// is restricted to settled cash.
fn hold_cash(
    ctx: &CommandContext<'_>,
    entry: &mut Entry,
    order: &order::Model,
    accounts: &[ledger_account::Model],
    ask: Price,
    only_settled: bool,
) -> Result<()> {
    worth(order, ask)?;
    let most = cash_for(ctx, order, order.quantity, ask)?.units();
    let [cash, unsettled] = ledger::of_kinds(accounts, [LedgerKind::Cash, LedgerKind::Unsettled])?;
    let proceeds = if only_settled { 0 } else { unsettled.available() };
    let power = cash.available().saturating_add(proceeds);
    if power < most {
        return Err(too_expensive(power, most).into());
    }
    let from_cash = most.min(cash.available());
    entry.hold(&cash, from_cash, order.id).hold(&unsettled, most - from_cash, order.id);
    Ok(())
}

/// Returns the refusal for an order to sell more shares than can be sold.
fn too_many(free: Quantity, symbol: &str, ordered: Quantity) -> Refusal {
    let text = format!("{free} {symbol} can be sold; this order is for {ordered}.");
    Refusal::new(Code::InsufficientPosition, "quantity", text)
}

async fn hold_shares(
    ctx: &CommandContext<'_>,
    entry: &mut Entry,
    order: &order::Model,
    instrument: &instrument::Model,
    bid: Price,
) -> Result<()> {
    let units = ledger::find(ctx.tx, order.account_id, LedgerKind::Units, &instrument.symbol).await?;
    let free = Quantity::from_units(units.as_ref().map_or(0, ledger_account::Model::available));
    match units {
        Some(units) if free >= order.quantity => {
            worth(order, bid)?;
            entry.hold(&units, order.quantity.units(), order.id);
            Ok(())
        }
        _ => Err(too_many(free, &instrument.symbol, order.quantity).into()),
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

/// Returns the condition for the orders for the instrument with this ticker symbol, in upper or lower case.
pub fn of_symbol(symbol: &str) -> Filter {
    let query = "SELECT id FROM instrument WHERE symbol = {}";
    Filter::in_query(order::Column::InstrumentId, query, instruments::normalized(symbol))
}

/// Returns the condition for the fills in the instrument with this ticker symbol, in upper or lower case.
pub fn fills_of_symbol(symbol: &str) -> Filter {
    let query = "SELECT orders.id FROM orders JOIN instrument ON instrument.id = orders.instrument_id \
                 WHERE instrument.symbol = {}";
    Filter::in_query(fill::Column::OrderId, query, instruments::normalized(symbol))
}
