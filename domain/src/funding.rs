//! Bank accounts, routing numbers and transfers.

pub mod bank_accounts;
pub mod routing_number;
pub mod transfers;
