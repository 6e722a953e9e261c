//! Price increments: prices of orders must be multiples of the tick.

use crate::{Refusal, Result};
use entity::Price;

/// Increment of prices from a price on.
struct Tick {
    from: Price,
    step: i64,
}

/// Increments of most instruments: a cent from one dollar on, otherwise a hundredth of a cent (SEC Rule 612).
const COMMON: [Tick; 2] =
    [Tick { from: Price::from_units(10_000), step: 100 }, Tick { from: Price::ZERO, step: 1 }];

/// Instruments with increments of their own, by symbol. Add a line for each.
const OF_SYMBOL: [(&str, &[Tick]); 0] = [];

/// Maximum price of an order: a million dollars.
const MAX_PRICE: Price = Price::from_units(10_000_000_000);

/// Returns the increment of prices near this one, in ten-thousandths of a dollar.
pub(in crate::trading) fn step(symbol: &str, price: Price) -> i64 {
    let own = OF_SYMBOL.iter().find(|(name, _)| name.eq_ignore_ascii_case(symbol.trim()));
    let ticks = own.map_or(&COMMON[..], |(_, ticks)| *ticks);
    ticks.iter().find(|tick| price >= tick.from).map_or(1, |tick| tick.step)
}

/// Rounding to a multiple of the tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::trading) enum Rounding {
    Down,
    Up,
}

/// Rounds a price of `numerator / denominator` ten-thousandths of a dollar to the tick; `None` if it is not above zero.
pub(in crate::trading) fn round(
    symbol: &str,
    numerator: i128,
    denominator: i128,
    rounding: Rounding,
) -> Option<Price> {
    let floor = i64::try_from(numerator.div_euclid(denominator)).ok()?;
    let step = denominator * i128::from(step(symbol, Price::from_units(floor.max(0))));
    let steps = match rounding {
        Rounding::Down => numerator.div_euclid(step),
        Rounding::Up => (numerator + step - 1).div_euclid(step),
    };
    let price = Price::from_units(i64::try_from(steps * step / denominator).ok()?);
    price.is_positive().then_some(price)
}

/// Refuses a price of an order that is not above zero, too large, or between two ticks.
pub(super) fn check(field: &str, symbol: &str, price: Price) -> Result<()> {
    if !price.is_positive() || price > MAX_PRICE {
        return Err(Refusal::invalid(field, "must be above zero and at most 1000000").into());
    }
    let step = step(symbol, price);
    if price.units() % step == 0 {
        Ok(())
    } else {
        let text = format!("must be a multiple of {}", Price::from_units(step));
        Err(Refusal::invalid(field, text).into())
    }
}
