//! Bank accounts, deposits, withdrawals, returns, and what happens when they meet.

mod bank_accounts;
mod deposits;
mod meetings;
pub mod returns;
pub mod withdrawals;
