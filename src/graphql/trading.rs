//! Instruments, quotes, bars, orders, positions, tax lots and realized gains.

pub mod bars;
pub mod confirmations;
pub mod corporate_actions;
pub mod gains;
pub mod instruments;
pub mod lots;
pub mod orders;
pub mod positions;
pub mod quotes;
pub mod violations;
