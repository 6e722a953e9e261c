//! Sources of prices.

use super::prices::{self, Touch};
use chrono::{DateTime, Utc};

/// The instrument whose prices are asked for, and the market that they follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series<'a> {
    /// Chooses the movement of a simulated market.
    pub seed: u64,
    pub symbol: &'a str,
    /// Price around which a simulated market moves, in ten-thousandths of a dollar.
    pub base_price: i64,
}

/// A source of quotes and bars. Prices are in ten-thousandths of a dollar.
pub trait Market: Send + Sync {
    /// Returns bid, ask and last trade at an instant.
    fn quote(&self, of: Series<'_>, at: DateTime<Utc>) -> prices::Quote;

    /// Returns the bar of so many minutes from a whole minute on.
    fn bar(&self, of: Series<'_>, starts_at: DateTime<Utc>, minutes: u32) -> prices::Bar;

    /// Returns the first of so many minutes from a whole minute on whose bar meets a condition.
    fn first_touching(
        &self,
        of: Series<'_>,
        starts_at: DateTime<Utc>,
        minutes: u32,
        touch: Touch,
    ) -> Option<DateTime<Utc>>;
}

/// The simulated market, which is deterministic.
#[derive(Debug)]
pub struct BuiltIn;

impl Market for BuiltIn {
    fn quote(&self, of: Series<'_>, at: DateTime<Utc>) -> prices::Quote {
        prices::quote(of.seed, of.symbol, of.base_price, at)
    }

    fn bar(&self, of: Series<'_>, starts_at: DateTime<Utc>, minutes: u32) -> prices::Bar {
        prices::bar(of.seed, of.symbol, of.base_price, starts_at, minutes)
    }

    fn first_touching(
        &self,
        of: Series<'_>,
        starts_at: DateTime<Utc>,
        minutes: u32,
        touch: Touch,
    ) -> Option<DateTime<Utc>> {
        prices::first_touching(of.seed, of.symbol, of.base_price, starts_at, minutes, touch)
    }
}
