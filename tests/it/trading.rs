//! Orders and instruments.

mod instruments;
mod orders;
mod statements;
