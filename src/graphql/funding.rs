//! Bank accounts and transfers.

pub mod bank_accounts;
pub mod transfers;
