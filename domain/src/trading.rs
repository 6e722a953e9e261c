//! Instruments, market prices and hours, orders, tax lots, positions and balances.

pub mod balances;
pub mod confirmations;
pub mod gains;
pub mod instruments;
pub mod lots;
pub mod market;
pub mod orders;
pub mod positions;
pub mod restrictions;
