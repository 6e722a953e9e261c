//! Sources of prices.

use super::prices;
use chrono::{DateTime, Utc};

/// A source of quotes.
pub trait Market: Send + Sync {
    /// Returns bid, ask and last trade at an instant, in ten-thousandths of a dollar.
    fn quote(&self, seed: u64, symbol: &str, base_price: i64, at: DateTime<Utc>) -> prices::Quote;
}

/// The simulated market, which is deterministic.
#[derive(Debug)]
pub struct BuiltIn;

impl Market for BuiltIn {
    fn quote(&self, seed: u64, symbol: &str, base_price: i64, at: DateTime<Utc>) -> prices::Quote {
        prices::quote(seed, symbol, base_price, at)
    }
}
