//! Statements of accounts.

pub mod statements;
