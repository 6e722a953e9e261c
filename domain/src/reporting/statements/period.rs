//! Periods of statements: whole days in New York.

use crate::kernel::calendar;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use entity::partner::MarketHours;

/// First and last day of a period, in New York. A movement belongs to the period in which it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub start_on: NaiveDate,
    pub end_on: NaiveDate,
}

impl Period {
    /// Returns the month before that of a date.
    pub fn month_before(day: NaiveDate) -> Self {
        let end_on = eve(calendar::month_of(day));
        Self { start_on: calendar::month_of(end_on), end_on }
    }

    /// Returns the last instant before the period.
    pub fn opens_after(&self) -> DateTime<Utc> {
        last_instant_of(eve(self.start_on))
    }

    /// Returns the last instant of the period.
    pub fn closes_at(&self) -> DateTime<Utc> {
        last_instant_of(self.end_on)
    }
}

/// Returns the day before a date.
pub fn eve(day: NaiveDate) -> NaiveDate {
    day.pred_opt().unwrap_or(day)
}

/// Returns the last instant of a day in New York, to the precision that the databases store.
pub fn last_instant_of(day: NaiveDate) -> DateTime<Utc> {
    let next = day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    calendar::at_new_york(next, 0, 0) - TimeDelta::microseconds(1)
}

/// Returns the time of the prices that count at the end of a day: the last close, or the end of the day if the market
/// never closes.
pub fn priced_at(hours: MarketHours, day: NaiveDate) -> DateTime<Utc> {
    match hours {
        MarketHours::AlwaysOpen => last_instant_of(day),
        MarketHours::Nyse => {
            calendar::previous_close(day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX))
        }
    }
}
