//! GraphQL types and queries for instruments, quotes and market hours.

use super::{
    bars::{Bar, BarInterval},
    corporate_actions::CorporateAction,
};
use crate::{
    graphql::core::{
        breadth::{Fetch, ListOf, Lookup, fetch, lookup},
        context::Viewpoint,
        loaders::{BarsOf, QuoteOf},
        pages::PageArgs,
        scalars::{DateTime, Money},
        sorts::sort_by,
    },
    wire::Result,
};
use async_graphql::{Enum, ID, InputObject, SimpleObject};
use domain::{
    Refusal, Visible,
    kernel::{clock, ids, lists::Filter},
    trading::{
        bars::ChartRange,
        instruments,
        market::{self, MarketClock as Hours, Quote as Prices},
    },
};
use entity::{Kind, corporate_action, instrument};
use macros::{Fields, Leaf, breadth};
use std::sync::Arc;

/// Security that can be traded.
#[derive(Clone)]
pub struct Instrument(pub instrument::Model);

/// Security that can be traded.
#[breadth]
impl Instrument {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Ticker symbol, for example `AAPL`. After a symbol change the one that it has for the partner.
    fn symbol(&self, view: &Viewpoint) -> String {
        instruments::shown_symbol(view.app(), view.actor().partner_id(), self.0.id, &self.0.symbol)
    }

    /// Display name, for example `Apple Inc.`
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Exchange where it is listed, for example `NASDAQ`.
    fn exchange(&self) -> &str {
        &self.0.exchange
    }

    /// Kind of security.
    fn asset_class(&self) -> AssetClass {
        self.0.asset_class.into()
    }

    /// Bars for a chart, oldest first, during market hours and up to the partner's current time. Null without
    /// credentials or while market prices are unavailable.
    ///
    /// Bars are counted from the opening of each session; the last bar of a session may be shorter. Minutes
    /// that have not ended yet are left out. At most 1,000 bars, which cover at most 100,000 minutes, are
    /// returned at once.
    fn bars(
        &self,
        #[graphql(desc = "The first bar begins at this time or later.")] from: DateTime,
        #[graphql(desc = "All bars begin before this time; by default, all until now.")] to: Option<DateTime>,
        #[graphql(desc = "Length of the bars; one minute by default.")] interval: Option<BarInterval>,
    ) -> Lookup<BarsOf, Option<Vec<Bar>>> {
        let interval = interval.unwrap_or(BarInterval::OneMinute).into();
        let range = ChartRange { from: from.0, to: to.map(|to| to.0), interval };
        lookup(Some(BarsOf(self.0.id, range)), |_, bars| {
            Ok(bars.map(|bars| bars.iter().copied().map(Bar::from).collect()))
        })
    }

    /// Corporate actions that the partner has announced, newest first. Null without scope `read`.
    fn corporate_actions(&self, view: &Viewpoint, page: PageArgs) -> Result<Option<ListOf<CorporateAction>>> {
        if corporate_action::Entity::access(view.actor()).is_err() {
            return Ok(None);
        }
        Ok(Some(ListOf::seen_under(view, self.0.id, &page, Vec::new())?))
    }

    /// Current bid and ask. Null without credentials or while market prices are unavailable.
    fn quote(&self) -> Lookup<QuoteOf, Option<Quote>> {
        lookup(Some(QuoteOf(self.0.id)), |_, quote| Ok(quote.map(Quote::from)))
    }
}

/// Kind of security.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::instrument::AssetClass")]
pub enum AssetClass {
    /// Share of a company or fund that is listed in the United States.
    UsEquity,
}

/// Prices of one share at one point in time.
#[derive(Clone, Debug, Fields, SimpleObject)]
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
#[derive(Clone, Debug, Fields, SimpleObject)]
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
#[derive(Clone, Default, InputObject)]
pub struct InstrumentFilter {
    /// Only instruments whose symbol, or a word of their name, starts with this text. The case of ASCII
    /// letters does not matter.
    search: Option<String>,
}

impl InstrumentFilter {
    fn conditions(self, view: &Viewpoint) -> Vec<Filter> {
        let partner_id = view.actor().partner_id();
        self.search.map(|text| instruments::matching(partner_id, &text)).into_iter().collect()
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

async fn with_symbol(view: &Viewpoint, symbol: &str) -> Result<Option<Arc<instrument::Model>>> {
    Ok(instruments::by_symbol(view.app(), view.actor().partner_id(), symbol).await?)
}

fn object(found: Option<Arc<instrument::Model>>) -> Option<Instrument> {
    found.map(|found| Instrument((*found).clone()))
}

#[derive(Default)]
pub struct InstrumentQuery;

#[breadth]
impl InstrumentQuery {
    /// Returns an instrument by its id or its ticker symbol, or null if it was not found. Requires no credentials.
    fn instrument(
        &self,
        #[graphql(desc = "Id of the instrument.")] id: Option<ID>,
        #[graphql(desc = "Ticker symbol, case-insensitive. Give either this or the id.")] symbol: Option<
            String,
        >,
    ) -> Fetch<Option<Instrument>> {
        fetch(move |view| {
            let (id, symbol) = (id.clone(), symbol.clone());
            Box::pin(async move {
                let found = match (id, symbol) {
                    (Some(id), None) => {
                        instruments::by_id(view.app(), ids::parse(Kind::Instrument, &id)).await?
                    }
                    (None, Some(symbol)) => with_symbol(view, &symbol).await?,
                    (None, None) => return Err(Refusal::required("symbol").into()),
                    (Some(_), Some(_)) => {
                        return Err(Refusal::invalid("symbol", "must not be given together with `id`").into());
                    }
                };
                Ok(object(found))
            })
        })
    }

    /// Returns an instrument by ticker symbol, or null if it was not found. Requires no credentials.
    fn instrument_by_symbol(
        &self,
        #[graphql(desc = "Ticker symbol, case-insensitive.")] symbol: String,
    ) -> Fetch<Option<Instrument>> {
        fetch(move |view| {
            let symbol = symbol.clone();
            Box::pin(async move { Ok(object(with_symbol(view, &symbol).await?)) })
        })
    }

    /// Returns the instruments, in the order of their symbols by default. Requires no credentials.
    fn instruments(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(desc = "Filter for the instruments.")] filter: Option<InstrumentFilter>,
        #[graphql(desc = "Sort order; by symbol by default.")] order_by: Option<InstrumentSort>,
    ) -> Result<Option<ListOf<Instrument>>> {
        let filters = filter.unwrap_or_default().conditions(view);
        Ok(Some(ListOf::sorted(view, &page, filters, order_by)?))
    }

    /// Returns the market hours that apply to the caller. Requires no credentials.
    fn market_clock(&self) -> Fetch<Option<MarketClock>> {
        fetch(|view| {
            Box::pin(async move {
                let connection = view.loaders().connection().await?;
                let hours = market::clock_for(&*connection, view.actor(), clock::system_now()).await?;
                Ok(Some(hours.into()))
            })
        })
    }
}
