//! Assembles an `App`: the kernel, the providers, the settings and the timer handlers.

use crate::{
    accounts::EndFreeze,
    compliance::kyc::ExpireQuestions,
    delivery::messages::SendMessage,
    funding::{
        deposits::SettleDeposit,
        returns::ReturnAsPlanned,
        transfers::SubmitTransfer,
        withdrawals::{CompleteWithdrawal, ContinueWithdrawal},
    },
    kernel::{
        cache::MonotonicClock,
        db::Db,
        limits::{Limits, REQUESTS_PER_HOUR},
        scheduler::DueHandler,
        secrets::Vault,
    },
    providers::Providers,
    reporting::statements::IssueStatement,
    settings::Settings,
    trading::{
        corporate_actions::{ApplyEntitlement, PayDividend, ProcessCorporateAction, ReinvestDividend},
        matching::MatchOrders,
        orders::{ExpireOrder, RouteOrder, SettleTrade},
    },
};

pub use crate::kernel::app::App;

/// Configuration of an `App`, besides its database and its encryption key.
#[derive(Clone, Debug)]
pub struct Setup {
    pub providers: Providers,
    pub settings: Settings,
    /// Maximum number of requests per hour for each API key, user or address; 0 disables the limit.
    pub requests_per_hour: u64,
    /// Whether requests that need no credentials are also limited by address.
    pub throttle: bool,
    /// Clock of caches and rate limits: the system's, unless a test stops it.
    pub monotonic: MonotonicClock,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            providers: Providers::default(),
            settings: Settings::default(),
            requests_per_hour: REQUESTS_PER_HOUR,
            throttle: true,
            monotonic: MonotonicClock::default(),
        }
    }
}

/// Creates the `App` on a migrated database.
pub fn start(db: Db, vault: Vault, setup: Setup) -> App {
    let Setup { providers, settings, requests_per_hour, throttle, monotonic } = setup;
    let app = App::new(db, vault, Limits::new(requests_per_hour, throttle), monotonic, DUE_HANDLERS);
    app.provide(&providers);
    app.provide(&settings);
    app
}

/// The handler of each kind of timer.
const DUE_HANDLERS: &[DueHandler] = &[
    DueHandler::of::<RouteOrder>(),
    DueHandler::of::<MatchOrders>(),
    DueHandler::of::<ExpireOrder>(),
    DueHandler::of::<SettleTrade>(),
    DueHandler::of::<SubmitTransfer>(),
    DueHandler::of::<ProcessCorporateAction>(),
    DueHandler::of::<ApplyEntitlement>(),
    DueHandler::of::<PayDividend>(),
    DueHandler::of::<ReinvestDividend>(),
    DueHandler::of::<SettleDeposit>(),
    DueHandler::of::<ContinueWithdrawal>(),
    DueHandler::of::<CompleteWithdrawal>(),
    DueHandler::of::<ReturnAsPlanned>(),
    DueHandler::of::<IssueStatement>(),
    DueHandler::of::<EndFreeze>(),
    DueHandler::of::<ExpireQuestions>(),
    DueHandler::of_system::<SendMessage>(),
];

#[cfg(test)]
mod tests {
    use super::DUE_HANDLERS;
    use entity::timer::TimerKind;
    use sea_orm::Iterable;

    #[test]
    fn every_kind_of_timer_has_one_handler() {
        for kind in TimerKind::iter() {
            let handlers = DUE_HANDLERS.iter().filter(|handler| handler.kind() == kind);
            assert_eq!(handlers.count(), 1, "{kind:?}");
        }
    }
}
