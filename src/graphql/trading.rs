//! Instruments, orders and positions.

pub mod instruments;
pub mod orders;
pub mod positions;
