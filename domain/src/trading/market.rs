//! Market prices and market hours of a partner.

use super::{
    bars::{self, Bar},
    basis::{self, Rounding, Split},
    matching,
};
use crate::{
    Actor, Result, Who,
    kernel::{app::App, calendar, clock, command::CommandContext},
    providers::{
        Providers,
        market::{Market, Series},
        prices,
    },
};
use chrono::{DateTime, Utc};
use entity::{
    Price, instrument,
    partner::{self, MarketHours, Mode},
};
use sea_orm::{ConnectionTrait, Statement};
use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, collections::HashMap, ops::Range, sync::Arc};
use uuid::Uuid;

/// Prices of one share at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Returns the prices of an instrument that the partner's market moves, in shares after these splits.
pub(super) fn series<'a, 's>(
    partner: &partner::Model,
    instrument: &'a instrument::Model,
    splits: impl Iterator<Item = &'s Split>,
) -> Series<'a> {
    Series {
        seed: partner.market_seed.unsigned_abs(),
        symbol: &instrument.symbol,
        base_price: basis::base_price(instrument.base_price.units(), splits),
    }
}

/// Where a quote comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The market itself.
    Market,
    /// Prices that were set.
    Set,
    /// The latest stored bar.
    Bars,
}

/// A quote, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    pub quote: Quote,
    pub source: Source,
    /// Splits of the shares so far, oldest first. The quote is the price of a share after them.
    pub splits: Vec<Split>,
}

/// Returns the quotes of these instruments at this time.
///
/// In a sandbox, prices that were set (`sandboxQuoteSet`) come first; then the latest bar that was pushed or imported
/// and has begun: the last trade is its open during its minute and its close afterwards, and bid and ask are one basis
/// point away, rounded outward to the tick. Otherwise the market's own prices apply. Prices from before a split are
/// divided by its ratio.
pub async fn quotes(
    app: &App,
    connection: &impl ConnectionTrait,
    partner: &partner::Model,
    instruments: &[impl Borrow<instrument::Model> + Sync],
    at: DateTime<Utc>,
) -> Result<HashMap<Uuid, Quote>> {
    let found = sourced(app, connection, partner, instruments, at, |_| true, None).await?;
    Ok(found.into_iter().map(|(id, priced)| (id, priced.quote)).collect())
}

/// Returns the quotes that these instruments had at an earlier time, for a share of today: prices that were set later
/// do not count.
pub async fn past_quotes(
    app: &App,
    connection: &impl ConnectionTrait,
    partner: &partner::Model,
    instruments: &[impl Borrow<instrument::Model> + Sync],
    at: DateTime<Utc>,
) -> Result<HashMap<Uuid, Quote>> {
    let found = sourced(app, connection, partner, instruments, at, |set_at| set_at <= at, None).await?;
    Ok(found.into_iter().map(|(id, priced)| (id, priced.quote)).collect())
}

/// Returns the quotes that these instruments had at an earlier time, for a share of `shares_of`: neither prices that
/// were set after `at` nor splits after `shares_of` count.
pub async fn quotes_as_of(
    app: &App,
    connection: &impl ConnectionTrait,
    partner: &partner::Model,
    instruments: &[impl Borrow<instrument::Model> + Sync],
    at: DateTime<Utc>,
    shares_of: DateTime<Utc>,
) -> Result<HashMap<Uuid, Quote>> {
    let counts = |set_at| set_at <= at;
    let found = sourced(app, connection, partner, instruments, at, counts, Some(shares_of)).await?;
    Ok(found.into_iter().map(|(id, priced)| (id, priced.quote)).collect())
}

/// Returns the same quotes with their sources. `counts` decides by the time when a price was set; splits after
/// `splits_until` do not count.
async fn sourced(
    app: &App,
    connection: &impl ConnectionTrait,
    partner: &partner::Model,
    instruments: &[impl Borrow<instrument::Model> + Sync],
    at: DateTime<Utc>,
    counts: impl Fn(DateTime<Utc>) -> bool,
    splits_until: Option<DateTime<Utc>>,
) -> Result<HashMap<Uuid, Priced>> {
    let market = of(app, partner)?;
    let mut stored = match partner.mode {
        Mode::Sandbox => {
            let ids: Vec<Uuid> = instruments.iter().map(|instrument| instrument.borrow().id).collect();
            stored(connection, partner.id, &ids, at).await?
        }
        Mode::Live => HashMap::new(),
    };
    let mut quote = |instrument: &instrument::Model| {
        let Stored { set, last, mut splits } = stored.remove(&instrument.id).unwrap_or_default();
        splits.retain(|split| splits_until.is_none_or(|until| split.at <= until));
        let price = |price, time, rounding| basis::price(&splits, &instrument.symbol, price, time, rounding);
        let set = set.into_iter().find(|(.., set_at)| counts(*set_at));
        let (quote, source) = match (set, last) {
            (Some((bid, ask, set_at)), _) => {
                let (bid, ask) = (price(bid, set_at, Rounding::Down), price(ask, set_at, Rounding::Up));
                (Quote { bid, ask, last: midpoint(bid, ask), at }, Source::Set)
            }
            (None, Some((last, starts_at))) => {
                let last = price(last, starts_at, Rounding::Down);
                (Quote::of(prices::around(last.units()), at), Source::Bars)
            }
            _ => {
                (Quote::of(market.quote(series(partner, instrument, splits.iter()), at), at), Source::Market)
            }
        };
        Priced { quote, source, splits }
    };
    Ok(instruments.iter().map(Borrow::borrow).map(|instrument| (instrument.id, quote(instrument))).collect())
}

impl Quote {
    fn of(quote: prices::Quote, at: DateTime<Utc>) -> Self {
        let [bid, ask, last] = [quote.bid, quote.ask, quote.last].map(Price::from_units);
        Self { bid, ask, last, at }
    }
}

/// Stored prices and splits of one instrument.
#[derive(Default)]
struct Stored {
    /// Bids and asks that were set, and when, newest first.
    set: Vec<(Price, Price, DateTime<Utc>)>,
    /// Last trade of the latest bar that has begun, and the start of the bar.
    last: Option<(Price, DateTime<Utc>)>,
    /// Oldest first.
    splits: Vec<Split>,
}

/// Returns the stored prices and the splits of these instruments, with one statement.
async fn stored(
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    instruments: &[Uuid],
    at: DateTime<Utc>,
) -> Result<HashMap<Uuid, Stored>> {
    if instruments.is_empty() {
        return Ok(HashMap::new());
    }
    let places =
        (3..).take(instruments.len()).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
    let text = format!(
        "SELECT instrument.id, quote_override.bid, quote_override.ask, bar.starts_at, bar.open, bar.close, \
         quote_override.set_at, split.processed_at, split.new_shares, split.old_shares, \
         split.processed_id, quote_override.former_bid, quote_override.former_ask, quote_override.former_set_at \
         FROM instrument \
         LEFT JOIN quote_override ON quote_override.partner_id = $1 \
         AND quote_override.instrument_id = instrument.id \
         LEFT JOIN bar ON bar.partner_id = $1 AND bar.instrument_id = instrument.id AND bar.starts_at = \
         (SELECT MAX(begun.starts_at) FROM bar AS begun WHERE begun.partner_id = $1 \
         AND begun.instrument_id = instrument.id AND begun.starts_at <= $2) \
         LEFT JOIN corporate_action AS split ON split.instrument_id = instrument.id \
         AND split.partner_id = $1 AND split.new_shares IS NOT NULL AND split.processed_at IS NOT NULL \
         WHERE instrument.id IN ({places}) AND (quote_override.bid IS NOT NULL OR bar.open IS NOT NULL \
         OR split.id IS NOT NULL) ORDER BY split.processed_at, split.id"
    );
    let values = [partner_id.into(), at.into()].into_iter().chain(instruments.iter().map(|id| (*id).into()));
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), text, values);
    let mut found: HashMap<Uuid, Stored> = HashMap::new();
    for row in connection.query_all_raw(statement).await? {
        let id = row.try_get_by_index(0)?;
        let starts_at: Option<DateTime<Utc>> = row.try_get_by_index(3)?;
        let last: Option<Price> = match starts_at {
            Some(starts_at) if at < starts_at + bars::LENGTH => row.try_get_by_index(4)?,
            Some(_) => row.try_get_by_index(5)?,
            None => None,
        };
        let set_price = |[bid, ask, set_at]: [usize; 3]| -> Result<_> {
            let (bid, ask): (Option<Price>, Option<Price>) =
                (row.try_get_by_index(bid)?, row.try_get_by_index(ask)?);
            let set_at: Option<DateTime<Utc>> = row.try_get_by_index(set_at)?;
            Ok(bid.zip(ask).zip(set_at).map(|((bid, ask), set_at)| (bid, ask, set_at)))
        };
        let set = set_price([1, 2, 6])?.into_iter().chain(set_price([11, 12, 13])?).collect();
        let stored = found.entry(id).or_default();
        (stored.set, stored.last) = (set, last.zip(starts_at));
        if let Some(at) = row.try_get_by_index(7)? {
            let [new_shares, old_shares] = [row.try_get_by_index(8)?, row.try_get_by_index(9)?];
            stored.splits.push(Split { id: row.try_get_by_index(10)?, at, new_shares, old_shares });
        }
    }
    Ok(found)
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

/// Returns the quote of one instrument with where it comes from.
pub async fn priced(
    app: &App,
    connection: &impl ConnectionTrait,
    partner: &partner::Model,
    instrument: &instrument::Model,
    at: DateTime<Utc>,
) -> Result<Priced> {
    let mut quotes =
        sourced(app, connection, partner, std::slice::from_ref(instrument), at, |_| true, None).await?;
    quotes.remove(&instrument.id).ok_or_else(|| crate::Error::broken("an instrument has no quote"))
}

/// Returns the quote of the market itself at this time, after these splits.
pub fn own_quote(
    app: &App,
    partner: &partner::Model,
    instrument: &instrument::Model,
    splits: &[Split],
    at: DateTime<Utc>,
) -> Result<Quote> {
    Ok(Quote::of(of(app, partner)?.quote(series(partner, instrument, splits.iter()), at), at))
}

fn midpoint(bid: Price, ask: Price) -> Price {
    Price::from_units(bid.units() + (ask.units() - bid.units()) / 2)
}

/// New price of an instrument for one partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A quote was set or removed; the quote that applies now.
    Quote(Quote),
    /// A bar was pushed.
    Bar(Bar),
}

/// Tells the venue about a new price, in the transaction that stores it.
pub async fn changed(ctx: &CommandContext<'_>, instrument: &instrument::Model, change: Change) -> Result<()> {
    matching::price_changed(ctx, instrument, change).await
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

/// Returns whether a market with these hours is open at this time.
pub fn is_open(kind: MarketHours, at: DateTime<Utc>) -> bool {
    match kind {
        MarketHours::AlwaysOpen => true,
        MarketHours::Nyse => calendar::is_open(at),
    }
}

/// Returns the times from `from` to before `to` in which a market with these hours is open, in order.
pub fn sessions(kind: MarketHours, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Range<DateTime<Utc>>> {
    let within = |range: Range<DateTime<Utc>>| range.start.max(from)..range.end.min(to);
    let whole = match kind {
        MarketHours::AlwaysOpen => vec![from..to],
        MarketHours::Nyse => days(kind, from, to).collect(),
    };
    whole.into_iter().map(within).filter(|range| !range.is_empty()).collect()
}

/// Returns the sessions of the New York days from that of `from` to that of `to`, in order. If the market never
/// closes, the session of a day begins at midnight in New York and lasts until the next.
pub fn days(
    kind: MarketHours,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> impl Iterator<Item = Range<DateTime<Utc>>> {
    let last = calendar::new_york_date(to);
    let days = calendar::new_york_date(from).iter_days().take_while(move |day| *day <= last);
    days.filter_map(move |day| match kind {
        MarketHours::AlwaysOpen => {
            Some(calendar::at_new_york(day, 0, 0)..calendar::at_new_york(day.succ_opt()?, 0, 0))
        }
        MarketHours::Nyse => calendar::session(day).map(|session| session.opens_at..session.closes_at),
    })
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
