//! Settlement of trades.

use crate::{
    Result,
    kernel::{
        command::CommandContext,
        db::WriteTransaction,
        events::{Event, EventBuilder},
        ledger::{self, Entry, USD},
        scheduler::Due,
    },
};
use entity::{fill, ledger_account::LedgerKind, order::Side, timer::TimerKind};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

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

/// What the customer receives for a sale: its price less its fees.
fn net_amount() -> Expr {
    use fill::Column;
    Expr::col(Column::Amount).sub(Expr::col(Column::SecFee)).sub(Expr::col(Column::TradingActivityFee))
}

/// Turns proceeds into cash that settled while an order held them, once the order has released them.
pub(in crate::trading) async fn release_proceeds(
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
        .column_as(net_amount().sum().cast_as("bigint"), "amount")
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
