//! Bank accounts and deposits.

pub mod bank_accounts;
pub mod deposits;
