//! Settlement rules of cash accounts: what happens when shares are sold before the money that bought them has
//! settled.

use crate::{
    Error, Result, Visible,
    kernel::{command::CommandContext, events::Event, visible::Owner},
};
use chrono::{DateTime, Days, Months, Utc};
use entity::{
    Kind, account, fill,
    settlement_violation::{self, ViolationKind},
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

/// Number of good-faith violations within twelve months that restricts an account, and for how many days (FINRA's
/// and brokers' practice under Regulation T, 12 CFR 220.8).
const MAX_VIOLATIONS: u64 = 3;
const RESTRICTED_DAYS: u64 = 90;

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
