use super::*;
use crate::trading::{
    bars::Bar,
    fill_rules::{self, Open},
    market::Quote,
};
use chrono::{DateTime, TimeDelta};
use proptest::prelude::*;

fn price(text: &str) -> Price {
    text.parse().unwrap()
}

fn shares(text: &str) -> Quantity {
    text.parse().unwrap()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

#[test]
fn a_status_follows_only_the_ones_that_may_precede_it() {
    use Status::{Accepted, Canceled, Expired, Filled, New, PartiallyFilled, Rejected};
    let all = [Accepted, New, PartiallyFilled, Filled, Canceled, Expired, Rejected];
    for (from, to) in [
        (None, &[Accepted, Rejected][..]),
        (Some(Accepted), &[New, Canceled, Expired, Rejected]),
        (Some(New), &[PartiallyFilled, Filled, Canceled, Expired, Rejected]),
        (Some(PartiallyFilled), &[PartiallyFilled, Filled, Canceled, Expired]),
        (Some(Filled), &[]),
        (Some(Canceled), &[]),
        (Some(Expired), &[]),
        (Some(Rejected), &[]),
    ] {
        for status in all {
            assert_eq!(can_become(from, status), to.contains(&status), "{from:?} to {status:?}");
        }
    }
}

fn terms(kind: OrderKind, stop: Option<&str>, limit: Option<&str>) -> Terms {
    Terms {
        side: Side::Buy,
        kind,
        time_in_force: TimeInForce::Day,
        limit: limit.map(price),
        stop: stop.map(price),
        triggered: false,
    }
}

#[test]
fn each_type_of_purchase_holds_its_cash() {
    for (kind, stop, limit, quantity, held) in [
        (OrderKind::Market, None, None, "3", "309.31"),
        (OrderKind::Limit, None, Some("33.33"), "1.5", "50.00"),
        (OrderKind::Limit, None, Some("33.33"), "0.0001", "0.01"),
        (OrderKind::Stop, Some("120.00"), None, "2", "247.20"),
        (OrderKind::StopLimit, Some("120.00"), Some("121.01"), "2", "242.02"),
    ] {
        let terms = terms(kind, stop, limit);
        let hold = cash_to_hold(&terms, shares(quantity), price("100.10"), Percent::from_units(300));
        assert_eq!(hold, Some(money(held)), "{kind:?}");
    }
    let triggered = Terms { triggered: true, ..terms(OrderKind::Stop, Some("120.00"), None) };
    let hold = cash_to_hold(&triggered, shares("2"), price("130.00"), Percent::from_units(300));
    assert_eq!(hold, Some(money("267.80")));
}

#[test]
fn small_fills_cost_together_what_one_fill_costs() {
    let mut filled = Filled::default();
    let mut amounts = Vec::new();
    for _ in 0..8 {
        let (next, amount) = filled.and(shares("1"), price("0.125")).unwrap();
        amounts.push(amount.units());
        filled = next;
    }
    assert_eq!(amounts, [13, 12, 13, 12, 13, 12, 13, 12]);
    assert_eq!((filled.amount, filled.average_price()), (money("1.00"), Some(price("0.125"))));
    assert_eq!(Filled::default().average_price(), None);
    let (first, _) = Filled::default().and(shares("1"), price("10.00")).unwrap();
    let (both, _) = first.and(shares("2"), price("10.01")).unwrap();
    assert_eq!(both.average_price(), Some(price("10.0067")));
}

/// What a customer owns and an order holds of it.
#[derive(Clone, Copy, Debug)]
struct Machine {
    terms: Terms,
    status: Status,
    quantity: Quantity,
    filled: Filled,
    /// Cents or units of shares.
    held: i64,
    placed_hold: i64,
    released: i64,
    moved: i64,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Quote { bid: i64, spread: i64 },
    Bar { open: i64, up: i64, down: i64, volume: i64 },
    Cancel,
    Expire,
    Replace { quantity: i64, shift: i64 },
}

const TICK: i64 = 100;

impl Machine {
    fn place(side: Side, kind: OrderKind, force: TimeInForce, quantity: i64, stop: i64, limit: i64) -> Self {
        let terms = Terms {
            side,
            kind,
            time_in_force: force,
            limit: kind.has_limit().then_some(Price::from_units(limit * TICK)),
            stop: kind.has_stop().then_some(Price::from_units(stop * TICK)),
            triggered: false,
        };
        let quantity = Quantity::from_units(quantity * QUANTITY_STEP);
        let mut machine = Self {
            terms,
            status: Status::New,
            quantity,
            filled: Filled::default(),
            held: 0,
            placed_hold: 0,
            released: 0,
            moved: 0,
        };
        machine.held = machine.needed();
        machine.placed_hold = machine.held;
        machine
    }

    fn open(&self) -> Quantity {
        self.quantity.minus(self.filled.quantity).unwrap()
    }

    fn needed(&self) -> i64 {
        match self.terms.side {
            Side::Sell => self.open().units(),
            Side::Buy => {
                let buffer = Percent::from_units(300);
                cash_to_hold(&self.terms, self.open(), Price::from_units(1_000_000), buffer).unwrap().units()
            }
        }
    }

    fn change(&mut self, to: Status) {
        assert!(can_become(Some(self.status), to), "{:?} to {to:?}", self.status);
        self.status = to;
        if !to.is_open() {
            self.released += self.held;
            self.held = 0;
        }
    }

    fn fill(&mut self, quantity: Quantity, price: Price) {
        let before = self.filled;
        let (filled, amount) = before.and(quantity, price).unwrap();
        let release = Release { held: self.held, open: self.open(), quantity };
        let released = match self.terms.side {
            Side::Buy => release.cash(&filled, amount, self.terms.limit),
            Side::Sell => release.shares(),
        };
        if let Some(limit) = self.terms.limit {
            assert!(fill_rules::within(self.terms.side, price, limit), "a fill beyond its limit: {self:?}");
            if self.terms.side == Side::Buy {
                assert!(amount.units() <= released, "{amount} of {released}: {self:?}");
            }
        }
        if self.terms.side == Side::Sell {
            assert_eq!(released, quantity.units());
        }
        assert!((0..=self.held).contains(&released));
        self.held -= released;
        self.released += released;
        self.moved += amount.units();
        self.filled = filled;
        let whole = filled.quantity == self.quantity;
        self.change(if whole { Status::Filled } else { Status::PartiallyFilled });
    }

    fn decide(&mut self, decision: fill_rules::Decision) {
        assert!(decision.triggered || !self.terms.triggered);
        self.terms.triggered = decision.triggered;
        if let Some(execution) = decision.execution {
            self.fill(execution.quantity, execution.price);
        }
        if decision.cancels_rest && self.status.is_open() {
            self.change(Status::Canceled);
        }
    }

    fn step(&mut self, step: Step) {
        let before = *self;
        if !self.status.is_open() {
            return;
        }
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let open = Open::Shares(self.open());
        match step {
            Step::Quote { bid, spread } => {
                let (bid, ask) = (Price::from_units(bid * TICK), Price::from_units((bid + spread) * TICK));
                self.decide(fill_rules::by_quote(&self.terms, open, &Quote { bid, ask, last: bid, at }));
            }
            Step::Bar { open: first, up, down, volume } => {
                let unit = |cents: i64| Price::from_units(cents.max(1) * TICK);
                let bar = Bar {
                    starts_at: at,
                    open: unit(first),
                    high: unit(first + up),
                    low: unit(first - down),
                    close: unit(first),
                    volume: Quantity::from_units(volume * QUANTITY_STEP),
                };
                let decision = fill_rules::by_bar(&self.terms, open, &bar, Percent::from_units(1_000));
                if let Some(execution) = decision.execution {
                    assert!((bar.low..=bar.high).contains(&execution.price), "a price outside of the bar");
                }
                self.decide(decision);
            }
            Step::Cancel => self.change(Status::Canceled),
            Step::Expire => self.change(Status::Expired),
            Step::Replace { quantity, shift } => {
                let quantity = Quantity::from_units(quantity * QUANTITY_STEP);
                if quantity > self.filled.quantity {
                    let moved = |price: Price| Price::from_units((price.units() + shift * TICK).max(TICK));
                    self.quantity = quantity;
                    self.terms.limit = self.terms.limit.map(moved);
                    self.terms.stop = self.terms.stop.map(moved);
                    let needed = self.needed();
                    self.placed_hold += Ord::max(needed - self.held, 0);
                    self.released += Ord::max(self.held - needed, 0);
                    self.held = needed;
                }
            }
        }
        assert!(self.filled.quantity >= before.filled.quantity && self.filled.quantity <= self.quantity);
        assert_eq!(self.status == Status::Filled, self.filled.quantity == self.quantity);
        assert_eq!(self.placed_hold, self.held + self.released, "holds are conserved");
        assert!(self.held == 0 || self.status.is_open());
        assert_eq!(self.moved, self.filled.amount.units());
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (9_000..11_000_i64, 0..20_i64).prop_map(|(bid, spread)| Step::Quote { bid, spread }),
        12 => (9_000..11_000_i64, 0..500_i64, 0..500_i64, 0..2_000_000_i64)
            .prop_map(|(open, up, down, volume)| Step::Bar { open, up, down, volume }),
        1 => Just(Step::Cancel),
        1 => Just(Step::Expire),
        4 => (1..100_000_i64, -50..50_i64).prop_map(|(quantity, shift)| Step::Replace { quantity, shift }),
    ]
}

fn any_machine() -> impl Strategy<Value = Machine> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let kind = prop_oneof![
        Just(OrderKind::Market),
        Just(OrderKind::Limit),
        Just(OrderKind::Stop),
        Just(OrderKind::StopLimit)
    ];
    let force = prop_oneof![
        4 => Just(TimeInForce::Day),
        2 => Just(TimeInForce::Gtc),
        1 => Just(TimeInForce::Ioc),
        1 => Just(TimeInForce::Fok)
    ];
    let prices = (9_000..11_000_i64, 9_000..11_000_i64);
    (side, kind, force, 1..200_000_i64, prices).prop_map(|(side, kind, force, quantity, (stop, limit))| {
        Machine::place(side, kind, force, quantity, stop, limit)
    })
}

proptest! {
    // 2,000 orders with 50 steps each: 100,000 steps.
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_sequence_of_steps_breaks_an_order(machine in any_machine(),
        steps in proptest::collection::vec(any_step(), 50)) {
        let mut machine = machine;
        for step in steps {
            machine.step(step);
        }
    }

    #[test]
    fn the_hold_of_a_limit_order_pays_for_every_split(limit in 1..20_000_i64,
        parts in proptest::collection::vec((1..30_000_i64, 1..10_000_i64), 1..30)) {
        let quantity = parts.iter().map(|(part, _)| part * QUANTITY_STEP).sum();
        let limit = Price::from_units(limit);
        let mut held = Money::hold(Quantity::from_units(quantity), limit, Percent::ZERO).unwrap().units();
        let (mut filled, mut open) = (Filled::default(), quantity);
        for (part, better) in parts {
            let part = Quantity::from_units(part * QUANTITY_STEP);
            let price = Price::from_units((limit.units() * better / 10_000).max(1));
            let (next, amount) = filled.and(part, price).unwrap();
            let release = Release { held, open: Quantity::from_units(open), quantity: part };
            let released = release.cash(&next, amount, Some(limit));
            prop_assert!(amount.units() <= released && released <= held);
            (filled, open, held) = (next, open - part.units(), held - released);
        }
        prop_assert_eq!(held, 0);
    }
}
