//! Reconciliation of the ledger, the derived tables and the hash chains.

pub mod event_export;
pub mod reconciliation;
