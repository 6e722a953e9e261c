//! How many ACH debits banks return, beside the limits of Nacha (Operating Rules, Section 2.17).

use crate::{Result, Scope, kernel::actor::Actor};
use chrono::{DateTime, Duration, Utc};
use entity::{
    Percent,
    transfer::{self, Column, Direction, ReturnCode},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

/// Days whose debits are counted.
pub const DAYS: i32 = 60;

/// Which returns a limit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The account holder did not authorize the debit.
    Unauthorized,
    /// The bank account was closed or does not exist.
    Administrative,
    Any,
}

impl Reason {
    /// Share of the debits that Nacha allows to be returned.
    pub const fn limit(self) -> Percent {
        Percent::from_units(match self {
            Self::Unauthorized => 50,
            Self::Administrative => 300,
            Self::Any => 1_500,
        })
    }

    const fn includes(self, code: ReturnCode) -> bool {
        use ReturnCode::{R02, R03, R04, R05, R07, R10, R11, R29};
        match self {
            Self::Unauthorized => matches!(code, R05 | R07 | R10 | R11 | R29),
            Self::Administrative => matches!(code, R02 | R03 | R04),
            Self::Any => true,
        }
    }
}

/// Debits of a partner that were sent to banks, and how many of them were returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnRates {
    pub debits: i64,
    returns: Vec<(ReturnCode, i64)>,
    /// Debits that were returned and then presented again, for reasons that belong to no other group.
    presented_again: i64,
}

impl ReturnRates {
    /// Returns how many debits were returned for such a reason.
    pub fn returns(&self, reason: Reason) -> i64 {
        let returned = self.returns.iter().filter(|(code, _)| reason.includes(*code));
        let again = if reason == Reason::Any { self.presented_again } else { 0 };
        returned.map(|(_, count)| count).sum::<i64>() + again
    }

    /// Returns their share of the debits, rounded half up to a hundredth of a percent; none if there are no debits.
    pub fn percent(&self, reason: Reason) -> Option<Percent> {
        let hundredths = self.returns(reason).checked_mul(20_000)?.checked_add(self.debits)?;
        Some(Percent::from_units(hundredths.checked_div(self.debits.checked_mul(2)?)?))
    }

    /// Whether the exact share is above the limit of Nacha.
    pub fn is_above_limit(&self, reason: Reason) -> bool {
        i128::from(self.returns(reason)) * 10_000
            > i128::from(self.debits) * i128::from(reason.limit().units())
    }
}

/// Returns the rates of the debits that the caller's partner created in the last 60 days. A debit that was presented
/// again counts once, and as returned even if it was paid then. Requires scope `operate`.
pub async fn read(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<ReturnRates> {
    let partner_id = actor.caller(Scope::Operate)?.access_scope.partner_id;
    let counts = transfer::Entity::find()
        .select_only()
        .columns([Column::ReturnCode, Column::Presentments])
        .column_as(Column::Id.count(), "debits")
        .filter(Column::PartnerId.eq(partner_id))
        .filter(Column::Direction.eq(Direction::Deposit))
        .filter(Column::Presentments.gt(0))
        .filter(Column::CreatedAt.gt(now - Duration::days(DAYS.into())))
        .group_by(Column::ReturnCode)
        .group_by(Column::Presentments)
        .into_tuple::<(Option<ReturnCode>, i32, i64)>()
        .all(connection)
        .await?;
    let mut rates = ReturnRates { debits: 0, returns: Vec::new(), presented_again: 0 };
    for (code, presentments, count) in counts {
        rates.debits += count;
        match code {
            Some(code) => rates.returns.push((code, count)),
            // The code is forgotten when the debit is presented again.
            None if presentments > 1 => rates.presented_again += count,
            None => {}
        }
    }
    Ok(rates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_compared_exactly_and_shown_rounded() {
        use ReturnCode::{R01, R03, R10};
        let rates = |debits, returns: &[(ReturnCode, i64)]| ReturnRates {
            debits,
            returns: returns.to_vec(),
            presented_again: 0,
        };
        for (debits, returns, reason, percent, is_above) in [
            (0, &[][..], Reason::Any, None, false),
            (200, &[(R10, 1)], Reason::Unauthorized, Some(50), false),
            (199, &[(R10, 1)], Reason::Unauthorized, Some(50), true),
            (100, &[(R03, 3), (R10, 1)], Reason::Administrative, Some(300), false),
            (99, &[(R03, 3)], Reason::Administrative, Some(303), true),
            (20, &[(R01, 2), (R03, 1)], Reason::Any, Some(1_500), false),
            (20, &[(R01, 3), (R03, 1)], Reason::Any, Some(2_000), true),
        ] {
            let rates = rates(debits, returns);
            assert_eq!(rates.percent(reason), percent.map(Percent::from_units), "{rates:?}");
            assert_eq!(rates.is_above_limit(reason), is_above, "{rates:?}");
        }
    }
}
