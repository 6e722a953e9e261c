//! Where prices come from.

use super::prices;
use chrono::{DateTime, Utc};

/// A market that quotes.
pub trait Market: Send + Sync {
    /// Bid, ask and last trade at an instant, in ten-thousandths of a dollar.
    fn quote(&self, seed: u64, symbol: &str, base_price: i64, at: DateTime<Utc>) -> prices::Quote;
}

/// The market that can be replayed.
#[derive(Debug)]
pub struct BuiltIn;

impl Market for BuiltIn {
    fn quote(&self, seed: u64, symbol: &str, base_price: i64, at: DateTime<Utc>) -> prices::Quote {
        prices::quote(seed, symbol, base_price, at)
    }
}
