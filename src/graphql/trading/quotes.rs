//! Subscription to quotes.

use super::instruments::{Instrument, Quote};
use crate::{
    graphql::core::{
        context::RequestContext,
        engine::fanout::{self, Current, Signal},
        scalars::DateTime,
    },
    wire::Result,
};
use async_graphql::{Context, SimpleObject, Subscription};
use domain::{
    Refusal, Scope,
    trading::{
        instruments,
        quotes::{self, QuoteChange},
    },
};
use futures_util::{Stream, StreamExt, stream};

/// Maximum number of symbols of one subscription.
const MAX_SYMBOLS: usize = 50;

/// A quote that differs from the one before. It is not in the event log and has no cursor: each event contains
/// the present quote, so there is nothing to resume.
#[derive(SimpleObject)]
pub struct QuoteChangedEvent {
    /// Time of the quote, by the partner's clock.
    occurred_at: DateTime,
    /// The instrument.
    instrument: Instrument,
    /// The quote at that time.
    quote: Quote,
}

impl From<&QuoteChange> for QuoteChangedEvent {
    fn from(change: &QuoteChange) -> Self {
        Self {
            occurred_at: change.quote.at.into(),
            instrument: Instrument((*change.instrument).clone()),
            quote: change.quote.into(),
        }
    }
}

/// Starts a subscription to the quotes of these symbols.
async fn start(ctx: &Context<'_>, symbols: Vec<String>) -> Result<()> {
    let access_scope = ctx.actor().access_scope(Scope::Read)?;
    if symbols.is_empty() || symbols.len() > MAX_SYMBOLS {
        return Err(Refusal::invalid("symbols", format!("must be 1 to {MAX_SYMBOLS} symbols")).into());
    }
    let mut found = Vec::new();
    for (position, symbol) in symbols.iter().enumerate() {
        let instrument = instruments::by_symbol(ctx.app(), ctx.actor().partner_id(), symbol).await?;
        let instrument = instrument.ok_or_else(|| Refusal::not_found(&format!("symbols.{position}")))?;
        if !found.contains(&instrument) {
            found.push(instrument);
        }
    }
    let changes = quotes::follow(ctx.app(), access_scope.partner_id, found).await?;
    fanout::start(ctx, changes.map(|change| Ok(Signal::Quote(change))).boxed(), None);
    Ok(())
}

#[derive(Default)]
pub struct QuoteSubscription;

#[Subscription]
impl QuoteSubscription {
    /// Sends the quote of each symbol at once and then whenever it changes, at most once a second. A slow client
    /// misses all but the latest. Requires scope `read`.
    async fn quote_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "One to 50 ticker symbols, case-insensitive. Fails with `NOT_FOUND` if one was not found."
        )]
        symbols: Vec<String>,
    ) -> Result<impl Stream<Item = Result<QuoteChangedEvent>> + use<>> {
        let event = match Current::of(ctx) {
            Some(current) => current.quote().map(|change| Ok(QuoteChangedEvent::from(&**change))),
            None => {
                start(ctx, symbols).await?;
                None
            }
        };
        Ok(stream::iter(event))
    }
}
