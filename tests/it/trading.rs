//! Orders, instruments, bars and quotes.

mod instruments;
mod lots;
mod market_data;
mod order_types;
mod orders;
mod quotes;
mod statements;
mod tables;
mod walk;
