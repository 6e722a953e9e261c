//! Settlement of trades.

use crate::{
    Error, Result,
    kernel::{
        command::CommandContext,
        db::WriteTransaction,
        events::{Event, EventBuilder},
        ledger::{self, Entry, USD},
        scheduler::Due,
    },
    trading::receivables,
};
use chrono::{DateTime, Utc};
use entity::{fill, ledger_account::LedgerKind, order::Side, timer::TimerKind};
use sea_orm::{ActiveValue::Set, ConnectionTrait, Statement, Value};
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

/// Turns proceeds into cash that settled while an order held them, once the order has released them.
pub async fn release_proceeds(
    ctx: &CommandContext<'_>,
    event: &mut EventBuilder,
    account_id: Uuid,
) -> Result<()> {
    let mut entry = Entry::default();
    proceeds_to_cash(ctx, &mut entry, account_id).await?;
    entry.write_later(ctx.tx, ctx.app.ids, event).await
}

/// Moves the proceeds of sales that no longer wait for settlement to cash. Unsettled proceeds that were
/// already spent are not paid out again, and proceeds held by open orders stay until they are released. What the
/// account owes is repaid at once.
async fn proceeds_to_cash(ctx: &CommandContext<'_>, entry: &mut Entry, account_id: Uuid) -> Result<()> {
    let kinds = [LedgerKind::Unsettled, LedgerKind::Cash, LedgerKind::Receivable];
    let accounts = ledger::lock_opened(ctx.tx, account_id, kinds).await?;
    let [unsettled, cash] = ledger::of_kinds(&accounts, [LedgerKind::Unsettled, LedgerKind::Cash])?;
    let waiting = waiting(ctx, account_id).await?;
    let settled =
        Ord::min(unsettled.balance().saturating_sub(waiting), unsettled.available()).clamp(0, i64::MAX);
    entry.post(&unsettled, &cash, settled);
    receivables::repay(entry, &accounts, settled);
    Ok(())
}

/// Returns the cents that wait for settlement: sales, without what withdrawals have set aside of their own ones, and
/// deposits that could be spent at once.
pub async fn waiting(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<i64> {
    let text = "SELECT CAST(coalesce((SELECT sum(fill.amount - fill.sec_fee - fill.trading_activity_fee - \
        fill.set_aside) FROM fill WHERE fill.account_id = $1 AND fill.side = 'sell' AND fill.settled_at IS NULL), 0) \
        + coalesce((SELECT \
        sum(transfer.instant_amount) FROM transfer WHERE transfer.partner_id = $2 AND transfer.account_id = $1 AND \
        transfer.instant_amount > 0 AND transfer.status IN ('pending', 'submitted') AND transfer.presentments <= 1), \
        0) AS bigint) AS amount";
    sum(ctx, text, [account_id.into(), ctx.partner.id.into()]).await
}

/// Returns the cents of sales that settle by a time and have not settled, without what withdrawals have set aside of
/// their own ones.
pub async fn unsettled_until(
    ctx: &CommandContext<'_>,
    account_id: Uuid,
    until: DateTime<Utc>,
) -> Result<i64> {
    let text = "SELECT CAST(coalesce(sum(fill.amount - fill.sec_fee - fill.trading_activity_fee - fill.set_aside), 0) \
        AS bigint) AS amount FROM fill WHERE fill.account_id = $1 AND fill.side = 'sell' AND fill.settled_at IS NULL \
        AND fill.settles_at <= $2";
    sum(ctx, text, [account_id.into(), until.into()]).await
}

async fn sum(ctx: &CommandContext<'_>, text: &str, values: [Value; 2]) -> Result<i64> {
    let statement = Statement::from_sql_and_values(ctx.tx.get_database_backend(), text, values);
    let row = ctx.tx.query_one_raw(statement).await?;
    row.ok_or_else(|| Error::broken("a sum has no row"))?.try_get("", "amount").map_err(Error::from)
}
