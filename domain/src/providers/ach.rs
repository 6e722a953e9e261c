//! ACH (Automated Clearing House) transfers between banks.

pub mod nacha;

use crate::kernel::calendar;
use chrono::{DateTime, Days, NaiveDate, Utc};
use entity::transfer::{Direction, ReturnCode};

/// A connection to the ACH network that debits and credits users' bank accounts.
pub trait AchRail: Send + Sync {
    /// Returns the time at which a transfer that is created at this instant is sent to the bank.
    fn submits_at(&self, created_at: DateTime<Utc>) -> DateTime<Utc>;

    /// Returns the time at which a debit that counts on this date settles, unless the bank returns it.
    fn debit_settles_at(&self, day: NaiveDate) -> DateTime<Utc>;

    /// Returns the time at which a credit that is sent from cash is in the bank account; `day` is the date of the
    /// request.
    fn credit_settles_at(&self, day: NaiveDate) -> DateTime<Utc>;

    /// Returns the time at which a credit that is sent at this instant, when its sales settle, is in the bank account.
    fn credit_after_sales_settles_at(&self, sent_at: DateTime<Utc>) -> DateTime<Utc>;

    /// Returns how the bank account with this number will return a transfer once it has settled, if that is known.
    fn planned_return(&self, number: &str, direction: Direction) -> Option<ReturnCode>;

    /// Returns when a return with this code arrives for a transfer that settled on a date.
    fn returns_at(&self, code: ReturnCode, settled_on: NaiveDate) -> DateTime<Utc>;
}

/// A simulated connection.
///
/// A transfer counts on the New York date on which it was created: it is sent at the end of that day. A debit settles
/// at 08:30 New York time on the next banking day. A credit arrives at 08:30 three banking days after the request, or
/// two banking days after its sales have settled.
#[derive(Debug)]
pub struct SandboxRail;

/// Time of settlement in New York.
fn at_settlement(day: NaiveDate) -> DateTime<Utc> {
    calendar::at_new_york(day, 8, 30)
}

impl AchRail for SandboxRail {
    fn submits_at(&self, created_at: DateTime<Utc>) -> DateTime<Utc> {
        calendar::end_of_new_york_day(calendar::new_york_date(created_at))
    }

    fn debit_settles_at(&self, day: NaiveDate) -> DateTime<Utc> {
        at_settlement(calendar::next_banking_day(day))
    }

    fn credit_settles_at(&self, day: NaiveDate) -> DateTime<Utc> {
        at_settlement(calendar::banking_day_after(day, 3))
    }

    fn credit_after_sales_settles_at(&self, sent_at: DateTime<Utc>) -> DateTime<Utc> {
        at_settlement(calendar::banking_day_after(calendar::new_york_date(sent_at), 2))
    }

    /// The last four digits of the number decide: 0001, 0002, 0003 and 0010 return with R01, R02, R03 and R10. Credits
    /// are only returned with R02 and R03.
    fn planned_return(&self, number: &str, direction: Direction) -> Option<ReturnCode> {
        let codes = [
            ("0001", ReturnCode::R01),
            ("0002", ReturnCode::R02),
            ("0003", ReturnCode::R03),
            ("0010", ReturnCode::R10),
        ];
        let (_, code) = codes.into_iter().find(|(digits, _)| number.ends_with(digits))?;
        let is_possible =
            direction == Direction::Deposit || matches!(code, ReturnCode::R02 | ReturnCode::R03);
        is_possible.then_some(code)
    }

    /// R10 arrives on the 30th day after settlement, the others on the second banking day.
    fn returns_at(&self, code: ReturnCode, settled_on: NaiveDate) -> DateTime<Utc> {
        at_settlement(match code {
            ReturnCode::R10 => settled_on.checked_add_days(Days::new(30)).unwrap_or(NaiveDate::MAX),
            _ => calendar::banking_day_after(settled_on, 2),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn deposits_settle_at_0830_new_york_time_on_the_next_banking_day() {
        for (created, settles) in [
            ("2026-07-10T15:00:00Z", "2026-07-13T12:30:00Z"),
            ("2026-07-11T03:59:59Z", "2026-07-13T12:30:00Z"),
            ("2026-07-12T15:00:00Z", "2026-07-13T12:30:00Z"),
            ("2026-07-14T03:59:59Z", "2026-07-14T12:30:00Z"),
            ("2026-07-14T04:00:00Z", "2026-07-15T12:30:00Z"),
            ("2026-07-02T15:00:00Z", "2026-07-03T12:30:00Z"),
            ("2026-10-09T15:00:00Z", "2026-10-13T12:30:00Z"),
            ("2026-03-06T15:00:00Z", "2026-03-09T12:30:00Z"),
            ("2026-10-30T15:00:00Z", "2026-11-02T13:30:00Z"),
        ] {
            let day = calendar::new_york_date(at(created));
            assert_eq!(SandboxRail.debit_settles_at(day), at(settles), "{created}");
        }
    }
}
