use super::*;
use crate::trading::lots::rules::parts;
use chrono::DateTime;
use entity::order::{Status, TimeInForce};
use proptest::prelude::*;
use uuid::Uuid;

fn order(side: Side, kind: OrderKind, quantity: &str, limit: &str, stop: &str) -> order::Model {
    let price = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
    order::Model {
        withdrawal_id: None,
        id: Uuid::nil(),
        partner_id: Uuid::nil(),
        account_id: Uuid::nil(),
        instrument_id: Uuid::nil(),
        side,
        kind,
        time_in_force: TimeInForce::Gtc,
        quantity: quantity.parse().unwrap(),
        notional: None,
        limit_price: price(limit),
        stop_price: price(stop),
        triggered_at: None,
        filled_quantity: Quantity::ZERO,
        filled_average_price: None,
        fill_count: 0,
        status: Status::New,
        reject_code: None,
        submitted_at: DateTime::UNIX_EPOCH,
        expires_at: None,
        replaced_at: None,
        filled_at: None,
        expired_at: None,
        canceled_at: None,
        failed_at: None,
        lot_method: None,
    }
}

/// Returns the quantity, the limit price and the stop price of an adjusted order.
fn shown(adjusted: &Adjusted) -> String {
    let text = |price: Option<Price>| price.map_or_else(|| "-".to_owned(), |price| price.to_string());
    match adjusted {
        Adjusted::Unchanged => "unchanged".to_owned(),
        Adjusted::Canceled => "canceled".to_owned(),
        Adjusted::To(order) => {
            format!("{} {} {}", order.quantity, text(order.limit_price), text(order.stop_price))
        }
    }
}

#[test]
fn a_dividend_reduces_buy_limits_and_sell_stops() {
    use OrderKind::{Limit, Market, Stop, StopLimit};
    for (side, kind, limit, stop, per_share, expected) in [
        (Side::Buy, Limit, "50.00", "", "0.50", "5 49.50 -"),
        // Rounded down to the cent, and below a dollar to a hundredth of a cent.
        (Side::Buy, Limit, "50.00", "", "0.2475", "5 49.75 -"),
        (Side::Buy, Limit, "50.00", "", "0.000001", "5 49.99 -"),
        (Side::Buy, Limit, "1.00", "", "0.000001", "5 0.9999 -"),
        (Side::Buy, Limit, "1.00", "", "0.00015", "5 0.9998 -"),
        (Side::Buy, Limit, "0.50", "", "0.50", "canceled"),
        (Side::Buy, Limit, "0.50", "", "0.499999", "canceled"),
        (Side::Buy, Limit, "0.50", "", "0.4999", "5 0.0001 -"),
        (Side::Sell, Stop, "", "40.00", "0.333333", "5 - 39.66"),
        (Side::Sell, StopLimit, "39.00", "40.00", "0.50", "5 38.50 39.50"),
        // FINRA Rule 5330 exempts open orders to sell and stop orders to buy.
        (Side::Sell, Limit, "60.00", "", "0.50", "unchanged"),
        (Side::Buy, Stop, "", "60.00", "0.50", "unchanged"),
        (Side::Buy, StopLimit, "61.00", "60.00", "0.50", "unchanged"),
        (Side::Buy, Market, "", "", "0.50", "unchanged"),
    ] {
        let order = order(side, kind, "5", limit, stop);
        let adjusted = on_dividend(&order, "VTI", per_share.parse().unwrap());
        assert_eq!(shown(&adjusted), expected, "{side:?} {kind:?} {limit} {stop} {per_share}");
    }
    let triggered = order::Model {
        triggered_at: Some(DateTime::UNIX_EPOCH),
        ..order(Side::Sell, StopLimit, "5", "39.00", "40.00")
    };
    assert_eq!(on_dividend(&triggered, "VTI", "0.50".parse().unwrap()), Adjusted::Unchanged);
}

#[test]
fn a_quantity_beyond_64_bits_is_no_quantity() {
    let most = Quantity::from_units(i64::MAX);
    assert_eq!((scaled(most, 1, 1), scaled(most, 10_000, 9_999)), (Some(most), None));
    assert_eq!(split(most, (2, 1), false), None);
    let limit = order(Side::Buy, OrderKind::Limit, "92233720368.5477", "50.00", "");
    assert_eq!(on_split(&limit, "VTI", (2, 1), None), Adjusted::Canceled);
    let sale = order(Side::Sell, OrderKind::Limit, "92233720368.5477", "50.00", "");
    assert_eq!(shown(&on_split(&sale, "VTI", (2, 1), Some("7".parse().unwrap()))), "7 25.00 -");
}

#[test]
fn a_split_leaves_whole_shares_or_four_decimals() {
    for (quantity, new, old, is_whole, exact, kept) in [
        ("9", 3, 2, true, "13.5", "13"),
        ("9", 3, 2, false, "13.5", "13.5"),
        ("10", 1, 3, false, "3.33333333", "3.3333"),
        ("0.5", 1, 1000, true, "0.0005", "0"),
    ] {
        let [quantity, exact, kept] = [quantity, exact, kept].map(|text| text.parse().unwrap());
        assert_eq!(split(quantity, (new, old), is_whole), Some(Split { exact, kept }));
    }
}

#[test]
fn a_split_divides_prices_and_multiplies_open_quantities() {
    use OrderKind::{Limit, Market, Stop, StopLimit};
    for (side, kind, quantity, limit, stop, new, old, expected) in [
        (Side::Buy, Limit, "10", "50.00", "", 2, 1, "20 25.00 -"),
        (Side::Buy, Limit, "10", "50.01", "", 2, 1, "20 25.00 -"),
        (Side::Sell, Limit, "10", "50.01", "", 2, 1, "20 25.01 -"),
        (Side::Sell, Stop, "1", "", "100.00", 3, 2, "1.5 - 66.66"),
        (Side::Buy, Stop, "1", "", "100.00", 3, 2, "1.5 - 66.67"),
        (Side::Buy, StopLimit, "1", "100.00", "99.00", 3, 1, "3 33.33 33.00"),
        (Side::Sell, StopLimit, "1", "100.00", "100.00", 3, 1, "3 33.34 33.33"),
        // Open quantities are rounded down to four decimals.
        (Side::Buy, Limit, "0.0001", "50.00", "", 3, 2, "0.0001 33.33 -"),
        (Side::Buy, Market, "1", "", "", 2, 1, "2 - -"),
        // From a price above a dollar to one below it.
        (Side::Buy, Limit, "1", "1.99", "", 4, 1, "4 0.4975 -"),
        (Side::Buy, Limit, "1", "0.0001", "", 2, 1, "canceled"),
    ] {
        let order = order(side, kind, quantity, limit, stop);
        assert_eq!(
            shown(&on_split(&order, "VTI", (new, old), None)),
            expected,
            "{side:?} {kind:?} {limit} {stop}"
        );
    }
    // What is filled stays as it was.
    let partly =
        order::Model { filled_quantity: "4".parse().unwrap(), ..order(Side::Buy, Limit, "10", "50.00", "") };
    for (most, expected) in
        [("12", "16 25.00 -"), ("11.99999999", "15.9999 25.00 -"), ("0.00009999", "canceled")]
    {
        assert_eq!(shown(&on_split(&partly, "VTI", (2, 1), Some(most.parse().unwrap()))), expected);
    }
}

proptest! {
    #[test]
    fn lots_share_a_new_quantity_exactly(
        lots in prop::collection::vec(1_i64..10_000_000_000, 1..9), new in 1_i64..100, old in 1_i64..100,
    ) {
        let sum = Quantity::from_units(lots.iter().sum());
        let total = scaled(sum, new, old).unwrap();
        let found = parts(total, &lots);
        let found_sum: i64 = found.iter().sum();
        prop_assert!(found.iter().all(|part| *part > 0));
        // Lots that become less than a hundred-millionth of a share are rounded up.
        let raised = lots.iter().filter(|lot| **lot * new < 2 * old).count();
        prop_assert!((0..=i64::try_from(raised).unwrap()).contains(&(found_sum - total.units())));
        for (lot, part) in lots.iter().zip(&found) {
            let exact = i128::from(*lot) * i128::from(new) / i128::from(old);
            prop_assert!((i128::from(*part) - exact).abs() <= 1);
        }
    }

    #[test]
    fn an_adjusted_purchase_never_needs_more_cash(
        units in 1_i64..1_000_000, cents in 1_i64..1_000_000, new in 2_i64..50, old in 1_i64..49,
    ) {
        prop_assume!(new > old);
        let quantity = Quantity::from_units(units * QUANTITY_STEP);
        let price = Price::from_units(cents * 100);
        let limit = order(Side::Buy, OrderKind::Limit, "1", "1", "");
        let before = order::Model { quantity, limit_price: Some(price), ..limit };
        if let Adjusted::To(after) = on_split(&before, "VTI", (new, old), None) {
            let worth = |order: &order::Model| {
                i128::from(order.quantity.units()) * i128::from(order.limit_price.unwrap().units())
            };
            prop_assert!(worth(&after) <= worth(&before));
        }
    }
}
