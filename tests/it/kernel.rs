//! What every operation needs.

mod concurrency;
mod faults;
mod ledger;
mod limits;
mod lists;
mod secrets;
