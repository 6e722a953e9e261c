//! Routing of orders to the market, their fills, and the settlement of trades.

use super::release_holds;
use crate::{
    Error, Result,
    kernel::{
        calendar,
        command::CommandContext,
        db::WriteTransaction,
        events::{Event, EventBuilder},
        ledger::{self, Entry, LEFT_OF_HOLD, OpenHold, USD},
        scheduler::Due,
    },
    trading::{
        instruments,
        lots::{self, Purchase},
        market,
    },
};
use entity::{
    Kind, Money, Price, Quantity, fill, instrument,
    ledger_account::{self, LedgerKind},
    ledger_release::Reason,
    order::{self, RejectCode, Side, Status},
    timer::TimerKind,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, FromQueryResult,
    QueryFilter, QuerySelect, Statement, sea_query::Expr,
};
use uuid::Uuid;

/// Sends an accepted order to the market: a buy fills at the ask, a sale at the bid, completely and at once.
///
/// Rejects the order and releases its holds if it now costs more than the available cash. Does nothing if the
/// order is no longer accepted.
pub struct RouteOrder;

impl Due for RouteOrder {
    const KIND: TimerKind = TimerKind::OrderRoute;

    async fn run(ctx: &CommandContext<'_>, order_id: Uuid) -> Result<()> {
        let Some((order, holds, follows_losses)) = with_holds(ctx, order_id).await? else { return Ok(()) };
        if order.status != Status::Accepted {
            return Ok(());
        }
        let instrument = instruments::of_order(ctx.app, &order).await?;
        let quote = market::quote(ctx.app, ctx.tx, ctx.partner, &instrument, ctx.now).await?;
        let price = match order.side {
            Side::Buy => quote.ask,
            Side::Sell => quote.bid,
        };
        let amount = Money::cost(order.quantity, price)
            .ok_or_else(|| Error::broken("the amount of a fill exceeds 64 bits"))?;
        let working = order::Model { status: Status::New, ..order.clone() };
        ctx.record(Event::OrderNew((&working).into())).await?;
        match order.side {
            Side::Buy => buy(ctx, order, &holds, &instrument, price, amount, follows_losses).await,
            Side::Sell => sell(ctx, order, &holds, &instrument, price, amount).await,
        }
    }
}

/// Locks an order and returns it with its open holds, oldest first, and whether shares of its instrument were
/// recently sold at a loss.
async fn with_holds(
    ctx: &CommandContext<'_>,
    order_id: Uuid,
) -> Result<Option<(order::Model, Vec<OpenHold>, bool)>> {
    let (losses_since, _) = lots::rules::wash_window(ctx.today());
    let backend = ctx.tx.get_database_backend();
    let lock = if backend == DbBackend::Postgres { " FOR NO KEY UPDATE OF orders" } else { "" };
    let text = format!(
        "SELECT orders.*, ledger_hold.id AS hold_id, ledger_hold.account_id AS hold_account_id, \
         {LEFT_OF_HOLD} AS hold_left, {} AS follows_losses FROM orders LEFT JOIN ledger_hold ON \
         ledger_hold.purpose_id = orders.id \
         WHERE orders.id = $1 ORDER BY ledger_hold.id{lock}",
        lots::has_losses()
    );
    let statement = Statement::from_sql_and_values(backend, text, [order_id.into(), losses_since.into()]);
    let rows = ctx.tx.query_all_raw(statement).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut holds = Vec::new();
    for row in &rows {
        let Some(id) = row.try_get("", "hold_id")? else { continue };
        let hold = OpenHold {
            id,
            account_id: row.try_get("", "hold_account_id")?,
            left: row.try_get("", "hold_left")?,
        };
        holds.extend((hold.left > 0).then_some(hold));
    }
    Ok(Some((order::Model::from_query_result(first, "")?, holds, first.try_get("", "follows_losses")?)))
}

async fn buy(
    ctx: &CommandContext<'_>,
    order: order::Model,
    holds: &[OpenHold],
    instrument: &instrument::Model,
    price: Price,
    amount: Money,
    follows_losses: bool,
) -> Result<()> {
    let [cash, unsettled, units, payable, custody] = ctx
        .lock_ledger_accounts([
            (order.account_id, LedgerKind::Cash, USD),
            (order.account_id, LedgerKind::Unsettled, USD),
            (order.account_id, LedgerKind::Units, &instrument.symbol),
            ctx.house_account(LedgerKind::ClearingPayable, USD),
            ctx.house_account(LedgerKind::Custody, &instrument.symbol),
        ])
        .await?;
    let held_on = |account: &ledger_account::Model| {
        holds.iter().filter(|hold| hold.account_id == account.id).map(|hold| hold.left).sum::<i64>()
    };
    let (cash_power, unsettled_power) =
        (cash.available() + held_on(&cash), unsettled.available() + held_on(&unsettled));
    if !amount.is_positive() || cash_power + unsettled_power < amount.units() {
        return reject(ctx, order, RejectCode::InsufficientBuyingPower).await;
    }
    let from_cash = Ord::min(amount.units(), cash_power);
    let mut event = ctx.event();
    let mut entry = Entry::default();
    for hold in holds {
        entry.release(hold, Reason::Posted);
    }
    entry.post(&cash, &payable, from_cash).post(&unsettled, &payable, amount.units() - from_cash).post(
        &custody,
        &units,
        order.quantity.units(),
    );
    entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
    if holds.iter().any(|hold| hold.account_id == unsettled.id) {
        release_proceeds(ctx, &mut event, order.account_id).await?;
    }
    let fill = filled(ctx, order.clone(), price, amount, event).await?;
    let is_unsettled = from_cash < amount.units();
    let held_before = Quantity::from_units(units.balance());
    lots::bought(ctx, &order, &fill, Purchase { is_unsettled, follows_losses, held_before }).await
}

async fn sell(
    ctx: &CommandContext<'_>,
    order: order::Model,
    holds: &[OpenHold],
    instrument: &instrument::Model,
    price: Price,
    amount: Money,
) -> Result<()> {
    if !amount.is_positive() {
        return reject(ctx, order, RejectCode::Invalid).await;
    }
    let mut event = ctx.event();
    let mut entry = Entry::default();
    for hold in holds {
        entry.release(hold, Reason::Posted);
    }
    let [units, unsettled, custody, receivable] = ctx
        .ledger_accounts([
            (order.account_id, LedgerKind::Units, &instrument.symbol),
            (order.account_id, LedgerKind::Unsettled, USD),
            ctx.house_account(LedgerKind::Custody, &instrument.symbol),
            ctx.house_account(LedgerKind::ClearingReceivable, USD),
        ])
        .await?;
    entry.post(&units, &custody, order.quantity.units()).post(&receivable, &unsettled, amount.units());
    entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
    let fill = filled(ctx, order.clone(), price, amount, event).await?;
    lots::sold(ctx, &order, &fill).await
}

async fn filled(
    ctx: &CommandContext<'_>,
    order: order::Model,
    price: Price,
    amount: Money,
    event: EventBuilder,
) -> Result<fill::Model> {
    let fill = fill::Model {
        id: ctx.app.ids.next(Kind::Fill),
        partner_id: order.partner_id,
        account_id: order.account_id,
        order_id: order.id,
        number: 1,
        side: order.side,
        quantity: order.quantity,
        price,
        amount,
        traded_at: ctx.now,
        settles_at: calendar::trade_settles_at(ctx.now),
        settled_at: None,
    };
    ctx.schedule::<SettleTrade>(fill.id, fill.settles_at).await;
    ctx.tx.insert(&fill).await;
    let quantity = order.quantity;
    let mut row: order::ActiveModel = order.into();
    row.status = Set(Status::Filled);
    row.filled_quantity = Set(quantity);
    row.filled_average_price = Set(Some(price));
    row.filled_at = Set(Some(ctx.now));
    let order = ctx.tx.update(row).await?;
    event.record(ctx.tx, Event::OrderFilled { order: (&order).into(), price: Some(price) }).await?;
    Ok(fill)
}

async fn reject(ctx: &CommandContext<'_>, order: order::Model, why: RejectCode) -> Result<()> {
    let mut event = ctx.event();
    release_holds(ctx, &mut event, &order).await?;
    let mut row: order::ActiveModel = order.into();
    row.status = Set(Status::Rejected);
    row.reject_code = Set(Some(why));
    row.failed_at = Set(Some(ctx.now));
    let order = ctx.tx.update(row).await?;
    event.record(ctx.tx, Event::OrderRejected((&order).into())).await
}

/// Settles a trade: moves the amount owed to or by the clearing house through the bank account, and turns
/// proceeds of sales into cash. Does nothing if the trade has already settled.
pub struct SettleTrade;

impl Due for SettleTrade {
    const KIND: TimerKind = TimerKind::TradeSettle;

    async fn prefetch(tx: &WriteTransaction, fill_ids: &[Uuid]) -> Result<()> {
        tx.prefetch::<fill::Entity>(fill_ids).await
    }

    async fn run(ctx: &CommandContext<'_>, fill_id: Uuid) -> Result<()> {
        let fill = ctx.tx.row::<fill::Entity>(fill_id).await?;
        let Some(fill) = fill.filter(|fill| fill.settled_at.is_none()) else { return Ok(()) };
        let amount = fill.amount.units();
        let mut row: fill::ActiveModel = fill.into();
        row.settled_at = Set(Some(ctx.now));
        let fill = ctx.tx.update(row).await?;
        let mut event = ctx.event();
        let mut entry = Entry::default();
        let [fbo, payable, receivable] = ctx
            .ledger_accounts([
                ctx.house_account(LedgerKind::BankFbo, USD),
                ctx.house_account(LedgerKind::ClearingPayable, USD),
                ctx.house_account(LedgerKind::ClearingReceivable, USD),
            ])
            .await?;
        match fill.side {
            Side::Buy => {
                entry.post(&payable, &fbo, amount);
            }
            Side::Sell => {
                entry.post(&fbo, &receivable, amount);
                proceeds_to_cash(ctx, &mut entry, fill.account_id).await?;
            }
        }
        entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
        event.record(ctx.tx, Event::TradeSettled((&fill).into())).await
    }
}

/// Turns proceeds into cash that settled while an order held them, once the order has released them.
pub(super) async fn release_proceeds(
    ctx: &CommandContext<'_>,
    event: &mut EventBuilder,
    account_id: Uuid,
) -> Result<()> {
    let mut entry = Entry::default();
    proceeds_to_cash(ctx, &mut entry, account_id).await?;
    entry.write_later(ctx.tx, ctx.app.ids, event).await
}

/// Moves the proceeds of sales that no longer wait for settlement to cash. Unsettled proceeds that were
/// already spent are not paid out again, and proceeds held by open orders stay until they are released.
async fn proceeds_to_cash(ctx: &CommandContext<'_>, entry: &mut Entry, account_id: Uuid) -> Result<()> {
    let [unsettled, cash] =
        ledger::lock(ctx.tx, account_id, [LedgerKind::Unsettled, LedgerKind::Cash]).await?;
    let waiting = fill::Entity::find()
        .select_only()
        .column_as(Expr::col(fill::Column::Amount).sum().cast_as("bigint"), "amount")
        .filter(fill::Column::AccountId.eq(account_id))
        .filter(fill::Column::Side.eq(Side::Sell))
        .filter(fill::Column::SettledAt.is_null())
        .into_tuple::<Option<i64>>()
        .one(ctx.tx)
        .await?
        .flatten()
        .unwrap_or(0);
    let settled =
        Ord::min(unsettled.balance().saturating_sub(waiting), unsettled.available()).clamp(0, i64::MAX);
    entry.post(&unsettled, &cash, settled);
    Ok(())
}
