//! Integration tests: Coffer through its APIs and its command line, on SQLite and on PostgreSQL.
#![cfg(test)]
#![expect(clippy::too_many_lines, reason = "a scenario is one function")]

mod support;

mod access;
mod accounts;
mod bad_input;
mod breadth;
mod canary;
mod cli;
mod client_guide;
mod compliance;
mod contract;
mod delivery;
mod docs;
mod end_to_end;
mod forms;
mod funding;
mod gate;
mod kernel;
mod language;
mod manuals;
mod people;
mod reporting;
mod same_answers;
mod samples;
mod scalars;
mod server;
mod statements;
mod trading;
mod visibility;
mod walls;
mod wellness;
