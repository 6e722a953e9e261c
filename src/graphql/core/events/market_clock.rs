//! Times at which the state of the market clock is sent.

use crate::graphql::{
    core::{engine::fanout::Signal, scalars::DateTime},
    trading::instruments::MarketClock,
};
use async_graphql::SimpleObject;
use domain::trading::market;
use futures_util::{Stream, StreamExt, stream};
use std::{sync::LazyLock, time::Duration};
use tokio::time::Instant;

/// State of the market clock. It is not in the event log and has no cursor: each event contains the present
/// state, so there is nothing to resume.
#[derive(SimpleObject)]
pub struct MarketClockChangedEvent {
    /// Time when the event was sent, by the partner's clock, or by the server's clock without credentials.
    occurred_at: DateTime,
    /// Whether the market is open, and when that changes.
    market_clock: MarketClock,
}

impl From<market::MarketClock> for MarketClockChangedEvent {
    fn from(hours: market::MarketClock) -> Self {
        Self { occurred_at: hours.at.into(), market_clock: hours.into() }
    }
}

/// Returns when to send the state of the market clock: at once, then every second at the same time for all
/// subscribers.
pub fn ticks() -> impl Stream<Item = Signal> + Send {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    // The second event follows the first after half a second at least.
    let first = (START.elapsed() + Duration::from_millis(1500)).as_secs();
    let ticks = stream::unfold(first, |tick| async move {
        // Seconds that a slow client has missed are skipped.
        let tick = Ord::max(tick, START.elapsed().as_secs());
        tokio::time::sleep_until(*START + Duration::from_secs(tick)).await;
        Some((Signal::Tick(tick), tick + 1))
    });
    stream::iter([Signal::Now]).chain(ticks)
}
