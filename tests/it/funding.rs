//! Bank accounts, deposits, withdrawals and returns.

mod bank_accounts;
mod deposits;
pub mod returns;
pub mod withdrawals;
