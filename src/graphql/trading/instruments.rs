//! The GraphQL face of what can be traded, and of the market's hours.

use crate::{
    graphql::core::{
        context::RequestContext,
        pages::{Connection, Item},
        scalars::{DateTime, Money},
    },
    wire::Result,
};
use async_graphql::{Context, ID, Object, SimpleObject};
use domain::{
    kernel::clock,
    trading::{
        instruments,
        market::{self, MarketClock as Hours, Quote as Prices},
    },
};
use entity::{Kind, instrument};
use uuid::Uuid;

/// Something that can be traded.
pub struct Instrument(pub instrument::Model);

/// Something that can be traded.
#[Object]
impl Instrument {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Exchange ticker.
    async fn symbol(&self) -> &str {
        &self.0.symbol
    }

    /// Display name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it is listed.
    async fn exchange(&self) -> &str {
        &self.0.exchange
    }

    /// What it costs and brings now, by the caller's clock; null for nobody and while no price can be had.
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

/// What a share costs and brings at one instant.
#[derive(Clone, Debug, SimpleObject)]
pub struct Quote {
    /// What a seller gets.
    bid: Money,
    /// What a buyer pays.
    ask: Money,
    /// The last trade.
    last: Money,
    /// When it was so.
    as_of: DateTime,
}

impl From<Prices> for Quote {
    fn from(quote: Prices) -> Self {
        Self { bid: quote.bid.into(), ask: quote.ask.into(), last: quote.last.into(), as_of: quote.at.into() }
    }
}

/// Whether the market takes orders, and when that changes.
#[derive(Clone, Debug, SimpleObject)]
pub struct MarketClock {
    /// What time it is: by the caller's clock, the system's for nobody.
    now: DateTime,
    /// Whether orders are taken.
    is_open: bool,
    /// The next opening; null where the market never closes.
    next_open_at: Option<DateTime>,
    /// The next close; null where the market never closes.
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

#[derive(Default)]
pub struct InstrumentQuery;

#[Object]
impl InstrumentQuery {
    /// An instrument by ticker; needs no sign-in.
    async fn instrument_by_symbol(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Ticker, in either case.")] symbol: String,
    ) -> Result<Option<Instrument>> {
        Ok(instruments::by_symbol(&*ctx.loaders().connection().await?, &symbol).await?.map(Instrument))
    }

    /// Everything that can be traded, latest listed first; needs no sign-in.
    async fn instruments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<Instrument>>> {
        let page = ctx.page::<Instrument>(first, after, last, before)?;
        let slice = instruments::list(&*ctx.loaders().connection().await?, &page).await?;
        Ok(Some(Connection::new(slice, Instrument)))
    }

    /// Whether the market takes orders, by the caller's clock and hours; needs no sign-in.
    async fn market_clock(&self, ctx: &Context<'_>) -> Result<Option<MarketClock>> {
        let hours =
            market::clock_for(&*ctx.loaders().connection().await?, ctx.actor(), clock::system_now()).await?;
        Ok(Some(hours.into()))
    }
}
