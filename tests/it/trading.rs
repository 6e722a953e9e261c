//! Orders, instruments, bars and quotes.

mod instruments;
mod market_data;
mod orders;
mod quotes;
mod statements;
