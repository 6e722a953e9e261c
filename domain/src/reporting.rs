//! Statements of accounts, and reconciliation of the ledger, the derived tables and the hash chains.

pub mod event_export;
pub mod reconciliation;
pub mod statements;
