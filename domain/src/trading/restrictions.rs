//! Settlement rules of cash accounts: what happens when shares are sold before the money that bought them has
//! settled, or without that it ever does.

use crate::{
    Error, Result, Visible,
    kernel::{command::CommandContext, events::Event, visible::Owner},
};
use chrono::{DateTime, Days, Months, Utc};
use entity::{
    Kind, account, fill, lot_closing,
    settlement_violation::{self, ViolationKind},
    tax_lot, transfer,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Statement,
};
use uuid::Uuid;

/// Number of good-faith violations within twelve months that restricts an account, and for how many days (FINRA's
/// and brokers' practice under Regulation T, 12 CFR 220.8).
const MAX_VIOLATIONS: u64 = 3;
pub const RESTRICTED_DAYS: u64 = 90;

/// Violations are visible to those who see their account.
impl Visible for settlement_violation::Entity {
    const ID: settlement_violation::Column = settlement_violation::Column::Id;
    const OWNER: Owner<settlement_violation::Column> = Owner::of::<account::Entity>(
        settlement_violation::Column::PartnerId,
        settlement_violation::Column::AccountId,
    );
}

/// Whether only settled cash buys shares for this account at this time.
pub fn is_settled_cash_only(account: &account::Model, at: DateTime<Utc>) -> bool {
    account.settled_cash_only_until.is_some_and(|until| at < until)
}

/// Records that a fill sold shares before the money that bought them settled: a good-faith violation.
///
/// The third within twelve months restricts the account to settled cash for 90 days: orders that are placed or replaced
/// from then on hold settled cash only. An order that is open already keeps what it holds.
pub async fn sold_before_settlement(
    ctx: &CommandContext<'_>,
    fill: &fill::Model,
    funds_settle_at: DateTime<Utc>,
) -> Result<()> {
    use settlement_violation::Column;
    let year_ago = fill.traded_at.checked_sub_months(Months::new(12)).unwrap_or(DateTime::UNIX_EPOCH);
    let earlier = settlement_violation::Entity::find()
        .filter(Column::AccountId.eq(fill.account_id))
        .filter(Column::Kind.eq(ViolationKind::GoodFaith))
        .filter(Column::OccurredAt.gt(year_ago))
        .count(ctx.tx)
        .await?;
    ctx.tx
        .insert(&settlement_violation::Model {
            id: ctx.app.ids.next(Kind::SettlementViolation),
            partner_id: fill.partner_id,
            account_id: fill.account_id,
            kind: ViolationKind::GoodFaith,
            fill_id: fill.id,
            occurred_at: fill.traded_at,
            funds_settle_at,
        })
        .await;
    if earlier + 1 < MAX_VIOLATIONS {
        return Ok(());
    }
    let account = ctx.tx.row::<account::Entity>(fill.account_id).await?;
    let mut row: account::ActiveModel = account.ok_or_else(|| Error::broken("a fill has no account"))?.into();
    row.settled_cash_only_until = Set(fill.traded_at.checked_add_days(Days::new(RESTRICTED_DAYS)));
    let account = ctx.tx.update(row).await?;
    ctx.record(Event::AccountUpdated((&account).into())).await
}

/// Records free-riding if shares were bought with a deposit that has been returned, and sold since; returns whether
/// that happened.
///
/// A sale that was recorded before, for an earlier return of the deposit, does not count again. Must be called before
/// the return is booked.
pub async fn sold_without_paying(
    ctx: &CommandContext<'_>,
    deposit: &transfer::Model,
    funds_settle_at: DateTime<Utc>,
) -> Result<bool> {
    let purchases = purchases_with(ctx, deposit).await?;
    if purchases.is_empty() {
        return Ok(false);
    }
    let lots = tax_lot::Entity::find()
        .select_only()
        .column(tax_lot::Column::Id)
        .filter(tax_lot::Column::PurchaseId.is_in(purchases));
    let known = settlement_violation::Entity::find()
        .select_only()
        .column(settlement_violation::Column::FillId)
        .filter(settlement_violation::Column::AccountId.eq(deposit.account_id))
        .filter(settlement_violation::Column::Kind.eq(ViolationKind::FreeRiding));
    // A split closes lots too, without a fill.
    let sold: Vec<(Uuid, DateTime<Utc>)> = lot_closing::Entity::find()
        .select_only()
        .columns([lot_closing::Column::FillId, lot_closing::Column::ClosedAt])
        .filter(lot_closing::Column::LotId.in_subquery(lots.into_query()))
        .filter(lot_closing::Column::FillId.is_not_null())
        .filter(lot_closing::Column::FillId.not_in_subquery(known.into_query()))
        .group_by(lot_closing::Column::FillId)
        .group_by(lot_closing::Column::ClosedAt)
        .order_by_asc(lot_closing::Column::FillId)
        .into_tuple()
        .all(ctx.tx)
        .await?;
    for (fill_id, occurred_at) in &sold {
        ctx.tx
            .insert(&settlement_violation::Model {
                id: ctx.app.ids.next(Kind::SettlementViolation),
                partner_id: deposit.partner_id,
                account_id: deposit.account_id,
                kind: ViolationKind::FreeRiding,
                fill_id: *fill_id,
                occurred_at: *occurred_at,
                funds_settle_at,
            })
            .await;
    }
    Ok(!sold.is_empty())
}

/// Returns the ids of the orders whose purchases a deposit paid for, at least in part, since it was last returned.
///
/// A purchase was paid with the deposit if the account's settled and unsettled cash, less what it owed, did not cover
/// it without this deposit and those that were canceled, failed or were returned. Cash of several deposits is not told
/// apart, so the history of the account is worked out again as if the money had never come.
pub async fn purchases_with(ctx: &CommandContext<'_>, deposit: &transfer::Model) -> Result<Vec<Uuid>> {
    let text = "SELECT DISTINCT stream_id FROM ( \
        SELECT stream_id, kind, occurred_at, change, sum(change) OVER (ORDER BY id) AS cash FROM ( \
        SELECT event.id AS id, event.stream_id AS stream_id, event.type AS kind, event.occurred_at AS occurred_at, \
        sum(CASE WHEN moved.credit_account_id = own.id THEN moved.amount ELSE -moved.amount END) AS change \
        FROM ledger_account AS own \
        JOIN ledger_transfer AS moved ON (moved.credit_account_id = own.id OR moved.debit_account_id = own.id) \
        JOIN event ON event.id = moved.cause_id \
        WHERE own.owner_id = $1 AND own.asset = 'USD' AND own.kind IN ('cash', 'unsettled', 'receivable') \
        AND event.stream_id <> $2 AND event.stream_id NOT IN (SELECT id FROM transfer WHERE account_id = $1 \
        AND direction = 'deposit' AND status IN ('canceled', 'failed', 'returned')) \
        GROUP BY event.id, event.stream_id, event.type, event.occurred_at) AS changes) AS history \
        WHERE change < 0 AND cash < 0 AND kind LIKE 'order.%' AND occurred_at >= $3 ORDER BY stream_id";
    let since = deposit.returned_at.unwrap_or(deposit.created_at);
    let values = [deposit.account_id.into(), deposit.id.into(), since.into()];
    let statement = Statement::from_sql_and_values(ctx.tx.get_database_backend(), text, values);
    let rows = ctx.tx.query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get("", "stream_id").map_err(Error::from)).collect()
}
