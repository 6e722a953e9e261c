//! Assembles an `App`: the kernel, the providers, the settings and the timer handlers.

use crate::{
    Error, Result,
    compliance::kyc,
    delivery::messages,
    funding::transfers,
    kernel::{
        cache::MonotonicClock,
        command::CommandContext,
        db::Db,
        limits::{Limits, REQUESTS},
        scheduler::DueHandlers,
        secrets::Vault,
    },
    providers::Providers,
    settings::Settings,
    trading::orders,
};
use entity::timer::{self, TimerKind};
use futures_util::future::BoxFuture;
use uuid::Uuid;

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
            requests_per_hour: REQUESTS.most,
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

/// Handlers for every kind of timer.
const DUE_HANDLERS: DueHandlers = DueHandlers { by_partner_clock, by_system_clock };

fn by_partner_clock<'a>(
    ctx: &'a CommandContext<'a>,
    kind: TimerKind,
    subject_id: Uuid,
) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        match kind {
            TimerKind::OrderRoute => orders::route(ctx, subject_id).await,
            TimerKind::DepositSettle => transfers::settle_deposit(ctx, subject_id).await,
            TimerKind::TradeSettle => orders::settle_trade(ctx, subject_id).await,
            TimerKind::KycQuestionsExpire => kyc::expire(ctx, subject_id).await,
            TimerKind::MessageSend => Err(Error::broken("a message timer runs by a partner's clock")),
        }
    })
}

fn by_system_clock<'a>(app: &'a App, leased: &'a timer::Model) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        match leased.kind {
            TimerKind::MessageSend => messages::send(app, leased).await,
            TimerKind::OrderRoute
            | TimerKind::DepositSettle
            | TimerKind::TradeSettle
            | TimerKind::KycQuestionsExpire => {
                Err(Error::broken("a timer of a partner's clock runs by the system clock"))
            }
        }
    })
}
