//! Trade confirmations: what a customer is told about each fill.

use crate::kernel::calendar;
use chrono::NaiveDate;
use entity::{Money, fill};

/// What follows from a fill, for its confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// All fees.
    pub fees: Money,
    /// Amount that the customer pays or receives, with fees.
    pub net_amount: Money,
    /// Settlement date in New York.
    pub settles_on: NaiveDate,
    pub capacity: Capacity,
}

/// Capacity in which the broker acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// The broker passes orders on and never trades on its own account.
    Agent,
}

/// Returns the confirmation of a fill (17 CFR 240.10b-10).
pub fn of(fill: &fill::Model) -> Confirmation {
    Confirmation {
        fees: fill.fees(),
        net_amount: fill.net_amount(),
        settles_on: calendar::new_york_date(fill.settles_at),
        capacity: Capacity::Agent,
    }
}
