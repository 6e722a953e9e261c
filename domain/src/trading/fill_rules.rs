//! The rules by which the paper venue fills orders: pure functions of an order's terms and a quote or a bar.
//!
//! In quote mode an order fills completely at the quote. In bar mode it sees the bars that begin at or after
//! its submission, at most one share of each bar's volume, and never a price that the bar did not have. A stop
//! that the market jumps over pays the gap; a limit is never filled at a worse price.

use super::{
    bars::Bar,
    market::Quote,
    orders::state::{QUANTITY_STEP, Terms, shares_for},
};
use entity::{
    Money, Percent, Price, Quantity,
    order::{OrderKind, Side, TimeInForce},
};
use serde::{Deserialize, Serialize};

/// What is still open of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    Shares(Quantity),
    /// Amount of an order by amount, and the shares that may be sold at most for it.
    Amount(Money, Option<Quantity>),
}

impl Open {
    /// Returns the open shares at this price.
    pub fn at(self, price: Price) -> Quantity {
        match self {
            Self::Shares(quantity) => quantity,
            Self::Amount(amount, most) => {
                let shares = shares_for(amount, price);
                most.map_or(shares, |most| Ord::min(shares, most))
            }
        }
    }
}

/// Rule by which the venue filled an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// At the ask of a quote.
    BuyAtAsk,
    /// At the bid of a quote.
    SellAtBid,
    /// At the opening price of a bar.
    BarOpen,
    /// At the limit price, which the bar reached.
    BarLimit,
    /// At the stop price, which the bar reached.
    BarStop,
    /// At the opening price of a bar that opened beyond the stop price.
    BarGap,
}

/// A fill that the venue decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    pub quantity: Quantity,
    pub price: Price,
    pub rule: Rule,
}

/// What a quote or a bar does to an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether the stop price is reached now, or was reached before.
    pub triggered: bool,
    pub execution: Option<Execution>,
    /// Whether the venue cancels what is not filled: immediate-or-cancel and fill-or-kill orders.
    pub cancels_rest: bool,
}

/// Returns whether a price has reached a stop price.
pub fn reaches(side: Side, price: Price, stop: Price) -> bool {
    match side {
        Side::Buy => price >= stop,
        Side::Sell => price <= stop,
    }
}

/// Returns whether a price is a limit price or better.
pub fn within(side: Side, price: Price, limit: Price) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}

/// Decides on an order by a quote: a purchase at the ask, a sale at the bid, completely.
///
/// A stop order is triggered when the price at which it would trade reaches its stop price.
pub fn by_quote(terms: &Terms, open: Open, quote: &Quote) -> Decision {
    let (price, rule) = match terms.side {
        Side::Buy => (quote.ask, Rule::BuyAtAsk),
        Side::Sell => (quote.bid, Rule::SellAtBid),
    };
    let triggered = terms.triggered || terms.stop.is_some_and(|stop| reaches(terms.side, price, stop));
    let is_marketable = match (Terms { triggered, ..*terms }).working_kind() {
        OrderKind::Market => true,
        OrderKind::Limit => terms.limit.is_some_and(|limit| within(terms.side, price, limit)),
        OrderKind::Stop | OrderKind::StopLimit => false,
    };
    let quantity = open.at(price);
    let execution = (is_marketable && quantity.is_positive()).then_some(Execution { quantity, price, rule });
    Decision { triggered, execution, cancels_rest: is_immediate(terms) }
}

/// Decides on an order by a bar that begins at or after its submission. It fills at most `participation` of the
/// bar's volume.
pub fn by_bar(terms: &Terms, open: Open, bar: &Bar, participation: Percent) -> Decision {
    let (triggered, price) = price_in(terms, bar);
    let most = most_of(bar, participation);
    let execution = price.and_then(|(price, rule)| {
        let wanted = open.at(price);
        let quantity = Ord::min(wanted, most);
        let is_enough =
            quantity.is_positive() && (terms.time_in_force != TimeInForce::Fok || quantity == wanted);
        is_enough.then_some(Execution { quantity, price, rule })
    });
    Decision { triggered, execution, cancels_rest: is_immediate(terms) }
}

const fn is_immediate(terms: &Terms) -> bool {
    matches!(terms.time_in_force, TimeInForce::Ioc | TimeInForce::Fok)
}

/// Returns the quantity that one order may take of a bar, rounded down to four decimals.
fn most_of(bar: &Bar, participation: Percent) -> Quantity {
    let share = i128::from(bar.volume.units()) * i128::from(participation.units()) / 10_000;
    let step = i128::from(QUANTITY_STEP);
    Quantity::from_units(i64::try_from(share / step * step).unwrap_or(i64::MAX))
}

/// Returns whether the stop price is reached in a bar, and the price at which the order fills in it.
fn price_in(terms: &Terms, bar: &Bar) -> (bool, Option<(Price, Rule)>) {
    let side = terms.side;
    // The prices at which a stop and a limit are reached first.
    let (toward_stop, toward_limit) = match side {
        Side::Buy => (bar.high, bar.low),
        Side::Sell => (bar.low, bar.high),
    };
    let at_limit = |limit| {
        if within(side, bar.open, limit) {
            Some((bar.open, Rule::BarOpen))
        } else {
            within(side, toward_limit, limit).then_some((limit, Rule::BarLimit))
        }
    };
    match (terms.working_kind(), terms.stop, terms.limit) {
        (OrderKind::Market, ..) => (terms.triggered, Some((bar.open, Rule::BarOpen))),
        (OrderKind::Limit, _, Some(limit)) => (terms.triggered, at_limit(limit)),
        (OrderKind::Stop, Some(stop), _) if reaches(side, toward_stop, stop) => {
            let is_gap = bar.open != stop && reaches(side, bar.open, stop);
            (true, Some(if is_gap { (bar.open, Rule::BarGap) } else { (stop, Rule::BarStop) }))
        }
        (OrderKind::StopLimit, Some(stop), Some(limit)) if reaches(side, toward_stop, stop) => {
            let price = if reaches(side, bar.open, stop) {
                at_limit(limit)
            } else {
                // Whether the bar returned to a limit beyond the stop is not known, so only later bars count.
                within(side, stop, limit).then_some((stop, Rule::BarStop))
            };
            (true, price)
        }
        _ => (false, None),
    }
}

#[cfg(test)]
mod tests;
