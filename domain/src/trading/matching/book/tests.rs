use super::*;
use crate::trading::fill_rules;
use chrono::DateTime;
use entity::{Percent, Quantity};
use std::time::{Duration, Instant};

fn price(units: i64) -> Price {
    Price::from_units(units)
}

fn resting(number: u128, side: Side, kind: OrderKind, stop: i64, limit: i64) -> Resting {
    let terms = Terms {
        side,
        kind,
        time_in_force: TimeInForce::Day,
        limit: kind.has_limit().then_some(price(limit)),
        stop: kind.has_stop().then_some(price(stop)),
        triggered: false,
    };
    Resting {
        id: Uuid::from_u128(number),
        terms,
        open: Open::Shares(Quantity::from_units(100_000_000)),
        next_number: 1,
        since: DateTime::UNIX_EPOCH,
        last_bar: None,
    }
}

fn bar(low: i64, high: i64) -> Bar {
    let [open, close] = [price(low), price(high)];
    let volume = Quantity::from_units(1_000_000 * 100_000_000);
    Bar { starts_at: DateTime::UNIX_EPOCH, open, high: close, low: open, close, volume }
}

#[test]
fn a_price_concerns_the_orders_that_it_reaches() {
    use OrderKind::{Limit, Market, Stop, StopLimit};
    let mut book = Book::default();
    for order in [
        resting(1, Side::Buy, Limit, 0, 99),
        resting(2, Side::Buy, Limit, 0, 100),
        resting(3, Side::Sell, Limit, 0, 110),
        resting(4, Side::Sell, Limit, 0, 111),
        resting(5, Side::Buy, Stop, 110, 0),
        resting(6, Side::Buy, StopLimit, 112, 113),
        resting(7, Side::Sell, Stop, 100, 0),
        resting(8, Side::Sell, StopLimit, 98, 97),
    ] {
        book.insert(order);
    }
    let touched = |book: &Book, low: i64, high: i64| {
        let found = book.touched(&bar(low, high));
        assert_eq!(book.is_touched(&bar(low, high)), !found.is_empty());
        let by_touch = book.touches().iter().any(|touch| touch.is_met(&bar(low, high)));
        assert_eq!(by_touch || book.awaits_any_bar(), !found.is_empty());
        found.iter().map(Uuid::as_u128).collect::<Vec<_>>()
    };
    assert_eq!(touched(&book, 101, 109), [0; 0]);
    assert_eq!(touched(&book, 100, 109), [2, 7]);
    assert_eq!(touched(&book, 99, 109), [1, 2, 7]);
    assert_eq!(touched(&book, 101, 110), [3, 5]);
    assert_eq!(touched(&book, 101, 111), [3, 4, 5]);
    assert_eq!(touched(&book, 1, 1_000), [1, 2, 3, 4, 5, 6, 7, 8]);
    // A triggered stop is a market order, and a triggered stop-limit order a limit order.
    let mut stop = resting(5, Side::Buy, Stop, 110, 0);
    stop.terms.triggered = true;
    book.insert(stop);
    let mut stop_limit = resting(6, Side::Buy, StopLimit, 112, 113);
    stop_limit.terms.triggered = true;
    book.insert(stop_limit);
    assert_eq!(touched(&book, 101, 109), [5, 6]);
    book.insert(resting(9, Side::Sell, Market, 0, 0));
    book.remove(Uuid::from_u128(5));
    assert_eq!(touched(&book, 114, 115), [3, 4, 9]);
    for number in 1..=9 {
        book.remove(Uuid::from_u128(number));
    }
    assert!(book.is_empty() && touched(&book, 1, 1_000).is_empty());
}

/// The time is that of a debug build; a release build takes a small part of it.
#[test]
fn which_of_many_orders_a_bar_fills_is_decided_within_a_second() {
    let mut book = Book::default();
    for number in 0..100_000_u128 {
        let away = 100 * i64::try_from(number).unwrap();
        let side = if number % 2 == 0 { Side::Buy } else { Side::Sell };
        let limit = if side == Side::Buy { 20_000_000 - away } else { 20_000_100 + away };
        book.insert(resting(number, side, OrderKind::Limit, 0, limit));
    }
    // The 50 highest limits of purchases and the 50 lowest of sales.
    let bar = bar(20_000_000 - 98 * 100, 20_000_100 + 99 * 100);
    let started = Instant::now();
    let filled = book
        .touched(&bar)
        .into_iter()
        .filter_map(|id| book.get(id))
        .filter_map(|order| {
            fill_rules::by_bar(&order.terms, order.open, &bar, Percent::from_units(1_000)).execution
        })
        .count();
    let elapsed = started.elapsed();
    eprintln!("decided on 100000 orders in {elapsed:?}: {filled} fill");
    assert_eq!(filled, 100);
    assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
}
