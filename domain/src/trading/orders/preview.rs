//! Previews: what an order would hold, cost or earn.

use super::{PlaceOrder, reference_price};
use crate::{
    Actor, Error, Result, Scope,
    kernel::{
        app::App,
        clock,
        command::{Command, CommandContext},
        ledger,
    },
    trading::{fees, instruments, market, restrictions::is_settled_cash_only},
};
use entity::{
    Money, Price, Quantity, account,
    ledger_account::LedgerKind,
    order::{self, Side},
};

/// What an order would do if it was placed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    pub side: Side,
    pub quantity: Quantity,
    /// Price at which it is valued: the limit price, the stop price, or else the ask of a purchase and the bid of
    /// a sale.
    pub price: Price,
    /// What it would cost or earn at that price, before fees.
    pub amount: Money,
    /// Fees of a sale at that price.
    pub fees: Money,
    /// Cash that it would hold.
    pub held_cash: Money,
    /// Shares that it would hold.
    pub held_shares: Quantity,
    /// Buying power while it holds its cash.
    pub buying_power: Money,
}

/// Returns what an order would hold, cost or earn, or the refusal that it would get; changes nothing. Requires
/// scope `trade`.
///
/// The order is placed in a transaction that is rolled back, so that the answer is the one that `PlaceOrder` would
/// give.
pub async fn preview(app: &App, actor: &Actor, place: PlaceOrder) -> Result<Preview> {
    let caller = actor.self_or_caller(Scope::Trade)?;
    place.check(caller.mode)?;
    let tx = app.db.write().await?;
    let partner = clock::partner(&tx, caller.access_scope.partner_id).await?;
    let ctx = CommandContext {
        app,
        tx: &tx,
        partner: &partner,
        access_scope: caller.access_scope,
        actor_id: Some(caller.principal_id),
        now: clock::now_of(&partner),
    };
    let order = place.execute(&ctx).await?;
    of(&ctx, &order).await
}

async fn of(ctx: &CommandContext<'_>, order: &order::Model) -> Result<Preview> {
    let instrument = instruments::of_order(ctx.app, order).await?;
    let quote = market::quote(ctx.app, ctx.tx, ctx.partner, &instrument, ctx.now).await?;
    let price = match order.side {
        Side::Buy => quote.ask,
        Side::Sell => quote.bid,
    };
    let price = reference_price(order, price);
    let amount = Money::cost(order.quantity, price)
        .ok_or_else(|| Error::broken("the amount of a preview exceeds 64 bits"))?;
    let fees = fees::of(&ctx.settings()?, order.side, order.quantity, amount)
        .ok_or_else(|| Error::broken("the fees of a preview exceed 64 bits"))?;
    let held: i64 = ledger::open_holds(ctx.tx, order.id).await?.iter().map(|hold| hold.left).sum();
    let [cash, unsettled] =
        ledger::lock(ctx.tx, order.account_id, [LedgerKind::Cash, LedgerKind::Unsettled]).await?;
    let (held_cash, held_shares) = match order.side {
        Side::Buy => (held, 0),
        Side::Sell => (0, held),
    };
    let account = ctx.tx.row::<account::Entity>(order.account_id).await?;
    let only_settled = account.is_some_and(|account| is_settled_cash_only(&account, ctx.now));
    let proceeds = if only_settled { 0 } else { unsettled.available() };
    Ok(Preview {
        side: order.side,
        quantity: order.quantity,
        price,
        amount,
        fees: fees.total(),
        held_cash: Money::from_units(held_cash),
        held_shares: Quantity::from_units(held_shares),
        buying_power: Money::from_units(cash.available() + proceeds),
    })
}
