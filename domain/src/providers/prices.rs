//! A deterministic simulated market: the same seed, symbol and instant always have the same price.

mod bars;

pub use bars::{Bar, Touch, bar, first_touching};

use chrono::{DateTime, TimeDelta, Utc};

/// One dollar in ten-thousandths, the unit of every price here.
const DOLLAR: i64 = 10_000;
/// One cent in ten-thousandths.
const CENT: i64 = 100;
/// Highest base price, one hundred billion dollars, far from overflow.
const MAX_BASE: i64 = 100_000_000_000 * DOLLAR;
/// One, in the billionths in which price movements are expressed.
const ONE: i128 = 1_000_000_000;

/// One oscillation of the market: a random level at the start of each period, linear in between.
struct Oscillation {
    period: TimeDelta,
    /// Greatest distance of a level from the base, in billionths.
    amplitude: i64,
}

/// From ±8 % per 30 days to ±0.02 % per second; ±10.62 % in total.
const OSCILLATIONS: [Oscillation; 5] = [
    Oscillation { period: TimeDelta::days(30), amplitude: 80_000_000 },
    Oscillation { period: TimeDelta::days(1), amplitude: 20_000_000 },
    Oscillation { period: TimeDelta::hours(1), amplitude: 5_000_000 },
    Oscillation { period: TimeDelta::minutes(1), amplitude: 1_000_000 },
    Oscillation { period: TimeDelta::seconds(1), amplitude: 200_000 },
];

/// Quote at one instant, in ten-thousandths of a dollar; `bid < ask` and `bid <= last <= ask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Price at which shares can be sold.
    pub bid: i64,
    /// Price at which shares can be bought.
    pub ask: i64,
    /// Price of the last trade.
    pub last: i64,
}

/// Returns the mid price, in ten-thousandths of a dollar.
///
/// A pure function of its arguments, with a resolution of one millisecond. Positive, a multiple of the tick
/// (a cent from one dollar up, a ten-thousandth below: SEC Rule 612), and within 15 % of the base, or one
/// tick if that is more. A base outside 0.0001 to 100 billion dollars is clamped to that range.
#[must_use]
pub fn mid(seed: u64, symbol: &str, base_price: i64, at: DateTime<Utc>) -> i64 {
    price(base_price, Path::new(seed, symbol).drift(at.timestamp_millis()))
}

/// Returns the price at this distance, in billionths, from its base.
fn price(base_price: i64, drift: i64) -> i64 {
    let base = i128::from(base_price.clamp(1, MAX_BASE));
    let moved = base * (ONE + i128::from(drift));
    let tick = if moved >= i128::from(DOLLAR) * ONE { i128::from(CENT) } else { 1 };
    let rounded = (moved + tick * ONE / 2) / (tick * ONE) * tick;
    i64::try_from(rounded).unwrap_or(MAX_BASE).max(1)
}

/// Returns bid, ask and last trade around [`mid`]: each side is one basis point away, rounded outward to the
/// tick.
#[must_use]
pub fn quote(seed: u64, symbol: &str, base_price: i64, at: DateTime<Utc>) -> Quote {
    around(mid(seed, symbol, base_price, at))
}

/// Returns bid and ask around a last trade: each side is one basis point away, rounded outward to the tick.
#[must_use]
pub fn around(last: i64) -> Quote {
    let tick = if last >= DOLLAR { CENT } else { 1 };
    let one_side = ((last - 1) / (10_000 * tick) + 1) * tick;
    Quote { bid: (last - one_side).max(1), ask: last + one_side, last }
}

/// Movement of one symbol in one market.
struct Path {
    /// Noise of each oscillation.
    noise: [u64; OSCILLATIONS.len()],
}

impl Path {
    fn new(seed: u64, symbol: &str) -> Self {
        let mut noise = stream(seed, symbol);
        Self {
            noise: [(); OSCILLATIONS.len()].map(|()| {
                noise = scramble(noise);
                noise
            }),
        }
    }

    /// Returns the distance of the price from its base, in billionths.
    fn drift(&self, millis: i64) -> i64 {
        self.oscillations().map(|(noise, oscillation)| oscillation.level(noise, millis)).sum()
    }

    fn oscillations(&self) -> impl Iterator<Item = (u64, &Oscillation)> {
        self.noise.into_iter().zip(&OSCILLATIONS)
    }
}

impl Oscillation {
    fn level(&self, noise: u64, millis: i64) -> i64 {
        let period = self.period.num_milliseconds();
        let number = millis.div_euclid(period);
        let from = self.period_level(noise, number);
        let to = self.period_level(noise, number + 1);
        from + (to - from) * millis.rem_euclid(period) / period
    }

    fn period_level(&self, noise: u64, number: i64) -> i64 {
        let choices = self.amplitude.cast_unsigned() * 2 + 1;
        (scramble(noise ^ scramble(number.cast_unsigned())) % choices).cast_signed() - self.amplitude
    }
}

/// Returns the noise of one symbol in one market: FNV-1a over the symbol, starting from the seed.
fn stream(seed: u64, symbol: &str) -> u64 {
    let begin = scramble(seed) ^ 0xcbf2_9ce4_8422_2325;
    scramble(
        symbol.bytes().fold(begin, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)),
    )
}

/// The finalizer of `SplitMix64`: every output bit depends on every input bit.
fn scramble(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn any_time() -> impl Strategy<Value = DateTime<Utc>> {
        (-4_000_000_000_000_i64..8_000_000_000_000)
            .prop_map(|ms| DateTime::from_timestamp_millis(ms).unwrap())
    }

    fn any_base() -> impl Strategy<Value = i64> {
        prop_oneof![1..20_000_i64, 10_000..10_000_000_i64, 1..=MAX_BASE]
    }

    #[test]
    fn prices_are_stable_across_versions() {
        for (seed, symbol, base, instant, price) in [
            (1, "VTI", 2_500_000, "2026-07-10T13:30:00Z", 2_528_200),
            (1, "VTI", 2_500_000, "2026-07-10T13:30:01Z", 2_528_100),
            (1, "VTI", 2_500_000, "2026-07-10T20:00:00Z", 2_531_700),
            (1, "VTI", 2_500_000, "2027-01-04T14:30:00.250Z", 2_454_100),
            (1, "SCHB", 2_500_000, "2026-07-10T13:30:00Z", 2_582_100),
            (2, "VTI", 2_500_000, "2026-07-10T13:30:00Z", 2_569_000),
            (7, "PENNY", 4_321, "2026-07-10T13:30:00Z", 4_490),
        ] {
            assert_eq!(mid(seed, symbol, base, at(instant)), price, "{seed} {symbol} {instant}");
        }
    }

    #[test]
    fn a_quote_is_stable_across_versions() {
        let quote = quote(1, "VTI", 2_500_000, at("2026-07-10T13:30:00Z"));
        assert_eq!(quote, Quote { bid: 2_527_900, ask: 2_528_500, last: 2_528_200 });
    }

    #[test]
    fn different_seeds_and_symbols_have_different_prices() {
        let now = at("2026-07-10T13:30:00Z");
        let mut prices: Vec<_> = (0..100).map(|seed| mid(seed, "VTI", 2_500_000, now)).collect();
        prices.extend((0..100).map(|number| mid(1, &format!("S{number}"), 2_500_000, now)));
        prices.sort_unstable();
        prices.dedup();
        assert!(prices.len() > 180, "only {} of 200 differ", prices.len());
    }

    #[test]
    fn prices_vary_widely_within_a_year() {
        let start = at("2026-01-01T00:00:00Z");
        let prices: Vec<_> =
            (0..365).map(|day| mid(1, "VTI", 1_000_000, start + TimeDelta::days(day))).collect();
        let (low, high) = (prices.iter().min().unwrap(), prices.iter().max().unwrap());
        assert!(*low < 960_000 && *high > 1_040_000, "{low} {high}");
    }

    #[test]
    fn spreads_are_a_tick_or_two_basis_points_rounded_outward() {
        let now = at("2026-07-10T13:30:00Z");
        for base in [2, 50, 9_000, 20_000, 500_000, 2_500_000, 40_000_000] {
            let quote = quote(1, "VTI", base, now);
            let tick = if quote.last >= DOLLAR { CENT } else { 1 };
            let wanted = tick.max(quote.last / 5_000);
            let spread = quote.ask - quote.bid;
            assert!((wanted..wanted + 2 * tick).contains(&spread), "{quote:?}");
        }
        assert_eq!(super::quote(1, "VTI", 1, now), Quote { bid: 1, ask: 2, last: 1 });
    }

    proptest! {
        #[test]
        fn a_price_stays_near_its_base(seed: u64, symbol in "[A-Z]{1,5}", base in any_base(), now in any_time()) {
            let price = mid(seed, &symbol, base, now);
            let tick = if price >= DOLLAR { CENT } else { 1 };
            prop_assert_eq!(price, mid(seed, &symbol, base, now));
            prop_assert!(price > 0 && price % tick == 0);
            prop_assert!(((price - base).abs() - tick) * 100 <= base * 15, "{} from {}", price, base);
        }

        #[test]
        fn prices_move_little_within_a_second(seed: u64, base in 10_000..100_000_000_i64, now in any_time()) {
            let (one, next) = (mid(seed, "VTI", base, now), mid(seed, "VTI", base, now + TimeDelta::seconds(1)));
            prop_assert!(((one - next).abs() - CENT) * 1_000 <= one * 2, "{} to {}", one, next);
        }

        #[test]
        fn a_quote_is_ordered_and_on_the_tick(seed: u64, base in any_base(), now in any_time()) {
            let Quote { bid, ask, last } = quote(seed, "VTI", base, now);
            prop_assert!(0 < bid && bid < ask && bid <= last && last <= ask);
            for price in [bid, ask, last] {
                prop_assert!(price < DOLLAR || price % CENT == 0, "{} is off the tick", price);
            }
        }

        #[test]
        fn any_arguments_give_a_valid_quote(seed: u64, symbol: String, base: i64,
            millis in -8_000_000_000_000_000_i64..8_000_000_000_000_000) {
            let now = DateTime::from_timestamp_millis(millis).unwrap();
            let quote = quote(seed, &symbol, base, now);
            prop_assert!(0 < quote.bid && quote.bid < quote.ask);
        }
    }
}
