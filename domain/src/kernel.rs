//! Basics that every operation uses: command context, actor, errors, ids, clock, database, events, timers,
//! ledger, audit log, secrets and rate limits.

pub mod actor;
pub mod app;
pub mod audit_log;
pub mod cache;
pub mod calendar;
pub mod clock;
pub mod command;
pub mod db;
pub mod digest;
pub mod error;
pub mod events;
pub mod heads;
pub mod idempotency;
pub mod ids;
pub mod ledger;
pub mod limits;
pub mod lists;
pub mod pages;
pub mod partner_settings;
pub mod rights;
pub mod rotation;
pub mod rows;
pub mod scheduler;
pub mod secrets;
pub mod sequencer;
pub mod tables;
pub mod text;
pub mod timers;
pub mod visible;
