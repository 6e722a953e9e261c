//! Coffer seen from outside: through its doors, on SQLite and on PostgreSQL.
#![cfg(test)]

mod support;

mod access;
mod audit;
mod bad_input;
mod concurrency;
mod contract;
mod crash;
mod ledger;
mod orders;
mod slice;
mod statements;
mod transport;
mod walls;
