//! Coffer seen from outside: through its doors, on SQLite and on PostgreSQL.
#![cfg(test)]

mod support;

mod audit;
mod concurrency;
mod ledger;
mod orders;
mod process;
mod slice;
