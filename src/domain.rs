//! The rules. One public function per thing a person can do.

pub mod accounts;
pub mod actor;
pub mod agenda;
pub mod audit;
pub mod balances;
pub mod bank_accounts;
pub mod calendar;
pub mod clock;
pub mod command;
pub mod db;
pub mod demo;
pub mod digest;
pub mod error;
pub mod events;
pub mod idempotency;
pub mod ids;
pub mod instruments;
pub mod keys;
pub mod ledger;
pub mod market;
pub mod messages;
pub mod orders;
pub mod page;
pub mod partners;
pub mod people;
pub mod positions;
pub mod routing;
pub mod sandbox;
pub mod secrets;
pub mod sequencer;
pub mod ssn;
pub mod timers;
pub mod transfers;
pub mod users;

pub use actor::{Actor, Scope, Who};
pub use error::{Code, Error, Refusal, Result};
