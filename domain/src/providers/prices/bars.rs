//! Bars of the simulated market, computed from the same movement as its quotes.
//!
//! Between whole seconds prices move in a straight line, so the highest and lowest prices of a minute are those
//! at its whole seconds and at its last millisecond.

use super::{OSCILLATIONS, Path, price, scramble};
use chrono::{DateTime, TimeDelta, Utc};

/// Prices of consecutive minutes, in ten-thousandths of a dollar; `low <= open, close <= high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Last trade at the start.
    pub open: i64,
    pub high: i64,
    pub low: i64,
    /// Last trade in the last millisecond.
    pub close: i64,
    /// Number of shares traded.
    pub volume: i64,
}

/// Condition for the prices of a bar, in ten-thousandths of a dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// The low is at or below this price.
    AtOrBelow(i64),
    /// The high is at or above this price.
    AtOrAbove(i64),
}

impl Touch {
    /// Whether a bar with this low and high meets the condition.
    #[must_use]
    pub const fn is_met(self, low: i64, high: i64) -> bool {
        match self {
            Self::AtOrBelow(price) => low <= price,
            Self::AtOrAbove(price) => high >= price,
        }
    }
}

const MINUTE: i64 = 60_000;
const SECOND: i64 = 1_000;
/// Smallest and largest volume of a minute, in shares.
const VOLUME: (u64, u64) = (1_000, 20_000);
/// Position of the oscillation within seconds; the others are straight lines within a minute.
const FASTEST: usize = OSCILLATIONS.len() - 1;
/// More than the rounding of all oscillations at both ends of a line, in billionths.
const ROUNDING: i64 = 10;

/// Returns the bar of `minutes` minutes, at least one, from `starts_at` on, which must be a whole minute.
///
/// A pure function of its arguments: `open` is the last trade at the start, `close` that in the last
/// millisecond, and `high` and `low` are the extremes of the last trade at any millisecond.
#[must_use]
pub fn bar(seed: u64, symbol: &str, base_price: i64, starts_at: DateTime<Utc>, minutes: u32) -> Bar {
    let path = Path::new(seed, symbol);
    let (start, minutes) = (starts_at.timestamp_millis(), i64::from(minutes.max(1)));
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    for number in 0..minutes {
        let minute = Minute::new(&path, start + number * MINUTE);
        let (lower, upper) = minute.bounds();
        if lower < least || upper > most {
            let (low, high) = minute.extremes();
            (least, most) = (least.min(low), most.max(high));
        }
    }
    Bar {
        open: price(base_price, path.drift(start)),
        high: price(base_price, most),
        low: price(base_price, least),
        close: price(base_price, path.drift(start + minutes * MINUTE - 1)),
        volume: (0..minutes).map(|number| path.volume(start + number * MINUTE)).sum(),
    }
}

/// Returns the first of `minutes` minutes from `starts_at` on, which must be a whole minute, whose bar meets the
/// condition.
#[must_use]
pub fn first_touching(
    seed: u64,
    symbol: &str,
    base_price: i64,
    starts_at: DateTime<Utc>,
    minutes: u32,
    touch: Touch,
) -> Option<DateTime<Utc>> {
    let path = Path::new(seed, symbol);
    let is_met = |(least, most): (i64, i64)| touch.is_met(price(base_price, least), price(base_price, most));
    let found = (0..i64::from(minutes)).find(|number| {
        let minute = Minute::new(&path, starts_at.timestamp_millis() + number * MINUTE);
        is_met(minute.bounds()) && is_met(minute.extremes())
    });
    found.map(|number| starts_at + TimeDelta::minutes(number))
}

impl Path {
    /// Returns the number of shares that are traded in a minute.
    fn volume(&self, millis: i64) -> i64 {
        let (least, most) = VOLUME;
        let number = millis.div_euclid(MINUTE).cast_unsigned();
        let noise = self.noise.iter().fold(number, |noise, other| scramble(noise ^ other));
        (least + noise % (most - least + 1)).cast_signed()
    }
}

/// The movement within one minute.
struct Minute<'a> {
    path: &'a Path,
    start: i64,
}

impl<'a> Minute<'a> {
    const fn new(path: &'a Path, start: i64) -> Self {
        Self { path, start }
    }

    /// Returns limits that the drift does not leave, in billionths, without looking at each second.
    fn bounds(&self) -> (i64, i64) {
        let [first, last] = [self.start, self.start + MINUTE - 1].map(|millis| {
            let slow = self.path.oscillations().take(FASTEST);
            slow.map(|(noise, oscillation)| oscillation.level(noise, millis)).sum::<i64>()
        });
        let margin = OSCILLATIONS[FASTEST].amplitude + ROUNDING;
        (first.min(last) - margin, first.max(last) + margin)
    }

    /// Returns the smallest and largest drift, in billionths.
    fn extremes(&self) -> (i64, i64) {
        let seconds = (0..MINUTE / SECOND).map(|second| self.start + second * SECOND);
        let drifts = seconds.chain([self.start + MINUTE - 1]).map(|millis| self.path.drift(millis));
        drifts.fold((i64::MAX, i64::MIN), |(least, most), drift| (least.min(drift), most.max(drift)))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{MAX_BASE, mid},
        *,
    };
    use proptest::prelude::*;

    fn minute(number: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(number * 60, 0).unwrap()
    }

    #[test]
    fn bars_are_stable_across_versions() {
        let start: DateTime<Utc> = "2026-07-10T13:30:00Z".parse().unwrap();
        let one = bar(1, "VTI", 2_500_000, start, 1);
        assert_eq!(
            one,
            Bar { open: 2_528_200, high: 2_528_700, low: 2_526_500, close: 2_526_800, volume: 8_483 }
        );
        let day = bar(1, "VTI", 2_500_000, start, 390);
        assert_eq!(
            day,
            Bar { open: 2_528_200, high: 2_541_100, low: 2_522_500, close: 2_531_700, volume: 4_027_903 }
        );
    }

    proptest! {
        #[test]
        fn a_bar_agrees_with_every_quote_of_its_minute(seed: u64, base in 1..=MAX_BASE,
            number in -60_000_000_i64..120_000_000, millis in prop::collection::vec(0..MINUTE, 20)) {
            let start = minute(number);
            let bar = bar(seed, "VTI", base, start, 1);
            let at = |millis: i64| mid(seed, "VTI", base, start + TimeDelta::milliseconds(millis));
            prop_assert_eq!((bar.open, bar.close), (at(0), at(MINUTE - 1)));
            let seconds = || (0..60).map(|second| at(second * SECOND)).chain([at(MINUTE - 1)]);
            prop_assert_eq!(Some(bar.high), seconds().max());
            prop_assert_eq!(Some(bar.low), seconds().min());
            for price in millis.into_iter().map(at) {
                // Rounding of a ten-billionth can move a price across the middle between two ticks.
                let slack = base / 100_000_000 + 100;
                prop_assert!(bar.low - slack <= price && price <= bar.high + slack, "{} {:?}", price, bar);
            }
        }

        #[test]
        fn a_longer_bar_is_made_of_its_minutes(seed: u64, base in 1..10_000_000_i64, number in 0..60_000_000_i64,
            minutes in 1..400_u32) {
            let whole = bar(seed, "VTI", base, minute(number), minutes);
            let parts: Vec<Bar> = (0..i64::from(minutes))
                .map(|offset| bar(seed, "VTI", base, minute(number + offset), 1))
                .collect();
            prop_assert_eq!(Some(whole.high), parts.iter().map(|bar| bar.high).max());
            prop_assert_eq!(Some(whole.low), parts.iter().map(|bar| bar.low).min());
            prop_assert_eq!(whole.volume, parts.iter().map(|bar| bar.volume).sum::<i64>());
            prop_assert_eq!(Some(whole.open), parts.first().map(|bar| bar.open));
            prop_assert_eq!(Some(whole.close), parts.last().map(|bar| bar.close));
            let touch = Touch::AtOrBelow(whole.low);
            let first = (0..).zip(&parts).find(|(_, bar)| bar.low == whole.low).map(|(offset, _)| offset);
            let found = first_touching(seed, "VTI", base, minute(number), minutes, touch);
            prop_assert_eq!(found, first.map(|first: i64| minute(number + first)));
            let touch = Touch::AtOrAbove(whole.high + 1);
            prop_assert_eq!(first_touching(seed, "VTI", base, minute(number), minutes, touch), None);
        }
    }
}
