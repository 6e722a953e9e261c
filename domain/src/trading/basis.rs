//! Splits of an instrument for one partner: prices and quantities from before a split, in shares after it.

use super::{lots::rules::scaled, orders::ticks};
use crate::Result;
use chrono::{DateTime, Utc};
use entity::{
    Price, Quantity,
    corporate_action::{self, Column},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

pub(super) use ticks::Rounding;

/// A split or reverse split that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    pub at: DateTime<Utc>,
    pub new_shares: i64,
    pub old_shares: i64,
}

/// Returns the splits of an instrument that were applied to the shares of a partner, oldest first.
pub async fn splits(
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    instrument_id: Uuid,
) -> Result<Vec<Split>> {
    let actions = corporate_action::Entity::find()
        .filter(Column::PartnerId.eq(partner_id))
        .filter(Column::InstrumentId.eq(instrument_id))
        .filter(Column::NewShares.is_not_null())
        .filter(Column::ProcessedAt.is_not_null())
        .order_by_asc(Column::ProcessedAt)
        .order_by_asc(Column::Id)
        .all(connection)
        .await?;
    let split = |action: &corporate_action::Model| {
        Some(Split {
            at: action.processed_at?,
            new_shares: action.new_shares?,
            old_shares: action.old_shares?,
        })
    };
    Ok(actions.iter().filter_map(split).collect())
}

/// Returns the splits after a time.
pub fn after(splits: &[Split], time: DateTime<Utc>) -> impl DoubleEndedIterator<Item = &Split> {
    splits.iter().filter(move |split| split.at > time)
}

/// Returns a price from `time` in shares of today: divided by each later split, and rounded to the tick. At least a
/// hundredth of a cent.
pub(super) fn price(
    splits: &[Split],
    symbol: &str,
    price: Price,
    time: DateTime<Utc>,
    rounding: Rounding,
) -> Price {
    after(splits, time).fold(price, |price, split| {
        let exact = i128::from(price.units()) * i128::from(split.old_shares);
        ticks::round(symbol, exact, split.new_shares.into(), rounding).unwrap_or(Price::from_units(1))
    })
}

/// Returns the base price of a simulated market after these splits, in ten-thousandths of a dollar: rounded half up,
/// and at least one.
pub(super) fn base_price<'a>(base_price: i64, splits: impl Iterator<Item = &'a Split>) -> i64 {
    splits.fold(base_price, |price, split| {
        let (new, old) = (i128::from(split.new_shares), i128::from(split.old_shares));
        let rounded = (i128::from(price) * old * 2 + new) / (new * 2);
        i64::try_from(rounded).unwrap_or(i64::MAX).max(1)
    })
}

/// Returns a quantity from `time` in shares of today, rounded down to a hundred-millionth.
pub fn quantity(splits: &[Split], quantity: Quantity, time: DateTime<Utc>) -> Quantity {
    let later = after(splits, time);
    later.fold(quantity, |quantity, split| scaled(quantity, split.new_shares, split.old_shares))
}

/// Returns a quantity of today in shares of `time`, rounded down to a hundred-millionth.
pub fn quantity_at(splits: &[Split], quantity: Quantity, time: DateTime<Utc>) -> Quantity {
    let later = after(splits, time).rev();
    later.fold(quantity, |quantity, split| scaled(quantity, split.old_shares, split.new_shares))
}
