//! Instruments, quotes, bars, orders and positions.

pub mod bars;
pub mod instruments;
pub mod orders;
pub mod positions;
pub mod quotes;
