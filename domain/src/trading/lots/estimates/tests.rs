use super::*;
use uuid::Uuid;

fn closing(term: Term, proceeds: i64, basis: i64, disallowed: i64) -> lot_closing::Model {
    lot_closing::Model {
        id: Uuid::nil(),
        partner_id: Uuid::nil(),
        account_id: Uuid::nil(),
        instrument_id: Uuid::nil(),
        lot_id: Uuid::nil(),
        fill_id: Some(Uuid::nil()),
        entitlement_id: None,
        quantity: Quantity::from_units(100_000_000),
        proceeds: Money::from_units(proceeds),
        basis: Money::from_units(basis),
        disallowed: Money::from_units(disallowed),
        forfeited: Money::ZERO,
        unreplaced_quantity: Quantity::ZERO,
        held_since: NaiveDate::default(),
        term,
        closed_at: chrono::DateTime::UNIX_EPOCH,
        closed_on: NaiveDate::default(),
    }
}

#[test]
fn losses_of_one_term_reduce_the_gains_of_the_other() {
    let [short, long] = [Percent::from_units(2_400), Percent::from_units(1_500)];
    for (closings, cents) in [
        (vec![], 0),
        (vec![closing(Term::Short, 11_000, 10_000, 0)], 240),
        (vec![closing(Term::Long, 11_000, 10_000, 0)], 150),
        (vec![closing(Term::Short, 11_000, 10_000, 0), closing(Term::Long, 10_400, 10_000, 0)], 300),
        (vec![closing(Term::Short, 11_000, 10_000, 0), closing(Term::Long, 9_600, 10_000, 0)], 144),
        (vec![closing(Term::Short, 9_600, 10_000, 0), closing(Term::Long, 11_000, 10_000, 0)], 90),
        (vec![closing(Term::Short, 9_000, 10_000, 0), closing(Term::Long, 10_400, 10_000, 0)], 0),
        // A disallowed loss reduces nothing.
        (vec![closing(Term::Short, 9_000, 10_000, 1_000), closing(Term::Long, 10_400, 10_000, 0)], 60),
        // 24 % of 0.02 is 0.0048, of 0.03 it is 0.0072.
        (vec![closing(Term::Short, 10_002, 10_000, 0)], 0),
        (vec![closing(Term::Short, 10_003, 10_000, 0)], 1),
    ] {
        assert_eq!(tax(&closings, short, long), Money::from_units(cents), "{closings:?}");
    }
}
