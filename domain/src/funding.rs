//! Bank accounts, routing numbers, deposits, withdrawals and returns.

pub mod bank_accounts;
pub mod deposits;
pub mod limits;
pub mod return_codes;
pub mod return_rates;
pub mod returns;
pub mod routing_number;
pub mod timeline;
pub mod transfers;
pub mod withdrawals;
