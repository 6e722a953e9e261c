//! Instruments, market prices, bars and hours, orders, venues, positions and balances.

pub mod balances;
pub mod bars;
pub mod executions;
pub mod fill_rules;
pub mod instruments;
pub mod market;
pub mod matching;
pub mod orders;
pub mod positions;
pub mod quotes;
pub mod venue;
