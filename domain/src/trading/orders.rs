//! Orders: placing them, holding cash or shares for them, and canceling them.

use super::{instruments, lots::LotChoice, market, restrictions::is_settled_cash_only};
use crate::{
    Actor, Checks, Code, Refusal, Result, Scope, Visible, accounts,
    kernel::{
        command::{Command, CommandContext},
        events::{Event, EventBuilder},
        ledger::{self, Entry},
        lists::{Filter, SortedPage},
        pages::Slice,
        rows,
        visible::Owner,
    },
};
use entity::{
    Kind, Money, Price, Quantity, account, fill, instrument,
    ledger_account::{self, LedgerKind},
    ledger_release::Reason,
    order::{self, OrderKind, Side, Status},
    partner::Mode,
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, QuerySelect, sea_query::LockType};
use serde::Serialize;
use uuid::Uuid;

mod fills;

pub use fills::{RouteOrder, SettleTrade};

/// Places an order. The values are not validated yet.
#[derive(Clone, Debug, Serialize)]
pub struct PlaceOrder {
    /// Defaults to the caller's only tradable account.
    pub account_id: Option<Uuid>,
    /// Symbol, in upper or lower case, or id of an instrument.
    pub symbol: String,
    pub side: Side,
    pub quantity: Quantity,
    pub kind: OrderKind,
    /// Lots that a sell order sells. Without a choice, the fingerprint is that of an order from before there were
    /// lots.
    #[serde(skip_serializing_if = "LotChoice::is_default")]
    pub lots: LotChoice,
}

/// Step of a quantity, in hundred-millionths of a share: four decimals (documented).
const QUANTITY_STEP: i64 = 10_000;
/// Maximum quantity: one hundred million shares.
const MAX_QUANTITY: Quantity = Quantity::from_units(100_000_000 * 100_000_000);

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

/// Places an order and holds its cash or shares, or refuses it and changes nothing. Requires scope `trade`.
///
/// Repeating the same order with the same idempotency key returns the first order, so a retry never trades
/// twice. Refused while the market is closed (documented), for a user who is not approved, and without
/// sufficient buying power or shares: a buy order holds its price and the partner's buffer, 3 % by default, a
/// sell order its shares.
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
        checks.note(check_quantity(self.quantity));
        checks.note(self.lots.check(self.side));
        checks.done()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<order::Model> {
        let account_id = match self.account_id {
            Some(id) => id,
            None => accounts::only_one(ctx.tx, ctx.access_scope).await?,
        };
        let kinds = match self.side {
            Side::Buy => &[LedgerKind::Cash, LedgerKind::Unsettled][..],
            Side::Sell => &[],
        };
        let (account, cash) = accounts::usable_with_cash(ctx.tx, ctx.access_scope, account_id, kinds).await?;
        if !market::hours(ctx.partner.market_hours, ctx.now).is_open {
            return Err(Refusal::new(Code::MarketClosed, "", "The market is closed.").into());
        }
        let instrument =
            instruments::named(ctx.app, &self.symbol).await?.ok_or_else(|| Refusal::not_found("symbol"))?;
        let quote = market::quote(ctx.app, ctx.tx, ctx.partner, &instrument, ctx.now).await?;
        let order = self.accepted(ctx, account_id, &instrument);
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
        event.record(ctx.tx, Event::OrderAccepted((&order).into())).await?;
        Ok(order)
    }
}

impl PlaceOrder {
    fn accepted(
        &self,
        ctx: &CommandContext<'_>,
        account_id: Uuid,
        instrument: &instrument::Model,
    ) -> order::Model {
        order::Model {
            id: ctx.app.ids.next(Kind::Order),
            partner_id: ctx.partner.id,
            account_id,
            instrument_id: instrument.id,
            side: self.side,
            kind: self.kind,
            quantity: self.quantity,
            filled_quantity: Quantity::ZERO,
            filled_average_price: None,
            status: Status::Accepted,
            reject_code: None,
            submitted_at: ctx.now,
            filled_at: None,
            expired_at: None,
            canceled_at: None,
            failed_at: None,
            lot_method: self.lots.method(),
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

fn too_much() -> Refusal {
    Refusal::invalid("quantity", "makes the order's value too large")
}

fn worth(quantity: Quantity, price: Price) -> Result<Money> {
    let worth = Money::cost(quantity, price).ok_or_else(too_much)?;
    if worth.is_positive() {
        Ok(worth)
    } else {
        Err(Refusal::invalid("quantity", "makes the order's value less than one cent").into())
    }
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
    worth(order.quantity, ask)?;
    let most =
        Money::hold(order.quantity, ask, ctx.settings()?.market_buy_buffer).ok_or_else(too_much)?.units();
    let [cash, unsettled] = ledger::of_kinds(accounts, [LedgerKind::Cash, LedgerKind::Unsettled])?;
    let proceeds = if only_settled { 0 } else { unsettled.available() };
    let power = cash.available().saturating_add(proceeds);
    if power < most {
        let (power, most) = (Money::from_units(power), Money::from_units(most));
        let text = format!("Buying power is ${power}; this order may cost up to ${most}.");
        return Err(Refusal::new(Code::InsufficientBuyingPower, "quantity", text).into());
    }
    let from_cash = most.min(cash.available());
    entry.hold(&cash, from_cash, order.id).hold(&unsettled, most - from_cash, order.id);
    Ok(())
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
            worth(order.quantity, bid)?;
            entry.hold(&units, order.quantity.units(), order.id);
            Ok(())
        }
        _ => {
            let text =
                format!("{free} {} can be sold; this order is for {}.", instrument.symbol, order.quantity);
            Err(Refusal::new(Code::InsufficientPosition, "quantity", text).into())
        }
    }
}

/// Cancels an order.
#[derive(Clone, Debug, Serialize)]
pub struct CancelOrder {
    pub order_id: Uuid,
}

/// Cancels an open order and releases its holds. Requires scope `trade`. Orders in a final state are refused
/// (documented: until it is filled).
impl Command for CancelOrder {
    const NAME: &'static str = "order.cancel";
    const SCOPE: Scope = Scope::Trade;
    const FOR_ONESELF: bool = true;
    type Output = order::Model;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<order::Model> {
        ctx.unschedule::<RouteOrder>(self.order_id).await?;
        let order = order::Entity::by_id_within(ctx.access_scope, self.order_id)
            .lock(LockType::NoKeyUpdate)
            .one(ctx.tx)
            .await?
            .ok_or_else(|| Refusal::not_found("orderId"))?;
        if !order.status.is_open() {
            return Err(Refusal::new(Code::NotCancelable, "orderId", "The order has already ended.").into());
        }
        let mut event = ctx.event();
        release_holds(ctx, &mut event, &order).await?;
        let mut row: order::ActiveModel = order.into();
        row.status = Set(Status::Canceled);
        row.canceled_at = Set(Some(ctx.now));
        let order = ctx.tx.update(row).await?;
        event.record(ctx.tx, Event::OrderCanceled((&order).into())).await?;
        Ok(order)
    }
}

/// Releases the open holds of an order as voided.
async fn release_holds(
    ctx: &CommandContext<'_>,
    event: &mut EventBuilder,
    order: &order::Model,
) -> Result<()> {
    let mut entry = Entry::default();
    for hold in ledger::open_holds(ctx.tx, order.id).await? {
        entry.release(&hold, Reason::Voided);
    }
    entry.write_later(ctx.tx, ctx.app.ids, event).await?;
    match order.side {
        Side::Buy => fills::release_proceeds(ctx, event, order.account_id).await,
        Side::Sell => Ok(()),
    }
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
