use super::*;
use crate::trading::lots::replay::Book;
use chrono::{DateTime, TimeDelta, Utc};
use entity::{fill, order::Side};
use proptest::prelude::*;

const TAXABLE: u128 = 1;
const OTHER: u128 = 2;
const RETIREMENT: u128 = 3;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(day: NaiveDate, minute: i64) -> DateTime<Utc> {
    day.and_hms_opt(15, 0, 0).unwrap().and_utc() + TimeDelta::minutes(minute)
}

fn shares(whole: i64) -> Quantity {
    Quantity::from_units(whole * 100_000_000)
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn lot(id: u128, account: u128, bought: NaiveDate, quantity: Quantity, cost: Money) -> tax_lot::Model {
    tax_lot::Model {
        id: Uuid::from_u128(id),
        partner_id: Uuid::nil(),
        account_id: Uuid::from_u128(account),
        instrument_id: Uuid::nil(),
        fill_id: None,
        bought_quantity: quantity,
        purchase_id: Uuid::from_u128(id),
        opened_at: at(bought, 0),
        acquired_on: bought,
        held_since: bought,
        quantity,
        cost,
        wash_adjustment: Money::ZERO,
        open_quantity: quantity,
        open_basis: cost,
        replaces_id: None,
        is_unsettled: false,
    }
}

fn sale_of(account: u128, on: NaiveDate, quantity: Quantity, amount: Money) -> fill::Model {
    fill::Model {
        id: Uuid::nil(),
        partner_id: Uuid::nil(),
        account_id: Uuid::from_u128(account),
        order_id: Uuid::nil(),
        number: 1,
        side: Side::Sell,
        quantity,
        price: Price::average(amount, quantity).unwrap(),
        amount,
        execution_id: None,
        explanation: None,
        traded_at: at(on, 1),
        settles_at: at(on, 1),
        settled_at: None,
        sec_fee: Money::ZERO,
        trading_activity_fee: Money::ZERO,
        set_aside: Money::ZERO,
    }
}

/// Trades in accounts of one person, the last of which is a retirement account.
#[derive(Default)]
struct Person {
    book: Book,
    lots: u128,
}

impl Person {
    fn buy(&mut self, account: u128, on: &str, quantity: i64, cost: &str) -> &mut Self {
        self.lots += 1;
        let lot = lot(1_000_000 + self.lots, account, day(on), shares(quantity), money(cost));
        self.book.buy(lot, account == RETIREMENT).unwrap();
        self
    }

    fn sell(&mut self, account: u128, on: &str, quantity: i64, amount: &str) -> &mut Self {
        self.sell_by(LotMethod::Fifo, account, day(on), shares(quantity), money(amount))
    }

    fn sell_by(
        &mut self,
        method: LotMethod,
        account: u128,
        on: NaiveDate,
        quantity: Quantity,
        amount: Money,
    ) -> &mut Self {
        let fill = sale_of(account, on, quantity, amount);
        let is_taxable = account != RETIREMENT;
        let sale = Sale { fill: &fill, instrument_id: Uuid::nil(), on, is_taxable };
        let own = self.book.lots.iter().map(|candidate| &candidate.lot);
        let own = own.filter(|lot| lot.account_id == fill.account_id);
        let ids: Vec<_> = in_order(own, method, &[], fill.price, on).iter().map(|lot| lot.id).collect();
        self.book.sell(sale, &ids).unwrap();
        self.book.disallow().unwrap();
        self
    }

    /// Returns quantity, proceeds, basis, disallowed and forfeited loss of each closing.
    fn closings(&self) -> Vec<[String; 5]> {
        let row = |(closing, _): &(lot_closing::Model, Uuid)| {
            let lot_closing::Model { quantity, proceeds, basis, disallowed, forfeited, .. } = closing;
            let [a, b, c, d] = [proceeds, basis, disallowed, forfeited].map(ToString::to_string);
            [quantity.to_string(), a, b, c, d]
        };
        self.book.closings.iter().map(row).collect()
    }

    /// Returns quantity, basis and beginning of the holding period of each open lot, oldest first.
    fn open(&self) -> Vec<[String; 3]> {
        let mut lots: Vec<_> = self.book.lots.iter().map(|candidate| &candidate.lot).collect();
        lots.retain(|lot| lot.open_quantity.is_positive());
        lots.sort_by_key(|lot| (lot.opened_at, lot.replaces_id.is_none(), lot.id));
        let row = |lot: &&tax_lot::Model| {
            [lot.open_quantity.to_string(), lot.open_basis.to_string(), lot.held_since.to_string()]
        };
        lots.iter().map(row).collect()
    }
}

fn owned<const N: usize>(rows: &[[&str; N]]) -> Vec<[String; N]> {
    rows.iter().map(|row| row.map(str::to_owned)).collect()
}

#[test]
fn shares_are_long_term_from_the_day_after_the_anniversary() {
    for (acquired, from) in [
        ("2023-03-15", "2024-03-16"),
        ("2023-12-31", "2025-01-01"),
        ("2023-02-27", "2024-02-28"),
        // The last day of a month: the first day of the 13th month after.
        ("2023-02-28", "2024-03-01"),
        ("2024-02-29", "2025-03-01"),
        ("2023-04-30", "2024-05-01"),
        ("2023-01-31", "2024-02-01"),
        // Not the last day of February in a leap year.
        ("2024-02-28", "2025-03-01"),
        ("2024-02-27", "2025-02-28"),
    ] {
        let from = day(from);
        assert_eq!(long_term_from(day(acquired)), from, "{acquired}");
        assert_eq!(term(day(acquired), from), Term::Long, "{acquired}");
        assert_eq!(term(day(acquired), from.pred_opt().unwrap()), Term::Short, "{acquired}");
    }
}

#[test]
fn the_window_has_sixty_one_days() {
    let (first, last) = wash_window(day("2026-07-10"));
    assert_eq!((first, last), (day("2026-06-10"), day("2026-08-09")));
    assert_eq!(last.signed_duration_since(first).num_days() + 1, 61);
}

#[test]
fn amounts_are_split_by_largest_remainder() {
    for (total, weights, parts) in [
        ("100.00", &[1, 1, 1][..], &["33.34", "33.33", "33.33"][..]),
        ("0.02", &[1, 1, 1], &["0.01", "0.01", "0.00"]),
        ("10.00", &[1, 2, 3], &["1.67", "3.33", "5.00"]),
        ("0.05", &[5, 1], &["0.04", "0.01"]),
        ("7.00", &[4], &["7.00"]),
    ] {
        let split: Vec<_> = split(money(total), weights).iter().map(ToString::to_string).collect();
        assert_eq!(split, parts, "{total} {weights:?}");
    }
}

#[test]
fn each_method_has_its_order() {
    let on = day("2026-07-10");
    let lots = [
        // Unit basis 10: long-term, at a price of 20 a gain.
        lot(1, TAXABLE, day("2025-01-02"), shares(2), money("20.00")),
        // 30: long-term loss.
        lot(2, TAXABLE, day("2025-02-03"), shares(1), money("30.00")),
        // 15: short-term gain.
        lot(3, TAXABLE, day("2026-01-05"), shares(4), money("60.00")),
        // 25: short-term loss.
        lot(4, TAXABLE, day("2026-02-03"), shares(1), money("25.00")),
        // 12: long-term gain.
        lot(5, TAXABLE, day("2025-03-03"), shares(1), money("12.00")),
        // Sold.
        tax_lot::Model {
            open_quantity: Quantity::ZERO,
            ..lot(6, TAXABLE, day("2025-03-03"), shares(1), money("12.00"))
        },
    ];
    let named = [Uuid::from_u128(4), Uuid::from_u128(5)];
    for (method, expected) in [
        (LotMethod::Fifo, [1, 2, 5, 3, 4]),
        (LotMethod::Lifo, [4, 3, 5, 2, 1]),
        (LotMethod::Hifo, [2, 4, 3, 5, 1]),
        (LotMethod::MinTax, [4, 2, 5, 1, 3]),
        (LotMethod::Specific, [4, 5, 1, 2, 3]),
    ] {
        let price = "20.00".parse().unwrap();
        let ids: Vec<_> =
            in_order(&lots, method, &named, price, on).iter().map(|lot| lot.id.as_u128()).collect();
        assert_eq!(ids, expected, "{method:?}");
    }
}

#[test]
fn the_example_of_the_irs_is_reproduced() {
    // Publication 550: 100 shares bought for $1,000 and sold for $750, and 100 bought for $800 within 30 days.
    let mut person = Person::default();
    person.buy(TAXABLE, "2026-01-05", 100, "1000").sell(TAXABLE, "2026-03-02", 100, "750");
    person.buy(TAXABLE, "2026-03-20", 100, "800");
    assert_eq!(person.closings(), owned(&[["100", "750.00", "1000.00", "250.00", "0.00"]]));
    // 56 days were held before the sale.
    assert_eq!(person.open(), owned(&[["100", "1050.00", "2026-01-23"]]));
}

#[test]
fn the_thirtieth_day_replaces_and_the_thirty_first_does_not() {
    for (bought, disallowed) in [
        ("2026-05-31", "0.00"),
        ("2026-06-01", "250.00"),
        ("2026-07-01", "250.00"),
        ("2026-07-31", "250.00"),
        ("2026-08-01", "0.00"),
    ] {
        let mut person = Person::default();
        person.buy(TAXABLE, "2026-01-05", 100, "1000");
        if day(bought) < day("2026-07-01") {
            person.buy(TAXABLE, bought, 100, "800").sell(TAXABLE, "2026-07-01", 100, "750");
        } else {
            person.sell(TAXABLE, "2026-07-01", 100, "750").buy(TAXABLE, bought, 100, "800");
        }
        let closing = ["100", "750.00", "1000.00", disallowed, "0.00"];
        assert_eq!(person.closings(), owned(&[closing]), "{bought}");
    }
}

#[test]
fn forty_of_a_hundred_shares_replace_forty_percent() {
    let mut person = Person::default();
    person.buy(TAXABLE, "2026-01-05", 100, "1000").sell(TAXABLE, "2026-03-02", 100, "750");
    person.buy(TAXABLE, "2026-03-03", 40, "320");
    assert_eq!(person.closings(), owned(&[["100", "750.00", "1000.00", "100.00", "0.00"]]));
    assert_eq!(person.open(), owned(&[["40", "420.00", "2026-01-06"]]));
    // Another 100: only 60 of them replace shares, and are a lot of their own.
    person.buy(TAXABLE, "2026-03-04", 100, "800");
    assert_eq!(person.closings(), owned(&[["100", "750.00", "1000.00", "250.00", "0.00"]]));
    assert_eq!(
        person.open(),
        owned(&[
            ["40", "420.00", "2026-01-06"],
            ["60", "630.00", "2026-01-07"],
            ["40", "320.00", "2026-03-04"],
        ])
    );
}

#[test]
fn shares_are_matched_in_order_of_purchase_and_each_once() {
    let mut person = Person::default();
    person.buy(TAXABLE, "2026-01-05", 30, "300");
    person.buy(TAXABLE, "2026-02-20", 10, "90").buy(TAXABLE, "2026-02-25", 10, "80");
    person.sell(TAXABLE, "2026-03-02", 15, "105");
    // 15 of 30 were sold with a loss of 45: the 10 bought first replace 10, the next 10 replace 5.
    assert_eq!(person.closings(), owned(&[["15", "105.00", "150.00", "45.00", "0.00"]]));
    assert_eq!(
        person.open(),
        owned(&[
            ["15", "150.00", "2026-01-05"],
            ["10", "120.00", "2025-12-26"],
            ["5", "55.00", "2025-12-31"],
            ["5", "40.00", "2026-02-25"],
        ])
    );
    // The other 15 are sold: only 5 shares are left that replace no others.
    person.sell(TAXABLE, "2026-03-03", 15, "105");
    assert_eq!(person.closings()[1], ["15", "105.00", "150.00", "15.00", "0.00"]);
}

#[test]
fn shares_that_are_sold_are_no_replacement() {
    let mut person = Person::default();
    person.buy(TAXABLE, "2026-02-20", 10, "100").buy(TAXABLE, "2026-02-25", 10, "100");
    person.sell(TAXABLE, "2026-03-02", 20, "150");
    let row = ["10", "75.00", "100.00", "0.00", "0.00"];
    assert_eq!(person.closings(), owned(&[row, row]));
    // Neither is the rest of the same purchase.
    let mut person = Person::default();
    person.buy(TAXABLE, "2026-02-20", 10, "100").sell(TAXABLE, "2026-03-02", 4, "30");
    assert_eq!(person.closings(), owned(&[["4", "30.00", "40.00", "0.00", "0.00"]]));
}

#[test]
fn shares_that_an_order_buys_after_a_sale_replace_shares_that_it_bought_before() {
    let mut person = Person::default();
    person.buy(TAXABLE, "2026-02-20", 10, "100").sell(TAXABLE, "2026-03-02", 10, "75");
    let mut later = lot(2, TAXABLE, day("2026-03-03"), shares(4), money("32"));
    later.purchase_id = person.book.lots[0].lot.purchase_id;
    person.book.buy(later, false).unwrap();
    assert_eq!(person.closings(), owned(&[["10", "75.00", "100.00", "10.00", "0.00"]]));
    assert_eq!(person.open(), owned(&[["4", "42.00", "2026-02-21"]]));
}

#[test]
fn a_loss_of_more_shares_than_64_bits_count_today_is_replaced_by_what_a_lot_has() {
    let mut person = Person::default();
    person.buy(TAXABLE, "2024-01-02", 1000, "2000.00").sell(TAXABLE, "2024-01-10", 1000, "1000.00");
    let mut losses = person.book.closings.clone();
    let split = |on: &str| Split { id: Uuid::max(), at: at(day(on), 0), new_shares: 10_000, old_shares: 1 };
    let splits = [split("2024-01-11"), split("2024-01-12")];
    let late = lot(2, TAXABLE, day("2024-03-01"), shares(100_000_000), money("100.00"));
    let replacing = lot(3, TAXABLE, day("2024-01-15"), shares(100_000_000), money("100.00"));
    let mut candidates = [late, replacing].map(|lot| Candidate { lot, is_retirement: false });
    let parts = disallow(&mut losses, &mut candidates, &splits, Uuid::nil).unwrap();
    // A hundred million shares are one of the thousand that were sold.
    assert_eq!(parts.len(), 0);
    assert_eq!(candidates.map(|candidate| candidate.lot.open_basis), [money("101.00"), money("100.00")]);
    assert_eq!((losses[0].0.disallowed, losses[0].0.unreplaced_quantity), (money("1.00"), shares(999)));
}

#[test]
fn a_replacement_that_is_sold_at_a_loss_passes_the_loss_on() {
    let mut person = Person::default();
    person.buy(TAXABLE, "2026-01-05", 100, "1000").sell(TAXABLE, "2026-03-02", 100, "750");
    person.buy(TAXABLE, "2026-03-03", 100, "800").sell(TAXABLE, "2026-03-10", 100, "700");
    person.buy(TAXABLE, "2026-03-11", 100, "650");
    assert_eq!(
        person.closings(),
        owned(&[
            ["100", "750.00", "1000.00", "250.00", "0.00"],
            ["100", "700.00", "1050.00", "350.00", "0.00"],
        ])
    );
    assert_eq!(person.open(), owned(&[["100", "1000.00", "2026-01-07"]]));
}

#[test]
fn accounts_of_one_person_wash_each_other_and_a_retirement_account_keeps_no_loss() {
    let mut person = Person::default();
    person.buy(TAXABLE, "2026-01-05", 100, "1000").sell(TAXABLE, "2026-03-02", 100, "750");
    person.buy(OTHER, "2026-03-03", 50, "400").buy(RETIREMENT, "2026-03-04", 50, "400");
    assert_eq!(person.closings(), owned(&[["100", "750.00", "1000.00", "250.00", "125.00"]]));
    assert_eq!(person.open(), owned(&[["50", "525.00", "2026-01-06"], ["50", "400.00", "2026-03-04"]]));
    // A sale at a loss in a retirement account is no loss for taxes, so nothing is disallowed.
    person.sell(RETIREMENT, "2026-03-05", 50, "300").buy(TAXABLE, "2026-03-06", 50, "300");
    assert_eq!(person.closings()[1], ["50", "300.00", "400.00", "0.00", "0.00"]);
    assert_eq!(person.open()[1], ["50", "300.00", "2026-03-06"]);
}

#[test]
fn a_long_term_loss_makes_its_replacement_long_term_sooner() {
    let mut person = Person::default();
    person.buy(TAXABLE, "2025-01-06", 10, "100").sell(TAXABLE, "2026-02-02", 10, "90");
    person.buy(TAXABLE, "2026-02-03", 10, "90").sell(TAXABLE, "2026-02-04", 10, "120");
    let terms: Vec<_> = person.book.closings.iter().map(|(closing, _)| closing.term).collect();
    assert_eq!(terms, [Term::Long, Term::Long]);
    assert_eq!(person.closings()[1], ["10", "120.00", "100.00", "0.00", "0.00"]);
}

/// A trade: account, days since the last one, quantity, price in cents, and whether it sells.
type Step = (u128, u64, i64, i64, bool, u8);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (1_u128..=3, 0_u64..25, 1_i64..2_000_000_000, 1_i64..20_000, any::<bool>(), 0_u8..4);
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn cost_and_shares_are_conserved(steps in steps()) {
        let mut person = Person::default();
        let mut on = day("2025-01-02");
        let (mut paid, mut received) = (0, 0);
        let mut held = [0_i64; 4];
        for (account, days, units, cents, is_sale, method) in steps {
            on = on.checked_add_days(Days::new(days)).unwrap();
            let place = usize::try_from(account).unwrap();
            let units = if is_sale { units.min(held[place]) } else { units };
            let quantity = Quantity::from_units(units);
            let amount = Money::cost(quantity, Price::from_units(cents * 100)).unwrap();
            if is_sale && units > 0 && amount.is_positive() {
                let method = [LotMethod::Fifo, LotMethod::Lifo, LotMethod::Hifo, LotMethod::MinTax]
                    [usize::from(method)];
                held[place] -= units;
                received += amount.units();
                person.sell_by(method, account, on, quantity, amount);
            } else if !is_sale {
                held[place] += units;
                paid += amount.units();
                person.lots += 1;
                let lot = lot(1_000_000 + person.lots, account, on, quantity, amount);
                person.book.buy(lot, account == RETIREMENT).unwrap();
            }
        }
        let lots: Vec<_> = person.book.lots.iter().map(|candidate| &candidate.lot).collect();
        let closings: Vec<_> = person.book.closings.iter().map(|(closing, _)| closing).collect();
        let cents = |amounts: Vec<Money>| amounts.iter().map(|amount| amount.units()).sum::<i64>();
        for account in 1..=3 {
            let own = lots.iter().filter(|lot| lot.account_id.as_u128() == account);
            let open = own.map(|lot| lot.open_quantity.units()).sum::<i64>();
            prop_assert_eq!(open, held[usize::try_from(account).unwrap()]);
        }
        let open = cents(lots.iter().map(|lot| lot.open_basis).collect());
        let closed = cents(closings.iter().map(|closing| closing.basis).collect());
        let disallowed = cents(closings.iter().map(|closing| closing.disallowed).collect());
        let forfeited = cents(closings.iter().map(|closing| closing.forfeited).collect());
        let moved = cents(lots.iter().map(|lot| lot.wash_adjustment).collect());
        prop_assert_eq!(cents(lots.iter().map(|lot| lot.cost).collect()), paid);
        prop_assert_eq!(open + closed, paid + moved);
        prop_assert_eq!(disallowed, moved + forfeited);
        prop_assert_eq!(cents(closings.iter().map(|closing| closing.proceeds).collect()), received);
        for lot in &lots {
            let own: Vec<_> = closings.iter().filter(|closing| closing.lot_id == lot.id).collect();
            let basis = own.iter().map(|closing| closing.basis.units()).sum::<i64>();
            prop_assert_eq!(lot.open_basis.units() + basis, lot.cost.units() + lot.wash_adjustment.units());
            let sold = own.iter().map(|closing| closing.quantity.units()).sum::<i64>();
            prop_assert_eq!(lot.open_quantity.units() + sold, lot.quantity.units());
            prop_assert!(lot.open_quantity.is_positive() || lot.open_basis == Money::ZERO);
        }
        for closing in &closings {
            let loss = closing.basis.units() - closing.proceeds.units();
            prop_assert!(closing.disallowed.units() <= loss.max(0));
            prop_assert!(closing.unreplaced_quantity.units() >= 0);
        }
    }
}
