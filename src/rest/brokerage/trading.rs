//! Orders.

pub mod orders;
