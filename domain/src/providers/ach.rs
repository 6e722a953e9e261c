//! ACH (Automated Clearing House) transfers between banks.

use crate::kernel::calendar;
use chrono::{DateTime, Utc};

/// A connection to the ACH network that debits users' bank accounts.
pub trait AchRail: Send + Sync {
    /// Returns the time at which a debit submitted at this instant settles, unless the bank returns it.
    fn debit_settles_at(&self, submitted_at: DateTime<Utc>) -> DateTime<Utc>;
}

/// A simulated connection: every debit settles at 08:30 New York time on the next banking day.
#[derive(Debug)]
pub struct SandboxRail;

impl AchRail for SandboxRail {
    fn debit_settles_at(&self, submitted_at: DateTime<Utc>) -> DateTime<Utc> {
        calendar::deposit_settles_at(submitted_at)
    }
}
