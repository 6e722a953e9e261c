//! Calendars: New York Stock Exchange sessions, Federal Reserve banking days and settlement days.

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone, Utc,
    Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed},
};
use chrono_tz::America::New_York;

#[cfg(test)]
mod tests;

/// Special closures of the exchange, outside its yearly rules. Add a line for each new one.
const AD_HOC_CLOSURES: [(i32, u32, u32); 10] = [
    (2001, 9, 11), // attacks of September 11
    (2001, 9, 12),
    (2001, 9, 13),
    (2001, 9, 14),
    (2004, 6, 11),  // mourning for President Reagan
    (2007, 1, 2),   // mourning for President Ford
    (2012, 10, 29), // hurricane Sandy
    (2012, 10, 30),
    (2018, 12, 5), // mourning for President Bush
    (2025, 1, 9),  // mourning for President Carter
];

/// One regular trading session: open from `opens_at` until just before `closes_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub opens_at: DateTime<Utc>,
    pub closes_at: DateTime<Utc>,
    /// Whether the session ends at 13:00 in New York instead of 16:00.
    pub early_close: bool,
}

impl Session {
    /// Whether `at` is in the session: from the opening instant up to, but not including, the closing one.
    #[must_use]
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.opens_at <= at && at < self.closes_at
    }
}

/// Returns the regular session of a New York date; none on a weekend, a holiday or a special closure.
///
/// 09:30–16:00 New York time, 13:00 on early-close days, according to the exchange's published holiday rules,
/// which hold from 1998 on; the same rules are applied to earlier days. Late openings and trading halts are
/// ignored.
#[must_use]
pub fn session(day: NaiveDate) -> Option<Session> {
    if !is_trading_day(day) {
        return None;
    }
    let early_close = closes_early(day);
    Some(Session {
        opens_at: at_new_york(day, 9, 30),
        closes_at: at_new_york(day, if early_close { 13 } else { 16 }, 0),
        early_close,
    })
}

/// Returns the session that is open at an instant.
#[must_use]
pub fn session_at(at: DateTime<Utc>) -> Option<Session> {
    session(new_york_date(at)).filter(|session| session.contains(at))
}

/// Whether regular trading is open; extended hours do not count.
#[must_use]
pub fn is_open(at: DateTime<Utc>) -> bool {
    session_at(at).is_some()
}

/// Returns the first opening strictly after an instant.
#[must_use]
pub fn next_open(at: DateTime<Utc>) -> DateTime<Utc> {
    first_after(at, |session| session.opens_at)
}

/// Returns the first close strictly after an instant: today's while the market is open.
#[must_use]
pub fn next_close(at: DateTime<Utc>) -> DateTime<Utc> {
    first_after(at, |session| session.closes_at)
}

/// Whether the Federal Reserve processes ACH: a weekday that is not a federal bank holiday.
///
/// A holiday on Sunday is observed on the following Monday; one on Saturday is not observed on another day
/// (Federal Reserve holiday schedule).
#[must_use]
pub fn is_banking_day(day: NaiveDate) -> bool {
    !is_weekend(day) && !is_national_holiday(day) && !is_bank_only_holiday(day)
}

/// Returns the first banking day strictly after a date.
#[must_use]
pub fn next_banking_day(day: NaiveDate) -> NaiveDate {
    nth_after(day, 1, is_banking_day)
}

/// Returns the n-th banking day strictly after a date.
#[must_use]
pub fn banking_day_after(day: NaiveDate, count: usize) -> NaiveDate {
    nth_after(day, count, is_banking_day)
}

/// Returns the last second of a date in New York.
#[must_use]
pub fn end_of_new_york_day(day: NaiveDate) -> DateTime<Utc> {
    at_new_york(day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX), 0, 0) - TimeDelta::seconds(1)
}

/// Returns the first trading day strictly after a date.
#[must_use]
pub fn next_trading_day(day: NaiveDate) -> NaiveDate {
    nth_after(day, 1, is_trading_day)
}

/// Whether trades settle on this day: the exchange and the banks are both open.
///
/// Columbus Day and Veterans Day are trading days without settlement (FINRA's holiday notices).
#[must_use]
pub fn is_settlement_day(day: NaiveDate) -> bool {
    is_trading_day(day) && is_banking_day(day)
}

/// Returns the settlement date of a trade.
///
/// One settlement day after the trade from 2024-05-28, two from 2017-09-05, three before (SEC Rule 15c6-1).
#[must_use]
pub fn settlement_day(trade_day: NaiveDate) -> NaiveDate {
    let days = match parts(trade_day) {
        day if day >= (2024, 5, 28) => 1,
        day if day >= (2017, 9, 5) => 2,
        _ => 3,
    };
    nth_after(trade_day, days, is_settlement_day)
}

/// Returns the first day of the month of a date.
#[must_use]
pub fn month_of(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// Returns when monthly work about the month of a date is due: at 01:00 in New York on the first day of the next month,
/// after everything that is due at midnight.
#[must_use]
pub fn month_closes_at(day: NaiveDate) -> DateTime<Utc> {
    let next = month_of(day).checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
    at_new_york(next, 1, 0)
}

/// Returns when the last session before this date closed.
#[must_use]
pub fn previous_close(day: NaiveDate) -> DateTime<Utc> {
    let mut earlier = std::iter::successors(day.pred_opt(), NaiveDate::pred_opt);
    earlier.find_map(session).map_or(DateTime::<Utc>::MIN_UTC, |last| last.closes_at)
}

/// Returns the time at which a trade settles: 08:30 in New York on its settlement date.
#[must_use]
pub fn trade_settles_at(traded_at: DateTime<Utc>) -> DateTime<Utc> {
    at_new_york(settlement_day(new_york_date(traded_at)), 8, 30)
}

/// Returns the date in New York at an instant.
#[must_use]
pub fn new_york_date(at: DateTime<Utc>) -> NaiveDate {
    let offset = New_York.offset_from_utc_datetime(&at.naive_utc()).fix();
    at.naive_utc().checked_add_offset(offset).map_or_else(|| at.date_naive(), |clock| clock.date())
}

/// Returns the instant of a local time in New York; hours above 23 and minutes above 59 carry over.
///
/// For an ambiguous time in autumn it is the first of the two; a time skipped in spring is moved one hour
/// later.
#[must_use]
pub fn at_new_york(day: NaiveDate, hour: u32, minute: u32) -> DateTime<Utc> {
    let hour_long = TimeDelta::hours(1);
    let since_midnight = TimeDelta::minutes(i64::from(hour) * 60 + i64::from(minute));
    let midnight = day.and_time(NaiveTime::MIN);
    let clock = midnight.checked_add_signed(since_midnight).unwrap_or(midnight);
    let first = |clock| New_York.from_local_datetime(&clock).earliest();
    first(clock)
        .or_else(|| first(clock.checked_sub_signed(hour_long)?)?.checked_add_signed(hour_long))
        .map_or_else(|| clock.and_utc(), |at| at.to_utc())
}

fn first_after(at: DateTime<Utc>, edge: impl Fn(Session) -> DateTime<Utc>) -> DateTime<Utc> {
    let sessions = new_york_date(at).iter_days().filter_map(session);
    sessions.map(edge).find(|edge| *edge > at).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn nth_after(day: NaiveDate, count: usize, counts: impl Fn(NaiveDate) -> bool) -> NaiveDate {
    let later = day.iter_days().skip(1).filter(|day| counts(*day));
    later.take(count).last().unwrap_or(NaiveDate::MAX)
}

fn parts(day: NaiveDate) -> (i32, u32, u32) {
    (day.year(), day.month(), day.day())
}

fn is_weekend(day: NaiveDate) -> bool {
    matches!(day.weekday(), Sat | Sun)
}

fn is_trading_day(day: NaiveDate) -> bool {
    !is_weekend(day)
        && !is_national_holiday(day)
        && !is_exchange_only_holiday(day)
        && !AD_HOC_CLOSURES.contains(&parts(day))
}

/// Whether this is a holiday of both the exchange and the banks, including the Monday after a Sunday holiday.
#[expect(clippy::match_same_arms, reason = "one line for each holiday")]
fn is_national_holiday(day: NaiveDate) -> bool {
    match (day.month(), day.day(), day.weekday()) {
        (1, 1, _) | (1, 2, Mon) => true,                 // New Year's Day
        (1 | 2, 15..=21, Mon) => true,                   // Martin Luther King Jr., Washington's Birthday
        (5, 25..=31, Mon) => true,                       // Memorial Day
        (6, 19, _) | (6, 20, Mon) => day.year() >= 2022, // Juneteenth
        (7, 4, _) | (7, 5, Mon) => true,                 // Independence Day
        (9, 1..=7, Mon) => true,                         // Labor Day
        (11, 22..=28, Thu) => true,                      // Thanksgiving
        (12, 25, _) | (12, 26, Mon) => true,             // Christmas
        _ => false,
    }
}

/// Whether only the exchange is closed: Good Friday, and the Friday before a Saturday holiday; New Year's Day
/// on a Saturday closes no Friday.
fn is_exchange_only_holiday(day: NaiveDate) -> bool {
    match (day.month(), day.day(), day.weekday()) {
        (6, 18, Fri) => day.year() >= 2022,
        (7, 3, Fri) | (12, 24, Fri) => true,
        (3 | 4, _, Fri) => day.checked_add_days(Days::new(2)) == easter(day.year()),
        _ => false,
    }
}

/// Whether only the banks are closed: Columbus Day and Veterans Day.
fn is_bank_only_holiday(day: NaiveDate) -> bool {
    matches!((day.month(), day.day(), day.weekday()), (10, 8..=14, Mon) | (11, 11, _) | (11, 12, Mon))
}

/// Whether a trading day closes early: the day before Independence Day and Christmas, and the day after
/// Thanksgiving.
///
/// Until 2012 a Thursday Independence Day shortened the following Friday, not the Wednesday before; in 2003
/// the Friday after Christmas was shortened by announcement.
fn closes_early(day: NaiveDate) -> bool {
    match (day.month(), day.day(), day.weekday()) {
        (7, 3, Mon | Tue | Thu) | (11, 23..=29, Fri) | (12, 24, Mon | Tue | Wed | Thu) => true,
        (7, 3, Wed) => day.year() >= 2013,
        (7, 5, Fri) => day.year() < 2013,
        (12, 26, Fri) => day.year() == 2003,
        _ => false,
    }
}

/// Returns Easter Sunday of the Gregorian calendar (anonymous Gregorian algorithm).
fn easter(year: i32) -> Option<NaiveDate> {
    let golden = year.rem_euclid(19);
    let (century, of_century) = (year.div_euclid(100), year.rem_euclid(100));
    let skipped_moons = (century + 8).div_euclid(25);
    let moon_shift = (century - skipped_moons + 1).div_euclid(3);
    let epact = (19 * golden + century - century.div_euclid(4) - moon_shift + 15).rem_euclid(30);
    let to_sunday =
        (32 + 2 * century.rem_euclid(4) + 2 * of_century.div_euclid(4) - epact - of_century.rem_euclid(4))
            .rem_euclid(7);
    let late = (golden + 11 * epact + 22 * to_sunday).div_euclid(451);
    let days = epact + to_sunday - 7 * late + 114;
    let (month, day) = (u32::try_from(days.div_euclid(31)).ok()?, u32::try_from(days.rem_euclid(31)).ok()?);
    NaiveDate::from_ymd_opt(year, month, day + 1)
}
