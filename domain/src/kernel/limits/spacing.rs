//! Limits of uses that are rows: the rows themselves are counted, in the transaction that writes the next one.

use super::{Limit, Policy};
use crate::{Error, Result};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// Minimum time between two uses, and most uses in any window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spacing {
    pub apart: Duration,
    pub most: usize,
    pub window: Duration,
}

impl Limit {
    /// Returns the time since when uses count, and how many of them `require_spaced` needs.
    pub fn counted(self, now: DateTime<Utc>) -> (DateTime<Utc>, u64) {
        match self.policy {
            Policy::Spacing(spacing) => (now - spacing.window, spacing.most as u64),
            Policy::Allowance(_) | Policy::GrowingDelay(_) => (now, 0),
        }
    }

    /// Refuses the next use with the time to wait if it is too soon after the earlier ones, whose times are given
    /// newest first.
    pub fn require_spaced(self, now: DateTime<Utc>, earlier: &[DateTime<Utc>]) -> Result<()> {
        let Policy::Spacing(spacing) = self.policy else { return Ok(()) };
        let after_newest = earlier.first().map(|newest| *newest + spacing.apart);
        let after_oldest = earlier.get(spacing.most - 1).map(|oldest| *oldest + spacing.window);
        match after_newest.max(after_oldest).map(|free| free - now) {
            Some(wait) if wait > TimeDelta::zero() => {
                Err(Error::TooMany { retry_after: u64::try_from(wait.num_seconds()).unwrap_or(0) + 1 })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::limits::PASSCODES;

    #[test]
    fn five_passcodes_in_an_hour_are_allowed_thirty_seconds_apart() {
        let now = DateTime::UNIX_EPOCH;
        let refused = |seconds: &[i64]| {
            let earlier: Vec<_> = seconds.iter().map(|ago| now - TimeDelta::seconds(*ago)).collect();
            match PASSCODES.require_spaced(now, &earlier) {
                Err(Error::TooMany { retry_after }) => Some(retry_after),
                _ => None,
            }
        };
        assert_eq!(refused(&[]), None);
        assert_eq!(refused(&[29]), Some(2));
        assert_eq!(refused(&[30, 60, 90, 120]), None);
        assert_eq!(refused(&[30, 60, 90, 120, 3599]), Some(2));
        assert_eq!(refused(&[30, 60, 90, 120, 3600]), None);
        assert_eq!(PASSCODES.counted(now), (now - TimeDelta::hours(1), 5));
    }
}
