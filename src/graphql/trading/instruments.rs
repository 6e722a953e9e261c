//! GraphQL types and queries for instruments, quotes and market hours.

use crate::{
    graphql::core::{
        context::RequestContext,
        pages::{Connection, Item, PageArguments},
        scalars::{DateTime, Money},
        sorts::sort_by,
    },
    wire::Result,
};
use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use domain::{
    kernel::{clock, lists::Filter},
    trading::{
        instruments,
        market::{self, MarketClock as Hours, Quote as Prices},
    },
};
use entity::{Kind, instrument};
use uuid::Uuid;

/// Security that can be traded.
pub struct Instrument(pub instrument::Model);

/// Security that can be traded.
#[Object]
impl Instrument {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Ticker symbol, for example `AAPL`.
    async fn symbol(&self) -> &str {
        &self.0.symbol
    }

    /// Display name, for example `Apple Inc.`
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Exchange where it is listed, for example `NASDAQ`.
    async fn exchange(&self) -> &str {
        &self.0.exchange
    }

    /// Current bid and ask. Null without credentials or while market prices are unavailable.
    async fn quote(&self, ctx: &Context<'_>) -> Result<Option<Quote>> {
        Ok(ctx.loaders().quote(self.0.id).await?.map(Quote::from))
    }
}

impl Item for Instrument {
    const KIND: Kind = Kind::Instrument;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}

impl From<instrument::Model> for Instrument {
    fn from(row: instrument::Model) -> Self {
        Self(row)
    }
}

/// Prices of one share at one point in time.
#[derive(Clone, Debug, SimpleObject)]
pub struct Quote {
    /// Price at which a market order sells.
    bid: Money,
    /// Price at which a market order buys.
    ask: Money,
    /// Price of the last trade.
    last: Money,
    /// Time of the quote, by the partner's clock.
    as_of: DateTime,
}

impl From<Prices> for Quote {
    fn from(quote: Prices) -> Self {
        Self { bid: quote.bid.into(), ask: quote.ask.into(), last: quote.last.into(), as_of: quote.at.into() }
    }
}

/// Market hours: whether the market is open, and when that changes.
#[derive(Clone, Debug, SimpleObject)]
pub struct MarketClock {
    /// Current time by the partner's clock, or by the server's clock without credentials.
    now: DateTime,
    /// Whether the market is open and orders are accepted.
    is_open: bool,
    /// Next opening time. Null if the market never closes.
    next_open_at: Option<DateTime>,
    /// Next closing time. Null if the market never closes.
    next_close_at: Option<DateTime>,
}

impl From<Hours> for MarketClock {
    fn from(hours: Hours) -> Self {
        Self {
            now: hours.at.into(),
            is_open: hours.is_open,
            next_open_at: hours.next_open_at.map(DateTime),
            next_close_at: hours.next_close_at.map(DateTime),
        }
    }
}

/// Filter for instruments.
#[derive(Default, InputObject)]
pub struct InstrumentFilter {
    /// Only instruments whose symbol or name starts with this text; ASCII letters are compared without regard
    /// to case.
    search: Option<String>,
}

impl InstrumentFilter {
    fn conditions(self) -> Vec<Filter> {
        let columns = [instrument::Column::Symbol, instrument::Column::Name];
        self.search.map(|text| Filter::starts_with(&columns, text.trim())).into_iter().collect()
    }
}

sort_by!(
    /// Sort order of instruments.
    InstrumentSort, InstrumentSortField of instrument, default Symbol Asc {
        /// Ticker symbol.
        Symbol [Symbol],
        /// Display name.
        Name [Name],
        /// Time when the instrument was added.
        AddedAt [],
    }
);

#[derive(Default)]
pub struct InstrumentQuery;

#[Object]
impl InstrumentQuery {
    /// Returns an instrument by ticker symbol, or null if it was not found. Requires no credentials.
    async fn instrument_by_symbol(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Ticker symbol, case-insensitive.")] symbol: String,
    ) -> Result<Option<Instrument>> {
        let found = instruments::by_symbol(ctx.app(), &symbol).await?;
        Ok(found.map(|found| Instrument((*found).clone())))
    }

    /// Returns the instruments, in the order of their symbols by default. Requires no credentials.
    #[expect(clippy::too_many_arguments, reason = "a connection has four arguments of its own")]
    async fn instruments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Filter for the instruments.")] filter: Option<InstrumentFilter>,
        #[graphql(desc = "Sort order; by symbol by default.")] order_by: Option<InstrumentSort>,
    ) -> Result<Option<Connection<Instrument>>> {
        let page =
            ctx.sorted_page::<Instrument, _>(PageArguments { first, after, last, before }, order_by)?;
        let filters = filter.unwrap_or_default().conditions();
        let slice = instruments::list(&*ctx.loaders().connection().await?, &page, &filters).await?;
        Ok(Some(Connection::sorted(slice, |row| page.cursor_of(row), Instrument)?))
    }

    /// Returns the market hours that apply to the caller. Requires no credentials.
    async fn market_clock(&self, ctx: &Context<'_>) -> Result<Option<MarketClock>> {
        let hours =
            market::clock_for(&*ctx.loaders().connection().await?, ctx.actor(), clock::system_now()).await?;
        Ok(Some(hours.into()))
    }
}
