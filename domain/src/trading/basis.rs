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
    /// Id by which the split comes before or after trades of the same time.
    pub id: Uuid,
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
            id: action.processed_id?,
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

/// Time and id of a trade.
pub type Moment = (DateTime<Utc>, Uuid);

/// Returns the splits after a trade. Those of the same time have the order of their ids, because the last bar before a
/// split ends when the split begins.
fn after_trade(splits: &[Split], trade: Moment) -> impl DoubleEndedIterator<Item = &Split> {
    splits.iter().filter(move |split| (split.at, split.id) > trade)
}

/// Returns a quantity of a trade in shares of today, rounded down to a hundred-millionth; `None` if it exceeds 64 bits.
pub fn quantity(splits: &[Split], quantity: Quantity, trade: Moment) -> Option<Quantity> {
    let mut later = after_trade(splits, trade);
    later.try_fold(quantity, |quantity, split| scaled(quantity, split.new_shares, split.old_shares))
}

/// Returns a quantity of today in shares of a trade, rounded down to a hundred-millionth; `None` if it exceeds 64 bits.
pub fn quantity_at(splits: &[Split], quantity: Quantity, trade: Moment) -> Option<Quantity> {
    let mut later = after_trade(splits, trade).rev();
    later.try_fold(quantity, |quantity, split| scaled(quantity, split.old_shares, split.new_shares))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;

    type Ratios = &'static [(i64, i64)];

    /// Splits on the first, second, … day.
    fn splits(ratios: &[(i64, i64)]) -> Vec<Split> {
        let days = (1..).map(|day| DateTime::UNIX_EPOCH + TimeDelta::days(day));
        let split = |(at, (new_shares, old_shares)): (_, &(i64, i64))| Split {
            id: Uuid::from_u128(5),
            at,
            new_shares: *new_shares,
            old_shares: *old_shares,
        };
        days.zip(ratios).map(split).collect()
    }

    #[test]
    fn each_later_split_divides_a_price() {
        let cases: [(Ratios, &str, i64, &str, &str); 7] = [
            (&[], "60.00", 0, "60.00", "60.00"),
            (&[(2, 1)], "60.01", 0, "30.00", "30.01"),
            (&[(3, 1)], "50.00", 0, "16.66", "16.67"),
            (&[(1, 3)], "33.00", 0, "99.00", "99.00"),
            (&[(2, 1), (3, 2)], "60.00", 0, "20.00", "20.00"),
            // Only the second one is later; a price of its own time is a price after it.
            (&[(2, 1), (3, 2)], "60.00", 1, "40.00", "40.00"),
            (&[(2, 1), (3, 2)], "60.00", 2, "60.00", "60.00"),
        ];
        for (ratios, before, day, down, up) in cases {
            let time = DateTime::UNIX_EPOCH + TimeDelta::days(day);
            let found = [Rounding::Down, Rounding::Up]
                .map(|rounding| price(&splits(ratios), "VTI", before.parse().unwrap(), time, rounding));
            assert_eq!(found.map(|price| price.to_string()), [down, up], "{ratios:?} {before} {day}");
        }
        let least =
            price(&splits(&[(2, 1)]), "VTI", Price::from_units(1), DateTime::UNIX_EPOCH, Rounding::Down);
        assert_eq!(least, Price::from_units(1));
        assert_eq!(base_price(600_000, splits(&[(2, 1), (3, 2)]).iter()), 200_000);
        assert_eq!(base_price(100_001, splits(&[(2, 1)]).iter()), 50_001);
        assert_eq!(base_price(1, splits(&[(3, 1)]).iter()), 1);
    }

    #[test]
    fn a_trade_of_the_time_of_a_split_is_before_it_by_its_id() {
        let splits = splits(&[(2, 1)]);
        let day = |days| DateTime::UNIX_EPOCH + TimeDelta::days(days);
        let ten = Quantity::from_units(10);
        for (time, id, expected) in [(0, 9, 20), (1, 4, 20), (1, 6, 10), (2, 4, 10)] {
            let trade = (day(time), Uuid::from_u128(id));
            assert_eq!(quantity(&splits, ten, trade), Some(Quantity::from_units(expected)), "{time} {id}");
        }
        let most = Quantity::from_units(i64::MAX);
        assert_eq!(quantity(&splits, most, (day(0), Uuid::nil())), None);
    }

    proptest! {
        #[test]
        fn quantities_come_back_to_a_hundred_millionth(
            units in 1_i64..1_000_000_000_000, new in 1_i64..100, old in 1_i64..100,
        ) {
            let (splits, before) = (splits(&[(new, old)]), Quantity::from_units(units));
            let trade = (DateTime::UNIX_EPOCH, Uuid::nil());
            let today = quantity(&splits, before, trade).unwrap();
            let back = quantity_at(&splits, today, trade).unwrap();
            prop_assert!(back <= before);
            prop_assert!(before.units() - back.units() <= old / new + 1);
        }
    }
}
