//! Bank accounts and deposits.

mod bank_accounts;
mod deposits;
