//! End-to-end tests of Coffer through its APIs and commands, on SQLite and PostgreSQL.
#![cfg(test)]
#![expect(clippy::too_many_lines, reason = "a scenario is easier to read in one piece")]

mod support;

mod access;
mod accounts;
mod bad_input;
mod canary;
mod cli;
mod compliance;
mod contract;
mod delivery;
mod docs;
mod forms;
mod funding;
mod gate;
mod kernel;
mod people;
mod reporting;
mod same_answers;
mod samples;
mod server;
mod slice;
mod statements;
mod trading;
mod walls;
mod wellness;
