//! Bank accounts, deposits, withdrawals and returns.

mod bank_accounts;
mod deposits;
mod returns;
mod withdrawals;
