//! Orders, instruments, bars and quotes.

mod corporate_actions;
mod fees;
mod instruments;
mod lots;
mod market_data;
mod order_types;
mod orders;
mod quotes;
mod statements;
mod tables;
mod walk;
