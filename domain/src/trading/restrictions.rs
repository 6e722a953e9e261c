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
/// A purchase was paid with the deposit if the account's settled and unsettled cash, without the movements of the
/// deposit, did not cover it. Must be called before the return is booked.
pub async fn sold_without_paying(
    ctx: &CommandContext<'_>,
    deposit: &transfer::Model,
    funds_settle_at: DateTime<Utc>,
) -> Result<bool> {
    let purchases = purchases_with(ctx, deposit).await?;
    let lots = tax_lot::Entity::find()
        .select_only()
        .column(tax_lot::Column::Id)
        .filter(tax_lot::Column::PurchaseId.is_in(purchases));
    let sold = lot_closing::Entity::find()
        .filter(lot_closing::Column::LotId.in_subquery(lots.into_query()))
        .filter(lot_closing::Column::FillId.is_not_null())
        .order_by_asc(lot_closing::Column::Id)
        .one(ctx.tx)
        .await?;
    // A split closes lots too, without a fill.
    let Some((sold, fill_id)) = sold.and_then(|sold| sold.fill_id.map(|id| (sold, id))) else {
        return Ok(false);
    };
    let known = settlement_violation::Entity::find()
        .filter(settlement_violation::Column::FillId.eq(fill_id))
        .filter(settlement_violation::Column::Kind.eq(ViolationKind::FreeRiding));
    if known.one(ctx.tx).await?.is_none() {
        ctx.tx
            .insert(&settlement_violation::Model {
                id: ctx.app.ids.next(Kind::SettlementViolation),
                partner_id: deposit.partner_id,
                account_id: deposit.account_id,
                kind: ViolationKind::FreeRiding,
                fill_id,
                occurred_at: sold.closed_at,
                funds_settle_at,
            })
            .await;
    }
    Ok(true)
}

/// Returns the ids of the orders whose purchases the deposit paid for, at least in part.
async fn purchases_with(ctx: &CommandContext<'_>, deposit: &transfer::Model) -> Result<Vec<Uuid>> {
    let text = "SELECT event.stream_id AS stream_id, CAST(sum(CASE WHEN ledger_transfer.credit_account_id = \
        ledger_account.id THEN ledger_transfer.amount ELSE -ledger_transfer.amount END) AS bigint) AS change FROM \
        ledger_account JOIN ledger_transfer ON ledger_account.id IN (ledger_transfer.credit_account_id, \
        ledger_transfer.debit_account_id) JOIN event ON event.id = ledger_transfer.cause_id WHERE \
        ledger_account.owner_id = $1 AND ledger_account.asset = 'USD' AND ledger_account.kind IN ('cash', \
        'unsettled') AND event.stream_id <> $2 GROUP BY event.id, event.stream_id ORDER BY event.id";
    let values = [deposit.account_id.into(), deposit.id.into()];
    let statement = Statement::from_sql_and_values(ctx.tx.get_database_backend(), text, values);
    let mut cash = 0_i64;
    let mut purchases = Vec::new();
    for row in ctx.tx.query_all_raw(statement).await? {
        let change: i64 = row.try_get("", "change")?;
        cash = cash.saturating_add(change);
        if change < 0 && cash < 0 {
            purchases.push(row.try_get("", "stream_id")?);
        }
    }
    Ok(purchases)
}
