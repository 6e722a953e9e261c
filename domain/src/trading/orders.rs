//! Orders: take an instruction, set aside what it may cost, take it to the market, tell whoever listens.

use super::{instruments, market};
use crate::{
    Actor, Checks, Code, Refusal, Result, Scope, accounts,
    kernel::{
        actor::AccessScope,
        app::App,
        command::{self, Answer, Command, CommandContext},
        events::EventType,
        idempotency::Key,
        ledger::{self, Entry},
        pages::{Page, Slice},
        timers,
    },
};
use entity::{
    Kind, Money, Price, Quantity, instrument,
    ledger_account::LedgerKind,
    ledger_release::Reason,
    order::{self, OrderKind, Side, Status},
    partner::Mode,
    timer::TimerKind,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{LockType, all},
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

mod fills;

pub use fills::{route, settle_trade};

/// An order as asked for; nothing in it has been checked.
#[derive(Clone, Debug, Serialize)]
pub struct PlaceOrder {
    /// The partner's only account when none is named.
    pub account_id: Option<Uuid>,
    /// A symbol, in either case, or an instrument's id.
    pub symbol: String,
    pub side: Side,
    pub quantity: Quantity,
    pub kind: OrderKind,
}

/// Places an order and sets aside its cash or shares, or refuses and changes nothing; scope `trade`.
///
/// The same key and the same order answer with the first order, so a retry never trades twice. Refused out of
/// the hours in which the market is open (documented), for an unapproved user, and for more than can be paid
/// or delivered: a buy sets aside 103 % of its price, a sale its shares.
pub async fn place(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    new: PlaceOrder,
) -> Result<Answer<order::Model>> {
    command::execute(app, actor, key, new).await
}

/// Quantities are taken to four decimals (documented).
const QUANTITY_STEP: i64 = 10_000;
/// One hundred million shares.
const MAX_QUANTITY: Quantity = Quantity::from_units(100_000_000 * 100_000_000);
/// What a buy sets aside above the price, in percent.
const BUFFER: i64 = 3;

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
        checks.done()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<order::Model> {
        let account_id = match self.account_id {
            Some(id) => id,
            None => accounts::only_one(ctx.tx, ctx.access_scope).await?,
        };
        accounts::usable(ctx.tx, ctx.access_scope, account_id).await?;
        if !market::hours(ctx.partner.market_hours, ctx.now).is_open {
            return Err(Refusal::new(Code::MarketClosed, "", "The market is closed.").into());
        }
        let instrument =
            instruments::named(ctx.tx, &self.symbol).await?.ok_or_else(|| Refusal::not_found("symbol"))?;
        let quote = market::quote(ctx.app, ctx.tx, ctx.partner, &instrument, ctx.now).await?;
        let order = self.accepted(ctx, account_id, &instrument);
        let mut entry = Entry::default();
        let mut fact = ctx.event();
        match self.side {
            Side::Buy => hold_cash(ctx, &mut entry, &order, quote.ask).await?,
            Side::Sell => hold_shares(ctx, &mut entry, &order, &instrument, quote.bid).await?,
        }
        order::ActiveModel::from(order.clone()).reset_all().insert(ctx.tx).await?;
        timers::schedule(ctx.tx, ctx.app.ids, ctx.partner.id, TimerKind::OrderRoute, order.id, ctx.now)
            .await?;
        if !entry.write(ctx.tx, ctx.app.ids, &mut fact).await? {
            return Err(short_of(self.side).into());
        }
        fact.record_first(ctx.tx, EventType::OrderAccepted, order.id, facts(&order)).await?;
        Ok(order)
    }

    fn object(done: &order::Model) -> Uuid {
        done.id
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
        }
    }
}

fn facts(order: &order::Model) -> serde_json::Value {
    json!({
        "id": order.id,
        "account_id": order.account_id,
        "status": order.status,
        "filled_quantity": order.filled_quantity,
    })
}

/// What is said when another order took the money or the shares a moment before.
fn short_of(side: Side) -> Refusal {
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
    Refusal::invalid("quantity", "is worth more than can be counted")
}

fn worth(quantity: Quantity, price: Price) -> Result<Money> {
    let worth = Money::cost(quantity, price).ok_or_else(too_much)?;
    if worth.is_positive() {
        Ok(worth)
    } else {
        Err(Refusal::invalid("quantity", "is worth less than a cent").into())
    }
}

/// Holds what a buy may cost, settled cash first, then proceeds of sales that have not settled.
async fn hold_cash(
    ctx: &CommandContext<'_>,
    entry: &mut Entry,
    order: &order::Model,
    ask: Price,
) -> Result<()> {
    worth(order.quantity, ask)?;
    let most = Money::hold(order.quantity, ask, BUFFER).ok_or_else(too_much)?.units();
    let [cash, unsettled] =
        ledger::lock(ctx.tx, order.account_id, [LedgerKind::Cash, LedgerKind::Unsettled]).await?;
    let power = cash.available().saturating_add(unsettled.available());
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
    let free = Quantity::from_units(units.as_ref().map_or(0, entity::ledger_account::Model::available));
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

/// A wish to take an order back.
#[derive(Clone, Debug, Serialize)]
pub struct CancelOrder {
    pub order_id: Uuid,
}

/// Cancels an order that has not ended and gives back what it set aside; scope `trade`. A final order is
/// refused (documented: until it is filled).
pub async fn cancel(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    cancellation: CancelOrder,
) -> Result<Answer<order::Model>> {
    command::execute(app, actor, key, cancellation).await
}

impl Command for CancelOrder {
    const NAME: &'static str = "order.cancel";
    const SCOPE: Scope = Scope::Trade;
    const FOR_ONESELF: bool = true;
    type Output = order::Model;

    fn check(&self, _: Mode) -> Result<()> {
        Ok(())
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<order::Model> {
        timers::cancel(ctx.tx, ctx.partner.id, self.order_id, TimerKind::OrderRoute).await?;
        let order = order::Entity::find_by_id(self.order_id)
            .filter(order::Column::PartnerId.eq(ctx.partner.id))
            .filter(accounts::on_accounts_of(ctx.access_scope, order::Column::AccountId))
            .lock(LockType::NoKeyUpdate)
            .one(ctx.tx)
            .await?
            .ok_or_else(|| Refusal::not_found("orderId"))?;
        if !order.status.is_open() {
            return Err(Refusal::new(Code::NotCancelable, "orderId", "The order has ended already.").into());
        }
        let mut fact = ctx.event();
        give_back(ctx, &mut fact, &order).await?;
        let mut row: order::ActiveModel = order.into();
        row.status = Set(Status::Canceled);
        row.canceled_at = Set(Some(ctx.now));
        let order = row.update(ctx.tx).await?;
        fact.record(ctx.tx, EventType::OrderCanceled, order.id, facts(&order)).await?;
        Ok(order)
    }

    fn object(done: &order::Model) -> Uuid {
        done.id
    }
}

/// Voids what is still held for an order.
async fn give_back(
    ctx: &CommandContext<'_>,
    fact: &mut crate::kernel::events::EventBuilder,
    order: &order::Model,
) -> Result<()> {
    let mut entry = Entry::default();
    for hold in ledger::open_holds(ctx.tx, order.id).await? {
        entry.release(&hold, Reason::Voided);
    }
    if !entry.write(ctx.tx, ctx.app.ids, fact).await? {
        return Err(crate::Error::broken("a hold could not be given back"));
    }
    match order.side {
        Side::Buy => fills::release_proceeds(ctx, fact, order.account_id).await,
        Side::Sell => Ok(()),
    }
}

/// The order with this id among the partner's; scope `read`.
pub async fn find(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    id: Uuid,
) -> Result<Option<order::Model>> {
    let access_scope = actor.access_scope(Scope::Read)?;
    Ok(order::Entity::find_by_id(id).filter(of(access_scope)).one(connection).await?)
}

/// Which orders are within reach.
fn of(access_scope: AccessScope) -> Condition {
    all![
        order::Column::PartnerId.eq(access_scope.partner_id),
        accounts::on_accounts_of(access_scope, order::Column::AccountId)
    ]
}

/// Orders in any of these states, or in any at all when none is named.
pub async fn list(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    page: &Page,
    states: &[Status],
) -> Result<Slice<order::Model>> {
    let access_scope = actor.access_scope(Scope::Read)?;
    let mut select = order::Entity::find().filter(of(access_scope));
    if !states.is_empty() {
        select = select.filter(order::Column::Status.is_in(states.iter().copied()));
    }
    page.of(connection, select, order::Column::Id).await
}
