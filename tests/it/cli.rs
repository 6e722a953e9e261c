//! The command line.

mod backup;
mod operations;
