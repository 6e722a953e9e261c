//! Orders and instruments.

mod instruments;
mod lots;
mod orders;
mod statements;
