//! Compares the calendars with the published ones, and tests the edges of sessions.

use super::*;
use chrono::Timelike;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn days_of(year: i32) -> impl Iterator<Item = NaiveDate> {
    let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    first.iter_days().take_while(move |day| day.year() == year)
}

fn listed(year: i32, text: &str) -> Vec<NaiveDate> {
    text.split_whitespace().map(|month_day| day(&format!("{year}-{month_day}"))).collect()
}

const EXCHANGE: [(i32, &str, &str, usize); 7] = [
    (2024, "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25", "07-03 11-29 12-24", 252),
    (2025, "01-01 01-09 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25", "07-03 11-28 12-24", 250),
    (2026, "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25", "11-27 12-24", 251),
    (2027, "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24", "11-26", 251),
    (2028, "01-17 02-21 04-14 05-29 06-19 07-04 09-04 11-23 12-25", "07-03 11-24", 251),
    (2029, "01-01 01-15 02-19 03-30 05-28 06-19 07-04 09-03 11-22 12-25", "07-03 11-23 12-24", 251),
    (2030, "01-01 01-21 02-18 04-19 05-27 06-19 07-04 09-02 11-28 12-25", "07-03 11-29 12-24", 251),
];

#[test]
fn exchange_holidays_match_the_published_calendar() {
    for (year, closed, early, sessions) in EXCHANGE {
        let weekdays = || days_of(year).filter(|day| !is_weekend(*day));
        let closed_days: Vec<_> = weekdays().filter(|day| session(*day).is_none()).collect();
        let short: Vec<_> =
            days_of(year).filter(|day| session(*day).is_some_and(|day| day.early_close)).collect();
        assert_eq!(closed_days, listed(year, closed), "closed in {year}");
        assert_eq!(short, listed(year, early), "early closes of {year}");
        assert_eq!(days_of(year).filter_map(session).count(), sessions, "sessions of {year}");
    }
}

#[test]
fn every_session_runs_from_0930_to_1600_or_1300_new_york_time() {
    for session in (1998..=2035).flat_map(days_of).filter_map(session) {
        let clock = |at: DateTime<Utc>| at.with_timezone(&New_York).time();
        let (opens, closes) = (clock(session.opens_at), clock(session.closes_at));
        assert_eq!((opens.hour(), opens.minute(), opens.second()), (9, 30, 0));
        assert_eq!((closes.hour(), closes.minute()), (if session.early_close { 13 } else { 16 }, 0));
    }
}

#[test]
fn past_years_follow_the_rules_and_closures_of_their_time() {
    for closed in [
        "2001-09-11",
        "2001-09-14",
        "2004-06-11",
        "2007-01-02",
        "2012-10-29",
        "2012-10-30",
        "2018-12-05",
        "1998-01-19",
        "1999-12-24",
        "2000-04-21",
        "2022-06-20",
    ] {
        assert_eq!(session(day(closed)), None, "{closed}");
    }
    for open in ["1999-12-31", "2004-12-31", "2010-12-31", "2021-06-18", "2021-12-31", "2001-09-17"] {
        assert!(session(day(open)).is_some(), "{open}");
    }
    let early = |text| session(day(text)).unwrap().early_close;
    assert!(early("2012-07-03") && early("2013-07-03") && early("2002-07-05") && early("2003-12-26"));
    assert!(!early("2002-07-03") && !early("2019-07-05") && !early("2026-07-02") && !early("2008-12-26"));
}

#[test]
fn bank_holidays_match_the_federal_reserve_schedule() {
    for (year, closed) in [
        (2024, "01-01 01-15 02-19 05-27 06-19 07-04 09-02 10-14 11-11 11-28 12-25"),
        (2025, "01-01 01-20 02-17 05-26 06-19 07-04 09-01 10-13 11-11 11-27 12-25"),
        (2026, "01-01 01-19 02-16 05-25 06-19 09-07 10-12 11-11 11-26 12-25"),
        (2027, "01-01 01-18 02-15 05-31 07-05 09-06 10-11 11-11 11-25"),
        (2028, "01-17 02-21 05-29 06-19 07-04 09-04 10-09 11-23 12-25"),
        (2029, "01-01 01-15 02-19 05-28 06-19 07-04 09-03 10-08 11-12 11-22 12-25"),
        (2030, "01-01 01-21 02-18 05-27 06-19 07-04 09-02 10-14 11-11 11-28 12-25"),
    ] {
        let closed_days: Vec<_> =
            days_of(year).filter(|day| !is_weekend(*day) && !is_banking_day(*day)).collect();
        assert_eq!(closed_days, listed(year, closed), "{year}");
    }
}

#[test]
fn banks_and_exchange_have_different_holidays() {
    for banks_only in ["2026-07-03", "2027-06-18", "2027-12-24", "2026-04-03", "2025-01-09"] {
        assert!(is_banking_day(day(banks_only)) && session(day(banks_only)).is_none(), "{banks_only}");
        assert!(!is_settlement_day(day(banks_only)), "{banks_only}");
    }
    for exchange_only in ["2026-10-12", "2026-11-11"] {
        assert!(
            !is_banking_day(day(exchange_only)) && session(day(exchange_only)).is_some(),
            "{exchange_only}"
        );
        assert!(!is_settlement_day(day(exchange_only)), "{exchange_only}");
    }
    assert_eq!(next_banking_day(day("2026-07-02")), day("2026-07-03"));
    assert_eq!(next_banking_day(day("2026-07-03")), day("2026-07-06"));
    assert_eq!(next_banking_day(day("2026-10-09")), day("2026-10-13"));
    assert_eq!(next_banking_day(day("2027-12-31")), day("2028-01-03"));
}

#[test]
fn trades_settle_by_the_rule_in_force_on_the_trade_date() {
    for (traded, settled) in [
        ("2026-07-10", "2026-07-13"),
        ("2026-07-02", "2026-07-06"),
        ("2026-10-09", "2026-10-13"),
        ("2026-10-12", "2026-10-13"),
        ("2026-11-10", "2026-11-12"),
        ("2026-11-11", "2026-11-12"),
        ("2026-11-25", "2026-11-27"),
        ("2027-12-23", "2027-12-27"),
        ("2026-04-02", "2026-04-06"),
        ("2024-05-28", "2024-05-29"),
        ("2024-05-24", "2024-05-29"),
        ("2017-09-05", "2017-09-07"),
        ("2017-09-01", "2017-09-07"),
        ("2000-12-22", "2000-12-28"),
        ("2000-12-27", "2001-01-02"),
    ] {
        assert_eq!(settlement_day(day(traded)), day(settled), "traded {traded}");
    }
}

#[test]
fn a_session_includes_its_opening_but_not_its_closing_instant() {
    for (instant, open) in [
        ("2026-07-10T13:29:59.999999999Z", false),
        ("2026-07-10T13:30:00Z", true),
        ("2026-07-10T19:59:59.999999999Z", true),
        ("2026-07-10T20:00:00Z", false),
        ("2026-11-27T17:59:59Z", true),
        ("2026-11-27T18:00:00Z", false),
        ("2026-07-11T15:00:00Z", false),
        ("2026-07-03T15:00:00Z", false),
    ] {
        assert_eq!(is_open(at(instant)), open, "{instant}");
        assert_eq!(session_at(at(instant)).is_some(), open, "{instant}");
    }
}

#[test]
fn sessions_follow_daylight_saving_time() {
    for (date, opens, closes) in [
        ("2026-03-06", "2026-03-06T14:30:00Z", "2026-03-06T21:00:00Z"),
        ("2026-03-09", "2026-03-09T13:30:00Z", "2026-03-09T20:00:00Z"),
        ("2026-10-30", "2026-10-30T13:30:00Z", "2026-10-30T20:00:00Z"),
        ("2026-11-02", "2026-11-02T14:30:00Z", "2026-11-02T21:00:00Z"),
    ] {
        let session = session(day(date)).unwrap();
        assert_eq!((session.opens_at, session.closes_at), (at(opens), at(closes)), "{date}");
    }
}

#[test]
fn skipped_and_ambiguous_local_times_are_resolved() {
    for (date, hour, minute, instant) in [
        ("2026-03-08", 1, 59, "2026-03-08T06:59:00Z"),
        ("2026-03-08", 2, 30, "2026-03-08T07:30:00Z"),
        ("2026-03-08", 3, 0, "2026-03-08T07:00:00Z"),
        ("2026-11-01", 0, 59, "2026-11-01T04:59:00Z"),
        ("2026-11-01", 1, 30, "2026-11-01T05:30:00Z"),
        ("2026-11-01", 2, 0, "2026-11-01T07:00:00Z"),
        ("2026-07-10", 24, 0, "2026-07-11T04:00:00Z"),
    ] {
        assert_eq!(at_new_york(day(date), hour, minute), at(instant), "{date} {hour}:{minute}");
    }
}

#[test]
fn the_next_open_and_close_are_strictly_later() {
    for (now, opens, closes) in [
        ("2026-07-10T13:29:59Z", "2026-07-10T13:30:00Z", "2026-07-10T20:00:00Z"),
        ("2026-07-10T13:30:00Z", "2026-07-13T13:30:00Z", "2026-07-10T20:00:00Z"),
        ("2026-07-10T20:00:00Z", "2026-07-13T13:30:00Z", "2026-07-13T20:00:00Z"),
        ("2026-07-02T22:00:00Z", "2026-07-06T13:30:00Z", "2026-07-06T20:00:00Z"),
        ("2026-11-25T22:00:00Z", "2026-11-27T14:30:00Z", "2026-11-27T18:00:00Z"),
        ("2026-07-13T03:00:00Z", "2026-07-13T13:30:00Z", "2026-07-13T20:00:00Z"),
    ] {
        assert_eq!((next_open(at(now)), next_close(at(now))), (at(opens), at(closes)), "{now}");
    }
}

#[test]
fn trades_settle_at_0830_new_york_time() {
    assert_eq!(trade_settles_at(at("2026-07-02T15:00:00Z")), at("2026-07-06T12:30:00Z"));
    assert_eq!(trade_settles_at(at("2026-10-09T15:00:00Z")), at("2026-10-13T12:30:00Z"));
}

#[test]
fn the_previous_close_is_that_of_the_last_session_before_a_day() {
    for (date, closed) in [
        ("2026-07-10", "2026-07-09T20:00:00Z"),
        ("2026-07-13", "2026-07-10T20:00:00Z"),
        // After a Saturday, a holiday and a short session.
        ("2026-07-12", "2026-07-10T20:00:00Z"),
        ("2026-07-06", "2026-07-02T20:00:00Z"),
        ("2026-11-28", "2026-11-27T18:00:00Z"),
    ] {
        assert_eq!(previous_close(day(date)), at(closed), "{date}");
    }
    assert_eq!(previous_close(NaiveDate::MIN), DateTime::<Utc>::MIN_UTC);
}

#[test]
fn extreme_dates_do_not_panic() {
    for instant in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        let _ = (is_open(instant), next_open(instant), next_close(instant));
        let _ = trade_settles_at(instant);
    }
    for day in [NaiveDate::MIN, NaiveDate::MAX] {
        let _ =
            (session(day), next_banking_day(day), settlement_day(day), at_new_york(day, u32::MAX, u32::MAX));
    }
}
