//! Coffer seen from outside: through its doors, on SQLite and on PostgreSQL.
#![cfg(test)]

mod support;

mod access;
mod bad_input;
mod contract;
mod slice;
mod statements;
mod transport;
mod walls;
