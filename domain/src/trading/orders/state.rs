//! The state machine of an order: pure rules without I/O.
//!
//! Which status may follow which, what an order holds, and what a fill does to its quantity, average price and
//! hold.

use entity::{
    Money, Percent, Price, Quantity,
    order::{self, OrderKind, Side, Status, TimeInForce},
};

/// Step of a quantity, in hundred-millionths of a share: four decimals (documented).
pub const QUANTITY_STEP: i64 = 10_000;

/// Returns whether an order may change from one status to another. `None` is an order that is being submitted.
///
/// A partial fill may follow another one. No status follows a final one.
pub const fn can_become(from: Option<Status>, to: Status) -> bool {
    match from {
        None => matches!(to, Status::Accepted | Status::Rejected),
        Some(Status::Accepted) => {
            matches!(to, Status::New | Status::Canceled | Status::Expired | Status::Rejected)
        }
        Some(Status::New) => matches!(
            to,
            Status::PartiallyFilled | Status::Filled | Status::Canceled | Status::Expired | Status::Rejected
        ),
        Some(Status::PartiallyFilled) => {
            matches!(to, Status::PartiallyFilled | Status::Filled | Status::Canceled | Status::Expired)
        }
        Some(Status::Filled | Status::Canceled | Status::Expired | Status::Rejected) => false,
    }
}

/// What an order asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub side: Side,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    pub limit: Option<Price>,
    pub stop: Option<Price>,
    /// Whether the stop price has been reached: a stop order is then a market order, a stop-limit order a
    /// limit order.
    pub triggered: bool,
}

impl Terms {
    /// Returns the type of order that the order is now.
    pub const fn working_kind(&self) -> OrderKind {
        match (self.kind, self.triggered) {
            (OrderKind::Stop, true) => OrderKind::Market,
            (OrderKind::StopLimit, true) => OrderKind::Limit,
            (kind, _) => kind,
        }
    }
}

impl From<&order::Model> for Terms {
    fn from(order: &order::Model) -> Self {
        Self {
            side: order.side,
            kind: order.kind,
            time_in_force: order.time_in_force,
            limit: order.limit_price,
            stop: order.stop_price,
            triggered: order.triggered_at.is_some(),
        }
    }
}

/// Returns the cash that an order to buy holds: the quantity at its limit price, or else at the stop price or
/// the ask, raised by the partner's buffer. Multiplied first and rounded up to the cent once; `None` if that is
/// out of range.
pub fn cash_to_hold(terms: &Terms, quantity: Quantity, ask: Price, buffer: Percent) -> Option<Money> {
    match (terms.limit, terms.stop) {
        (Some(limit), _) => Money::hold(quantity, limit, Percent::ZERO),
        (None, Some(stop)) if !terms.triggered => Money::hold(quantity, stop, buffer),
        (None, _) => Money::hold(quantity, ask, buffer),
    }
}

/// Returns the shares that an amount is worth at a price, rounded down to four decimals (never more than the
/// amount); zero if that is out of range.
pub fn shares_for(amount: Money, price: Price) -> Quantity {
    let exact = i128::from(amount.units()) * 10_000_000_000 / i128::from(price.units().max(1));
    let step = i128::from(QUANTITY_STEP);
    Quantity::from_units(i64::try_from(exact / step * step).unwrap_or(0))
}

/// What has been filled of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    pub quantity: Quantity,
    /// Sum of price times quantity, in the product of their units.
    value: i128,
    /// Sum of the amounts of the fills.
    pub amount: Money,
}

impl Filled {
    /// Returns what has been filled after one more fill, and its amount: the value of all fills rounded half up
    /// to the cent, less the amounts of the earlier ones, so that many small fills cost together what one fill
    /// would have cost. `None` if a sum is out of range.
    pub fn and(self, quantity: Quantity, price: Price) -> Option<(Self, Money)> {
        let value = self.value + i128::from(quantity.units()) * i128::from(price.units());
        let total = Money::from_units(i64::try_from(rounded(value)).ok()?);
        let fill = total.minus(self.amount)?;
        Some((Self { quantity: self.quantity.plus(quantity)?, value, amount: total }, fill))
    }

    /// Returns the average price per share, rounded half up; `None` before the first fill.
    pub fn average_price(&self) -> Option<Price> {
        let shares = i128::from(self.quantity.units());
        let average = (self.value + shares / 2).checked_div(shares)?;
        i64::try_from(average).ok().map(Price::from_units)
    }

    /// Returns the cents that `left` more shares may cost at most at a limit price.
    pub fn still_to_pay(&self, left: Quantity, limit: Price) -> i64 {
        let value = self.value + i128::from(left.units()) * i128::from(limit.units());
        i64::try_from(rounded(value)).unwrap_or(i64::MAX).saturating_sub(self.amount.units())
    }
}

/// Units of price times units of quantity in one cent.
const PER_CENT: i128 = 10_000_000_000;

/// Rounds a value half up to the cent.
const fn rounded(value: i128) -> i128 {
    (value + PER_CENT / 2) / PER_CENT
}

/// How much of a hold a fill releases: its part of the open quantity, and all of the hold with the last fill.
///
/// The rest of the hold still covers the open quantity at the limit price, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Amount still held before the fill, in cents for a purchase.
    pub held: i64,
    /// Open quantity before the fill.
    pub open: Quantity,
    /// Quantity of the fill.
    pub quantity: Quantity,
}

impl Release {
    /// Returns the cents that the fill of a purchase releases. `filled` includes the fill, `amount` is its own.
    pub fn cash(self, filled: &Filled, amount: Money, limit: Option<Price>) -> i64 {
        let left = self.open.units() - self.quantity.units();
        if left <= 0 {
            return self.held;
        }
        let share = i128::from(self.held) * i128::from(left);
        let open = i128::from(self.open.units());
        let keep = i64::try_from((share + open - 1) / open).unwrap_or(self.held);
        let keep = limit
            .map_or(keep, |limit| Ord::max(keep, filled.still_to_pay(Quantity::from_units(left), limit)));
        Ord::max(self.held.saturating_sub(keep), amount.units()).clamp(0, self.held)
    }

    /// Returns the units of shares that the fill of a sale releases.
    pub fn shares(self) -> i64 {
        if self.quantity >= self.open { self.held } else { Ord::min(self.quantity.units(), self.held) }
    }
}

#[cfg(test)]
mod tests;
