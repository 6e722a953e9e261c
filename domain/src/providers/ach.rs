//! The automated clearing house, which moves money between banks.

use crate::kernel::calendar;
use chrono::{DateTime, Utc};

/// A way to pull money from a customer's bank.
pub trait AchRail: Send + Sync {
    /// When a debit submitted at this instant settles, if the bank does not return it.
    fn debit_settles_at(&self, submitted_at: DateTime<Utc>) -> DateTime<Utc>;
}

/// A rail on which every debit settles at 08:30 New York on the next banking day.
#[derive(Debug)]
pub struct SandboxRail;

impl AchRail for SandboxRail {
    fn debit_settles_at(&self, submitted_at: DateTime<Utc>) -> DateTime<Utc> {
        calendar::deposit_settles_at(submitted_at)
    }
}
