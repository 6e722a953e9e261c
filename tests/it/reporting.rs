//! Statements of accounts, and reconciliation (`coffer audit`).

mod audit;
mod statements;
