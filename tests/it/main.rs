//! Coffer seen from outside: through its doors, on SQLite and on PostgreSQL.
#![cfg(test)]
#![expect(clippy::too_many_lines, reason = "a scenario is told in one piece")]

mod support;

mod access;
mod accounts;
mod audit;
mod availability;
mod backup;
mod bad_input;
mod bank_accounts;
mod canary;
mod concurrency;
mod contract;
mod deposits;
mod docs;
mod faults;
mod forms;
mod gate;
mod keys;
mod kyc;
mod kyc_documents;
mod kyc_reviews;
mod ledger;
mod limits;
mod lists;
mod matching;
mod messages;
mod operations;
mod orders;
mod persisted;
mod process;
mod same_answers;
mod samples;
mod screening;
mod second_factor;
mod secrets;
mod slice;
mod statements;
mod tokens;
mod transport;
mod transport_security;
mod users;
mod walls;
mod wellness;
