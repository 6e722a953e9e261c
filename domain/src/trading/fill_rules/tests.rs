use super::*;
use chrono::DateTime;

fn price(text: &str) -> Price {
    text.parse().unwrap()
}

fn shares(text: &str) -> Quantity {
    text.parse().unwrap()
}

fn terms(side: Side, kind: OrderKind, stop: &str, limit: &str) -> Terms {
    let given = |text: &str| (!text.is_empty()).then(|| price(text));
    Terms {
        side,
        kind,
        time_in_force: TimeInForce::Day,
        limit: given(limit),
        stop: given(stop),
        triggered: false,
    }
}

fn quote(bid: &str, ask: &str) -> Quote {
    let (bid, ask) = (price(bid), price(ask));
    Quote { bid, ask, last: bid, at: DateTime::UNIX_EPOCH }
}

fn bar(open: &str, high: &str, low: &str, close: &str, volume: &str) -> Bar {
    Bar {
        starts_at: DateTime::UNIX_EPOCH,
        open: price(open),
        high: price(high),
        low: price(low),
        close: price(close),
        volume: shares(volume),
    }
}

const TEN: Percent = Percent::from_units(1_000);

use OrderKind::{Limit, Market, Stop, StopLimit};
use Side::{Buy, Sell};

#[test]
fn each_type_of_order_fills_by_a_quote() {
    // Side, type, stop, limit, bid, ask; the price of the fill, and whether the stop is reached.
    for (side, kind, stop, limit, bid, ask, filled, triggered) in [
        (Buy, Market, "", "", "99.00", "101.00", "101.00", false),
        (Sell, Market, "", "", "99.00", "101.00", "99.00", false),
        (Buy, Limit, "", "101.00", "99.00", "101.00", "101.00", false),
        (Buy, Limit, "", "200.00", "99.00", "101.00", "101.00", false),
        (Buy, Limit, "", "100.99", "99.00", "101.00", "", false),
        (Sell, Limit, "", "99.00", "99.00", "101.00", "99.00", false),
        (Sell, Limit, "", "50.00", "99.00", "101.00", "99.00", false),
        (Sell, Limit, "", "99.01", "99.00", "101.00", "", false),
        (Buy, Stop, "101.00", "", "99.00", "101.00", "101.00", true),
        (Buy, Stop, "90.00", "", "99.00", "101.00", "101.00", true),
        (Buy, Stop, "101.01", "", "99.00", "101.00", "", false),
        (Sell, Stop, "99.00", "", "99.00", "101.00", "99.00", true),
        (Sell, Stop, "110.00", "", "99.00", "101.00", "99.00", true),
        (Sell, Stop, "98.99", "", "99.00", "101.00", "", false),
        (Buy, StopLimit, "100.00", "101.00", "99.00", "101.00", "101.00", true),
        (Buy, StopLimit, "100.00", "100.50", "99.00", "101.00", "", true),
        (Buy, StopLimit, "102.00", "103.00", "99.00", "101.00", "", false),
        (Sell, StopLimit, "100.00", "99.00", "99.00", "101.00", "99.00", true),
        (Sell, StopLimit, "100.00", "99.50", "99.00", "101.00", "", true),
        (Sell, StopLimit, "98.00", "97.00", "99.00", "101.00", "", false),
    ] {
        let terms = terms(side, kind, stop, limit);
        let decision = by_quote(&terms, Open::Shares(shares("3")), &quote(bid, ask));
        let text = format!("{side:?} {kind:?} {stop} {limit} at {bid}/{ask}");
        let rule = if side == Buy { Rule::BuyAtAsk } else { Rule::SellAtBid };
        let expected =
            (!filled.is_empty()).then(|| Execution { quantity: shares("3"), price: price(filled), rule });
        assert_eq!((decision.execution, decision.triggered), (expected, triggered), "{text}");
        assert!(!decision.cancels_rest);
    }
}

#[test]
fn each_type_of_order_fills_in_a_bar() {
    // Side, type, stop, limit; open, high, low; the price of the fill with its rule, and whether the stop is
    // reached.
    for (side, kind, stop, limit, [open, high, low], filled, triggered) in [
        (Buy, Market, "", "", ["100.00", "105.00", "95.00"], Some(("100.00", Rule::BarOpen)), false),
        (Sell, Market, "", "", ["100.00", "105.00", "95.00"], Some(("100.00", Rule::BarOpen)), false),
        // The limit is in the bar, at its edge, outside, and above the open.
        (Buy, Limit, "", "97.00", ["100.00", "105.00", "95.00"], Some(("97.00", Rule::BarLimit)), false),
        (Buy, Limit, "", "95.00", ["100.00", "105.00", "95.00"], Some(("95.00", Rule::BarLimit)), false),
        (Buy, Limit, "", "94.99", ["100.00", "105.00", "95.00"], None, false),
        (Buy, Limit, "", "103.00", ["100.00", "105.00", "95.00"], Some(("100.00", Rule::BarOpen)), false),
        (Sell, Limit, "", "103.00", ["100.00", "105.00", "95.00"], Some(("103.00", Rule::BarLimit)), false),
        (Sell, Limit, "", "105.00", ["100.00", "105.00", "95.00"], Some(("105.00", Rule::BarLimit)), false),
        (Sell, Limit, "", "105.01", ["100.00", "105.00", "95.00"], None, false),
        (Sell, Limit, "", "97.00", ["100.00", "105.00", "95.00"], Some(("100.00", Rule::BarOpen)), false),
        // A stop in the bar, at its edge, outside, and one that the open has jumped over.
        (Buy, Stop, "103.00", "", ["100.00", "105.00", "95.00"], Some(("103.00", Rule::BarStop)), true),
        (Buy, Stop, "105.00", "", ["100.00", "105.00", "95.00"], Some(("105.00", Rule::BarStop)), true),
        (Buy, Stop, "105.01", "", ["100.00", "105.00", "95.00"], None, false),
        (Buy, Stop, "98.00", "", ["100.00", "105.00", "95.00"], Some(("100.00", Rule::BarGap)), true),
        (Buy, Stop, "100.00", "", ["100.00", "105.00", "95.00"], Some(("100.00", Rule::BarStop)), true),
        (Sell, Stop, "97.00", "", ["100.00", "105.00", "95.00"], Some(("97.00", Rule::BarStop)), true),
        (Sell, Stop, "95.00", "", ["100.00", "105.00", "95.00"], Some(("95.00", Rule::BarStop)), true),
        (Sell, Stop, "94.99", "", ["100.00", "105.00", "95.00"], None, false),
        (Sell, Stop, "102.00", "", ["100.00", "105.00", "95.00"], Some(("100.00", Rule::BarGap)), true),
        // Stop-limit: opened beyond the stop, within the limit; beyond both, the bar returns to the limit or not.
        (
            Buy,
            StopLimit,
            "99.00",
            "101.00",
            ["100.00", "105.00", "95.00"],
            Some(("100.00", Rule::BarOpen)),
            true,
        ),
        (
            Buy,
            StopLimit,
            "97.00",
            "99.00",
            ["100.00", "105.00", "98.00"],
            Some(("99.00", Rule::BarLimit)),
            true,
        ),
        (Buy, StopLimit, "97.00", "99.00", ["100.00", "105.00", "99.50"], None, true),
        // Reached within the bar: at the stop if the limit allows it, otherwise only in later bars.
        (
            Buy,
            StopLimit,
            "103.00",
            "104.00",
            ["100.00", "105.00", "95.00"],
            Some(("103.00", Rule::BarStop)),
            true,
        ),
        (
            Buy,
            StopLimit,
            "103.00",
            "103.00",
            ["100.00", "105.00", "95.00"],
            Some(("103.00", Rule::BarStop)),
            true,
        ),
        (Buy, StopLimit, "103.00", "102.00", ["100.00", "105.00", "95.00"], None, true),
        (Buy, StopLimit, "106.00", "107.00", ["100.00", "105.00", "95.00"], None, false),
        (
            Sell,
            StopLimit,
            "101.00",
            "99.00",
            ["100.00", "105.00", "95.00"],
            Some(("100.00", Rule::BarOpen)),
            true,
        ),
        (
            Sell,
            StopLimit,
            "103.00",
            "101.00",
            ["100.00", "102.00", "95.00"],
            Some(("101.00", Rule::BarLimit)),
            true,
        ),
        (Sell, StopLimit, "103.00", "101.00", ["100.00", "100.50", "95.00"], None, true),
        (
            Sell,
            StopLimit,
            "97.00",
            "96.00",
            ["100.00", "105.00", "95.00"],
            Some(("97.00", Rule::BarStop)),
            true,
        ),
        (Sell, StopLimit, "97.00", "98.00", ["100.00", "105.00", "95.00"], None, true),
        (Sell, StopLimit, "94.00", "93.00", ["100.00", "105.00", "95.00"], None, false),
    ] {
        let terms = terms(side, kind, stop, limit);
        let bar = bar(open, high, low, open, "1000");
        let decision = by_bar(&terms, Open::Shares(shares("3")), &bar, TEN);
        let expected =
            filled.map(|(filled, rule)| Execution { quantity: shares("3"), price: price(filled), rule });
        let text = format!("{side:?} {kind:?} {stop} {limit} in {open} {high} {low}");
        assert_eq!((decision.execution, decision.triggered), (expected, triggered), "{text}");
    }
}

#[test]
fn a_triggered_order_is_a_market_or_limit_order() {
    let bar = bar("100.00", "105.00", "95.00", "100.00", "1000");
    let at = |terms: Terms| {
        let triggered = Terms { triggered: true, ..terms };
        by_bar(&triggered, Open::Shares(shares("1")), &bar, TEN).execution.map(|fill| fill.price)
    };
    assert_eq!(at(terms(Buy, Stop, "200.00", "")), Some(price("100.00")));
    assert_eq!(at(terms(Buy, StopLimit, "200.00", "97.00")), Some(price("97.00")));
    assert_eq!(at(terms(Sell, StopLimit, "1.00", "104.00")), Some(price("104.00")));
    let low = Terms { triggered: true, ..terms(Buy, StopLimit, "200.00", "100.00") };
    assert_eq!(by_quote(&low, Open::Shares(shares("1")), &quote("100.00", "101.00")).execution, None);
}

#[test]
fn a_bar_fills_at_most_its_share_of_the_volume() {
    let bar = |volume: &str| bar("100.00", "105.00", "95.00", "100.00", volume);
    for (force, volume, filled, cancels) in [
        (TimeInForce::Day, "1000", Some("50"), false),
        (TimeInForce::Gtc, "500", Some("50"), false),
        (TimeInForce::Day, "499.99999999", Some("49.9999"), false),
        (TimeInForce::Day, "0.0009", None, false),
        (TimeInForce::Day, "0", None, false),
        (TimeInForce::Ioc, "300", Some("30"), true),
        (TimeInForce::Ioc, "0", None, true),
        (TimeInForce::Fok, "500", Some("50"), true),
        (TimeInForce::Fok, "499", None, true),
    ] {
        let terms = Terms { time_in_force: force, ..terms(Buy, Market, "", "") };
        let decision = by_bar(&terms, Open::Shares(shares("50")), &bar(volume), TEN);
        let quantity = decision.execution.map(|fill| fill.quantity);
        assert_eq!((quantity, decision.cancels_rest), (filled.map(shares), cancels), "{force:?} {volume}");
    }
}

#[test]
fn an_order_by_amount_fills_the_shares_that_the_amount_is_worth() {
    let amount = |text: &str, most: Option<&str>| Open::Amount(text.parse().unwrap(), most.map(shares));
    for (open, ask, filled) in [
        (amount("100.00", None), "30.00", Some("3.3333")),
        (amount("100.00", None), "100.00", Some("1")),
        (amount("0.01", None), "100.00", Some("0.0001")),
        (amount("0.01", None), "100.01", None),
        (amount("100.00", Some("2")), "30.00", Some("2")),
    ] {
        let decision = by_quote(&terms(Buy, Market, "", ""), open, &quote("1.00", ask));
        assert_eq!(decision.execution.map(|fill| fill.quantity), filled.map(shares), "{open:?} at {ask}");
    }
}
