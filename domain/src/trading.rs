//! Instruments, market prices, bars and hours, orders, venues, tax lots, positions and balances.

pub mod balances;
pub mod bars;
pub mod basis;
pub mod confirmations;
pub mod corporate_actions;
pub mod executions;
pub mod fees;
pub mod fill_rules;
pub mod gains;
pub mod instruments;
pub mod lots;
pub mod market;
pub mod matching;
pub mod orders;
pub mod positions;
pub mod quotes;
pub mod receivables;
pub mod restrictions;
pub mod venue;
mod wrong_lines;
