//! Sources of prices.

use super::prices::{self, Touch};
use chrono::{DateTime, Utc};

/// A source of quotes and bars. Prices are in ten-thousandths of a dollar.
pub trait Market: Send + Sync {
    /// Returns bid, ask and last trade at an instant.
    fn quote(&self, seed: u64, symbol: &str, base_price: i64, at: DateTime<Utc>) -> prices::Quote;

    /// Returns the bar of so many minutes from a whole minute on.
    fn bar(
        &self,
        seed: u64,
        symbol: &str,
        base_price: i64,
        starts_at: DateTime<Utc>,
        minutes: u32,
    ) -> prices::Bar;

    /// Returns the first of so many minutes from a whole minute on whose bar meets a condition.
    fn first_touching(
        &self,
        seed: u64,
        symbol: &str,
        base_price: i64,
        starts_at: DateTime<Utc>,
        minutes: u32,
        touch: Touch,
    ) -> Option<DateTime<Utc>>;
}

/// The simulated market, which is deterministic.
#[derive(Debug)]
pub struct BuiltIn;

impl Market for BuiltIn {
    fn quote(&self, seed: u64, symbol: &str, base_price: i64, at: DateTime<Utc>) -> prices::Quote {
        prices::quote(seed, symbol, base_price, at)
    }

    fn bar(
        &self,
        seed: u64,
        symbol: &str,
        base_price: i64,
        starts_at: DateTime<Utc>,
        minutes: u32,
    ) -> prices::Bar {
        prices::bar(seed, symbol, base_price, starts_at, minutes)
    }

    fn first_touching(
        &self,
        seed: u64,
        symbol: &str,
        base_price: i64,
        starts_at: DateTime<Utc>,
        minutes: u32,
        touch: Touch,
    ) -> Option<DateTime<Utc>> {
        prices::first_touching(seed, symbol, base_price, starts_at, minutes, touch)
    }
}
