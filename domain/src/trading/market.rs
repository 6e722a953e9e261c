//! Market prices and market hours of a partner.

use crate::{
    Actor, Result, Who,
    kernel::{app::App, calendar, clock},
    providers::{Providers, market::Market},
};
use chrono::{DateTime, Utc};
use entity::{
    Price, instrument,
    partner::{self, MarketHours, Mode},
    quote_override,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use std::{borrow::Borrow, collections::HashMap, sync::Arc};
use uuid::Uuid;

/// Prices of one share at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    pub bid: Price,
    pub ask: Price,
    /// Price of the last trade, between bid and ask.
    pub last: Price,
    pub at: DateTime<Utc>,
}

/// Returns the market on which a partner trades: the sandbox market or the configured live market.
pub fn of<'a>(app: &'a App, partner: &partner::Model) -> Result<&'a Arc<dyn Market>> {
    match partner.mode {
        Mode::Sandbox => Ok(&app.feature::<Providers>().sandbox_market),
        Mode::Live => app
            .feature::<Providers>()
            .live_market
            .as_ref()
            .ok_or(crate::Error::Unavailable("No market is configured for live partners.")),
    }
}

/// Returns the quotes of these instruments at this time. Prices set in the sandbox override the market's own.
pub async fn quotes(
    app: &App,
    connection: &impl ConnectionTrait,
    partner: &partner::Model,
    instruments: &[impl Borrow<instrument::Model> + Sync],
    at: DateTime<Utc>,
) -> Result<HashMap<Uuid, Quote>> {
    let market = of(app, partner)?;
    let overrides = if partner.mode == Mode::Sandbox {
        quote_override::Entity::find()
            .filter(quote_override::Column::PartnerId.eq(partner.id))
            .filter(
                quote_override::Column::InstrumentId
                    .is_in(instruments.iter().map(|instrument| instrument.borrow().id)),
            )
            .all(connection)
            .await?
    } else {
        Vec::new()
    };
    let overrides: HashMap<Uuid, &quote_override::Model> =
        overrides.iter().map(|set| (set.instrument_id, set)).collect();
    let quote = |instrument: &instrument::Model| match overrides.get(&instrument.id) {
        Some(set) => Quote { bid: set.bid, ask: set.ask, last: midpoint(set.bid, set.ask), at },
        None => {
            let seed = partner.market_seed.unsigned_abs();
            let quote = market.quote(seed, &instrument.symbol, instrument.base_price.units(), at);
            let [bid, ask, last] = [quote.bid, quote.ask, quote.last].map(Price::from_units);
            Quote { bid, ask, last, at }
        }
    };
    Ok(instruments.iter().map(Borrow::borrow).map(|instrument| (instrument.id, quote(instrument))).collect())
}

/// Returns the quote of one instrument.
pub async fn quote(
    app: &App,
    connection: &impl ConnectionTrait,
    partner: &partner::Model,
    instrument: &instrument::Model,
    at: DateTime<Utc>,
) -> Result<Quote> {
    let quotes = quotes(app, connection, partner, std::slice::from_ref(instrument), at).await?;
    quotes.get(&instrument.id).copied().ok_or_else(|| crate::Error::broken("an instrument has no quote"))
}

fn midpoint(bid: Price, ask: Price) -> Price {
    Price::from_units(bid.units() + (ask.units() - bid.units()) / 2)
}

/// Whether the market is open, and when it next opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketClock {
    pub at: DateTime<Utc>,
    pub is_open: bool,
    /// Absent if the market never closes.
    pub next_open_at: Option<DateTime<Utc>>,
    /// Absent if the market never closes.
    pub next_close_at: Option<DateTime<Utc>>,
}

/// Returns whether a market with these hours is open at this time, and when that next changes.
///
/// The New York Stock Exchange trades from 09:30 to 16:00 New York time, to 13:00 on early closes, on its
/// business days.
pub fn hours(kind: MarketHours, at: DateTime<Utc>) -> MarketClock {
    match kind {
        MarketHours::AlwaysOpen => MarketClock { at, is_open: true, next_open_at: None, next_close_at: None },
        MarketHours::Nyse => MarketClock {
            at,
            is_open: calendar::is_open(at),
            next_open_at: Some(calendar::next_open(at)),
            next_close_at: Some(calendar::next_close(at)),
        },
    }
}

/// Returns the market hours for a caller: by their partner's clock and hours, or New York Stock Exchange
/// hours at `system_now` for callers without credentials.
pub async fn clock_for(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    system_now: DateTime<Utc>,
) -> Result<MarketClock> {
    let partner_id = match &actor.who {
        Who::Anonymous => return Ok(hours(MarketHours::Nyse, system_now)),
        Who::Partner(key) => key.partner_id,
        Who::User(user) => user.partner_id,
    };
    let partner = clock::partner(connection, partner_id).await?;
    Ok(hours(partner.market_hours, clock::now_of(&partner)))
}
