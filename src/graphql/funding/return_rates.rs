//! GraphQL types for the rates at which banks return debits.

use crate::graphql::core::scalars::Decimal;
use async_graphql::SimpleObject;
use domain::funding::return_rates::{DAYS, Reason, ReturnRates as Rates};
use macros::Fields;

/// How many ACH debits banks have returned, beside the limits of Nacha.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct ReturnRates {
    /// Number of days whose debits are counted.
    days: i32,
    /// Number of debits that were created in these days and sent to banks. One that was presented again counts once.
    debits: i32,
    /// Debits that the account holder had not authorized: R05, R07, R10, R11 and R29.
    unauthorized: ReturnRate,
    /// Debits of bank accounts that were closed or do not exist: R02, R03 and R04.
    administrative: ReturnRate,
    /// Debits that were returned for any reason.
    all: ReturnRate,
}

/// How many debits were returned for one kind of reason.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct ReturnRate {
    /// Number of debits that were returned.
    returns: i32,
    /// Their share of all debits, in percent. Null if there were none.
    percent: Option<Decimal>,
    /// Share that Nacha allows, in percent.
    limit: Decimal,
    /// Whether the share is above the limit.
    is_above_limit: bool,
}

impl From<Rates> for ReturnRates {
    fn from(rates: Rates) -> Self {
        let number = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
        let rate = |reason| ReturnRate {
            returns: number(rates.returns(reason)),
            percent: rates.percent(reason).map(Decimal::from),
            limit: reason.limit().into(),
            is_above_limit: rates.is_above_limit(reason),
        };
        Self {
            days: DAYS,
            debits: number(rates.debits),
            unauthorized: rate(Reason::Unauthorized),
            administrative: rate(Reason::Administrative),
            all: rate(Reason::Any),
        }
    }
}
