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
    Money, Quantity, fill,
    ledger_account::LedgerKind,
    order::{self, OrderKind, Side, Status, TimeInForce},
    timer::TimerKind,
    transfer,
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, LockType},
};
use uuid::Uuid;

const OPEN: [Status; 3] = [Status::Accepted, Status::New, Status::PartiallyFilled];

/// Places a market order of the day that sells shares for a withdrawal, as `PlaceOrder` does; returns whether it was
/// accepted. The lots are chosen by the method of the account.
pub async fn sell_for(
    ctx: &CommandContext<'_>,
    withdrawal: &transfer::Model,
    instrument_id: Uuid,
    quantity: Quantity,
) -> Result<bool> {
    let place = PlaceOrder {
        account_id: Some(withdrawal.account_id),
        symbol: instrument_id.to_string(),
        side: Side::Sell,
        kind: OrderKind::Market,
        quantity: Some(quantity),
        notional: None,
        limit_price: None,
        stop_price: None,
        time_in_force: TimeInForce::Day,
        lots: LotChoice::default(),
    };
    let order = match place.execute(ctx).await {
        Ok(order) => order,
        Err(Error::Refused(refusal)) => {
            tracing::info!(code = refusal.code.name(), "shares were not sold for a withdrawal");
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let mut row: order::ActiveModel = order.into();
    row.withdrawal_id = Set(Some(withdrawal.id));
    ctx.tx.update(row).await?;
    Ok(true)
}

/// Sets the proceeds of a sale for a withdrawal aside, at most what it still needs, and returns how much. The rest
/// stays in the account.
pub(in crate::trading) async fn set_aside(
    ctx: &CommandContext<'_>,
    entry: &mut Entry,
    withdrawal_id: Uuid,
    unsettled: &AccountId,
    proceeds: Money,
) -> Result<Money> {
    let withdrawal = ctx.tx.row::<transfer::Entity>(withdrawal_id).await?;
    let withdrawal = withdrawal.ok_or_else(|| Error::broken("a sale has no withdrawal"))?;
    if withdrawal.status != transfer::Status::Selling {
        return Ok(Money::ZERO);
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
    Ok(Money::from_units(taken))
}

/// Returns the proceeds of the sales for a withdrawal that it has set aside and that have not settled, and notes that
/// they are no longer set aside.
pub async fn give_back(ctx: &CommandContext<'_>, withdrawal_id: Uuid) -> Result<i64> {
    let sales = order::Entity::find()
        .select_only()
        .column(order::Column::Id)
        .filter(order::Column::WithdrawalId.eq(withdrawal_id));
    let unsettled = Condition::all()
        .add(fill::Column::OrderId.in_subquery(sales.into_query()))
        .add(fill::Column::SettledAt.is_null())
        .add(fill::Column::SetAside.gt(0_i64));
    let amounts = fill::Entity::find().select_only().column(fill::Column::SetAside).filter(unsettled.clone());
    let amounts: Vec<i64> = amounts.into_tuple().all(ctx.tx).await?;
    if !amounts.is_empty() {
        fill::Entity::update_many()
            .col_expr(fill::Column::SetAside, Expr::value(0_i64))
            .filter(unsettled)
            .exec(ctx.tx)
            .await?;
    }
    Ok(amounts.into_iter().fold(0, i64::saturating_add))
}

/// Lets the withdrawal of a sale go on, once the order has ended.
pub(in crate::trading) async fn ended(ctx: &CommandContext<'_>, order: &order::Model) {
    if let Some(withdrawal_id) = order.withdrawal_id {
        ctx.schedule_kind(TimerKind::WithdrawalSell, withdrawal_id, ctx.now).await;
    }
}

/// Returns the sales for a withdrawal, open and ended.
pub async fn sales_for(ctx: &CommandContext<'_>, withdrawal_id: Uuid) -> Result<Vec<order::Model>> {
    let sales = order::Entity::find().filter(order::Column::WithdrawalId.eq(withdrawal_id));
    Ok(sales.all(ctx.tx).await?)
}

/// Returns the open sales for all withdrawals of an account.
pub async fn open_sales(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<Vec<order::Model>> {
    let open = order::Entity::find()
        .filter(order::Column::AccountId.eq(account_id))
        .filter(order::Column::WithdrawalId.is_not_null())
        .filter(order::Column::Status.is_in(OPEN));
    Ok(open.all(ctx.tx).await?)
}

/// Cancels the open sales for a withdrawal.
pub async fn cancel_sales_for(ctx: &CommandContext<'_>, withdrawal_id: Uuid) -> Result<()> {
    let open = order::Entity::find()
        .filter(order::Column::WithdrawalId.eq(withdrawal_id))
        .filter(order::Column::Status.is_in(OPEN))
        .order_by_asc(order::Column::Id);
    cancel(ctx, open.all(ctx.tx).await?).await
}

/// Locks the open purchases of an account, and before them their timers, as whoever cancels one does.
pub async fn lock_purchases(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<()> {
    let ids = open_purchases(account_id).select_only().column(order::Column::Id);
    let found: Vec<Uuid> = ids.clone().into_tuple().all(ctx.tx).await?;
    if found.is_empty() {
        return Ok(());
    }
    ctx.lock_scheduled(&found).await?;
    ids.lock(LockType::NoKeyUpdate).into_tuple::<Uuid>().all(ctx.tx).await?;
    Ok(())
}

/// Cancels the open purchases of an account, so that the cash that they hold is free.
pub async fn cancel_purchases(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<()> {
    cancel(ctx, open_purchases(account_id).all(ctx.tx).await?).await
}

fn open_purchases(account_id: Uuid) -> Select<order::Entity> {
    order::Entity::find()
        .filter(order::Column::AccountId.eq(account_id))
        .filter(order::Column::Side.eq(Side::Buy))
        .filter(order::Column::Status.is_in(OPEN))
        .order_by_asc(order::Column::Id)
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
