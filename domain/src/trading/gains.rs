//! Realized gains and losses: by tax year, and as the lines of Form 8949.

use crate::kernel::{calendar, lists::Filter};
use chrono::{DateTime, NaiveDate, Utc};
use entity::{Money, lot_closing};

/// Returns the gain, or the loss if negative, that counts for taxes: the proceeds less the basis, and the disallowed
/// part of a loss added back. Cents.
pub fn gain(closing: &lot_closing::Model) -> Money {
    Money::from_units(closing.proceeds.units() - closing.basis.units() + closing.disallowed.units())
}

/// Returns the conditions for the sales of a calendar year in New York.
pub fn of_year(year: i32) -> [Filter; 2] {
    use lot_closing::Column;
    [
        Filter::from(Column::ClosedAt, year_begins_at(year)),
        Filter::before(Column::ClosedAt, year_begins_at(year.saturating_add(1))),
    ]
}

fn year_begins_at(year: i32) -> DateTime<Utc> {
    let day = NaiveDate::from_ymd_opt(year.clamp(1, 9_999), 1, 1).unwrap_or_default();
    calendar::at_new_york(day, 0, 0)
}
