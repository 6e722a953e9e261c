//! Orders of an account that transfers start or end: sales for a withdrawal, and purchases with money that a bank
//! took back.

use super::{PlaceOrder, locked};
use crate::{
    Error, Result,
    kernel::{
        command::{Command, CommandContext},
        ledger::{AccountId, Entry, USD},
    },
    trading::{
        executions::Working,
        lots::LotChoice,
        venue::{CancelReply, Paper, Venue},
    },
};
use entity::{
    Money, Quantity,
    ledger_account::LedgerKind,
    order::{self, OrderKind, Side, Status, TimeInForce},
    timer::TimerKind,
    transfer,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

const OPEN: [Status; 3] = [Status::Accepted, Status::New, Status::PartiallyFilled];

/// Places a market order of the day that sells shares for a withdrawal, as `PlaceOrder` does. The lots are chosen by
/// the method of the account.
pub async fn sell_for(
    ctx: &CommandContext<'_>,
    withdrawal: &transfer::Model,
    symbol: &str,
    quantity: Quantity,
) -> Result<order::Model> {
    let place = PlaceOrder {
        account_id: Some(withdrawal.account_id),
        symbol: symbol.to_owned(),
        side: Side::Sell,
        kind: OrderKind::Market,
        quantity: Some(quantity),
        notional: None,
        limit_price: None,
        stop_price: None,
        time_in_force: TimeInForce::Day,
        lots: LotChoice::default(),
    };
    let mut row: order::ActiveModel = place.execute(ctx).await?.into();
    row.withdrawal_id = Set(Some(withdrawal.id));
    ctx.tx.update(row).await
}

/// Sets the proceeds of a sale for a withdrawal aside, at most what it still needs. The rest stays in the account.
pub(in crate::trading) async fn set_aside(
    ctx: &CommandContext<'_>,
    entry: &mut Entry,
    withdrawal_id: Uuid,
    unsettled: &AccountId,
    proceeds: Money,
) -> Result<()> {
    let withdrawal = ctx.tx.row::<transfer::Entity>(withdrawal_id).await?;
    let withdrawal = withdrawal.ok_or_else(|| Error::broken("a sale has no withdrawal"))?;
    if withdrawal.status != transfer::Status::Selling {
        return Ok(());
    }
    let needed = withdrawal.amount.units() - withdrawal.set_aside.units();
    let taken = proceeds.units().min(needed).max(0);
    let [pending] =
        ctx.ledger_accounts([(withdrawal.account_id, LedgerKind::PendingWithdrawal, USD)]).await?;
    entry.post(unsettled, &pending, taken);
    let total = withdrawal.set_aside.units() + taken;
    let mut row: transfer::ActiveModel = withdrawal.into();
    row.set_aside = Set(Money::from_units(total));
    ctx.tx.update(row).await?;
    Ok(())
}

/// Lets the withdrawal of a sale go on, once the order has ended.
pub(in crate::trading) async fn ended(ctx: &CommandContext<'_>, order: &order::Model) {
    if let Some(withdrawal_id) = order.withdrawal_id {
        ctx.schedule_kind(TimerKind::WithdrawalSell, withdrawal_id, ctx.now).await;
    }
}

/// Returns whether a sale for this withdrawal is open.
pub async fn has_open_sales(ctx: &CommandContext<'_>, withdrawal_id: Uuid) -> Result<bool> {
    let open = order::Entity::find()
        .filter(order::Column::WithdrawalId.eq(withdrawal_id))
        .filter(order::Column::Status.is_in(OPEN));
    Ok(open.one(ctx.tx).await?.is_some())
}

/// Cancels the open sales for a withdrawal.
pub async fn cancel_sales_for(ctx: &CommandContext<'_>, withdrawal_id: Uuid) -> Result<()> {
    let open = order::Entity::find()
        .filter(order::Column::WithdrawalId.eq(withdrawal_id))
        .filter(order::Column::Status.is_in(OPEN))
        .order_by_asc(order::Column::Id);
    cancel(ctx, open.all(ctx.tx).await?).await
}

/// Cancels the open purchases of an account, so that the cash that they hold is free.
pub async fn cancel_purchases(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<()> {
    let open = order::Entity::find()
        .filter(order::Column::AccountId.eq(account_id))
        .filter(order::Column::Side.eq(Side::Buy))
        .filter(order::Column::Status.is_in(OPEN))
        .order_by_asc(order::Column::Id);
    cancel(ctx, open.all(ctx.tx).await?).await
}

async fn cancel(ctx: &CommandContext<'_>, orders: Vec<order::Model>) -> Result<()> {
    for order in orders {
        ctx.unschedule_all(order.id).await?;
        let mut working: Working = locked(ctx, order.id).await?;
        if Paper.cancel(ctx, &working.order).await? == CancelReply::Canceled {
            working.end(ctx, Status::Canceled, None).await?;
        }
    }
    Ok(())
}
