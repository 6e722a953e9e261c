//! Coffer seen from outside: through its doors, on SQLite and on PostgreSQL.
#![cfg(test)]

mod support;

mod concurrency;
mod ledger;
mod slice;
