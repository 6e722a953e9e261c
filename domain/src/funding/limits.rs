//! Limits of deposits and withdrawals.

use crate::{
    Code, Refusal, Result,
    kernel::{calendar, command::CommandContext, partner_settings::PartnerSettings},
};
use chrono::Duration;
use entity::{
    Money,
    transfer::{self, Direction, Status},
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QuerySelect, Select, sea_query::Expr,
};
use std::collections::HashMap;
use uuid::Uuid;

/// Refuses an amount that is not above zero, or above the most that an ACH entry can carry.
pub fn check_amount(amount: Money, most: Money) -> Result<()> {
    if !amount.is_positive() {
        return Err(Refusal::invalid("amount", "must be above zero").into());
    }
    check_limit(amount, most)
}

/// Refuses an amount above the limit of one transfer.
pub fn check_limit(amount: Money, limit: Money) -> Result<()> {
    if amount > limit {
        return Err(Refusal::invalid("amount", format!("must be at most {limit}")).into());
    }
    Ok(())
}

/// Refuses an amount that would exceed the sum of one day in New York for one account and direction. Canceled and
/// failed transfers do not count. The partner must be locked unless the limit is the highest possible one.
pub async fn check_day(
    ctx: &CommandContext<'_>,
    account_id: Uuid,
    direction: Direction,
    amount: Money,
    limit: Money,
) -> Result<()> {
    if limit == PartnerSettings::MAX_DAILY {
        return Ok(());
    }
    let midnight = calendar::at_new_york(ctx.today(), 0, 0);
    let of_day = transfer::Entity::find()
        .filter(transfer::Column::AccountId.eq(account_id))
        .filter(transfer::Column::Direction.eq(direction))
        .filter(transfer::Column::CreatedAt.gte(midnight))
        .filter(transfer::Column::Status.is_not_in([Status::Canceled, Status::Failed]));
    let left = limit.units().saturating_sub(sum(ctx, of_day, transfer::Column::Amount).await?);
    if amount.units() <= left {
        return Ok(());
    }
    let left = Money::from_units(Ord::max(left, 0));
    let text = format!("The limit of one day is ${limit}, of which ${left} is left today.");
    Err(Refusal::new(Code::LimitExceeded, "amount", text).into())
}

/// Returns the sum of the deposits of an account, or of all, that can be spent although they have not settled.
pub async fn instant_credit(ctx: &CommandContext<'_>, account_id: Option<Uuid>) -> Result<i64> {
    let mut open = transfer::Entity::find()
        .filter(transfer::Column::PartnerId.eq(ctx.partner.id))
        .filter(transfer::Column::InstantAmount.gt(0_i64))
        .filter(transfer::Column::Status.is_in([Status::Pending, Status::Submitted]))
        .filter(transfer::Column::Presentments.lte(1));
    if let Some(account_id) = account_id {
        open = open.filter(transfer::Column::AccountId.eq(account_id));
    }
    sum(ctx, open, transfer::Column::InstantAmount).await
}

/// Returns what is left, for each other bank account, of the deposits that came from it and settled less than so many
/// days ago: less what was withdrawn to it in this time.
pub async fn kept_for_others(
    ctx: &CommandContext<'_>,
    account_id: Uuid,
    bank_account_id: Uuid,
    days: i32,
) -> Result<i64> {
    use transfer::Column;
    if days == 0 {
        return Ok(0);
    }
    let since = ctx.now - Duration::days(days.into());
    let deposits = Condition::all().add(Column::Status.eq(Status::Settled)).add(Column::SettledAt.gt(since));
    let withdrawals = Condition::all()
        .add(Column::Direction.eq(Direction::Withdrawal))
        .add(Column::Status.is_not_in([Status::Canceled, Status::Failed, Status::Returned]))
        .add(Column::CreatedAt.gt(since));
    let transfers = transfer::Entity::find()
        .select_only()
        .columns([Column::BankAccountId, Column::Direction, Column::Amount])
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::BankAccountId.ne(bank_account_id))
        .filter(deposits.or(withdrawals))
        .into_tuple::<(Uuid, Direction, Money)>()
        .all(ctx.tx)
        .await?;
    let mut kept: HashMap<Uuid, i64> = HashMap::new();
    for (bank_account_id, direction, amount) in transfers {
        let left = kept.entry(bank_account_id).or_default();
        *left = match direction {
            Direction::Deposit => left.saturating_add(amount.units()),
            Direction::Withdrawal => left.saturating_sub(amount.units()),
        };
    }
    Ok(kept.into_values().filter(|left| *left > 0).fold(0, i64::saturating_add))
}

/// Returns what the account's withdrawals have still to raise by sales.
pub async fn promised(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<i64> {
    let raising = transfer::Entity::find()
        .filter(transfer::Column::AccountId.eq(account_id))
        .filter(transfer::Column::Direction.eq(Direction::Withdrawal))
        .filter(transfer::Column::Status.is_in([Status::Pending, Status::Selling]))
        .filter(transfer::Column::SubmitsAt.is_null());
    let amount = sum(ctx, raising.clone(), transfer::Column::Amount).await?;
    Ok(amount.saturating_sub(sum(ctx, raising, transfer::Column::SetAside).await?))
}

async fn sum(
    ctx: &CommandContext<'_>,
    rows: Select<transfer::Entity>,
    column: transfer::Column,
) -> Result<i64> {
    let sum = rows.select_only().column_as(Expr::col(column).sum().cast_as("bigint"), "sum");
    let sum = sum.into_tuple::<Option<i64>>().one(ctx.tx).await?;
    Ok(sum.flatten().unwrap_or(0))
}
