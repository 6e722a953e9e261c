//! The proof that the books add up.

pub mod reconciliation;
