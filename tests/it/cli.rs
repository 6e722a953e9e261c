//! The command line.

mod backup;
mod market;
mod operations;
