//! Concurrency, events, faults, the ledger, limits, lists and secrets.

mod concurrency;
mod crashes;
mod events;
mod faults;
mod ledger;
mod limits;
mod lists;
mod secrets;
mod sorted_lists;
