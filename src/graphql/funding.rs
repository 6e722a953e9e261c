//! Bank accounts and transfers.

pub mod bank_accounts;
pub mod return_rates;
pub mod transfers;
