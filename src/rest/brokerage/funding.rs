//! Bank accounts, deposits and withdrawals.

pub mod bank_accounts;
pub mod deposits;
mod transfers;
pub mod withdrawals;

pub use transfers::ACCOUNT_FILTER;
