//! The proof that the books add up.

mod audit;
