//! Reconciliation (`coffer audit`).

mod audit;
