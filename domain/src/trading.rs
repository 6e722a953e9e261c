//! Instruments, market prices, bars and hours, orders, positions and balances.

pub mod balances;
pub mod bars;
pub mod instruments;
pub mod market;
pub mod orders;
pub mod positions;
pub mod quotes;
