//! Bars: the prices of one instrument in one minute.
//!
//! A sandbox partner may store bars of an instrument: pushed one by one, or imported from a file. From the first
//! stored bar on they replace the market's own. Minutes without a stored bar then have none.

mod chart;
mod file;
mod import;

pub use chart::{ChartRange, Interval, MAX_BARS, chart};
pub use file::{BarFile, COLUMNS, FileBar, read};
pub use import::{Imported, Progress, import};

use super::{
    basis::{self, Split},
    market,
};
use crate::{
    Error, Result,
    kernel::app::App,
    providers::prices::{self, Touch as UnitTouch},
};
use chrono::{DateTime, Datelike, DurationRound, TimeDelta, Utc};
use entity::{
    Price, Quantity, bar, instrument,
    partner::{self, Mode},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::Expr,
};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Length of a bar.
pub const LENGTH: TimeDelta = TimeDelta::minutes(1);

/// Prices of one share in one minute: `low <= open, close <= high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// Start of the minute.
    pub starts_at: DateTime<Utc>,
    /// First trade.
    pub open: Price,
    pub high: Price,
    pub low: Price,
    /// Last trade.
    pub close: Price,
    /// Number of shares traded.
    pub volume: Quantity,
}

impl From<bar::Model> for Bar {
    fn from(row: bar::Model) -> Self {
        let bar::Model { partner_id: _, instrument_id: _, starts_at, open, high, low, close, volume } = row;
        Self { starts_at, open, high, low, close, volume }
    }
}

impl Bar {
    fn of(bar: prices::Bar, starts_at: DateTime<Utc>) -> Result<Self> {
        let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(Price::from_units);
        let volume = bar.volume.checked_mul(ONE_SHARE).map(Quantity::from_units);
        let volume = volume.ok_or_else(|| Error::broken("the volume of a bar exceeds 64 bits"))?;
        Ok(Self { starts_at, open, high, low, close, volume })
    }
}

/// Maximum price: a million dollars.
pub const MAX_PRICE: Price = Price::from_units(10_000_000_000);

impl Bar {
    /// Returns what is wrong with a bar that is to be stored: the field, and a text for people. `time` is the name of
    /// its start.
    pub fn faults(&self, time: &'static str) -> Vec<(&'static str, &'static str)> {
        let Self { starts_at, open, high, low, close, volume } = *self;
        let mut faults = Vec::new();
        if !(1970..=9998).contains(&starts_at.year()) {
            faults.push((time, "must be in the years 1970 to 9998"));
        } else if whole_minute(starts_at) != starts_at {
            faults.push((time, "must be a whole minute"));
        }
        let prices = [("open", open), ("high", high), ("low", low), ("close", close)];
        let in_range = |price: Price| price.is_positive() && price <= MAX_PRICE;
        let out_of_range = prices.into_iter().filter(|(_, price)| !in_range(*price));
        faults.extend(out_of_range.map(|(field, _)| (field, "must be above zero and at most 1000000")));
        if prices.iter().all(|(_, price)| in_range(*price)) {
            if high < open.max(close).max(low) {
                faults.push(("high", "must not be below open, close and low"));
            } else if low > open.min(close) {
                faults.push(("low", "must not be above open and close"));
            }
        }
        if volume < Quantity::ZERO {
            faults.push(("volume", "must not be negative"));
        }
        faults
    }
}

/// One share, in the units of a quantity.
const ONE_SHARE: i64 = 100_000_000;

/// Condition for the prices of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// The low is at or below this price.
    AtOrBelow(Price),
    /// The high is at or above this price.
    AtOrAbove(Price),
}

impl Touch {
    /// Whether a bar meets the condition.
    pub const fn is_met(self, bar: &Bar) -> bool {
        self.in_units().is_met(bar.low.units(), bar.high.units())
    }

    const fn in_units(self) -> UnitTouch {
        match self {
            Self::AtOrBelow(price) => UnitTouch::AtOrBelow(price.units()),
            Self::AtOrAbove(price) => UnitTouch::AtOrAbove(price.units()),
        }
    }
}

/// The bars of an instrument as a partner sees them.
#[derive(Debug)]
pub struct Bars<'a, C> {
    pub app: &'a App,
    pub connection: &'a C,
    pub partner: &'a partner::Model,
    pub instrument: &'a instrument::Model,
}

impl<C: ConnectionTrait> Bars<'_, C> {
    /// Returns the bars that begin in a time during the partner's market hours, oldest first.
    ///
    /// A bar of the simulated market is computed from the same prices as its quotes: open and close are the last trade
    /// at its start and in its last millisecond, high and low the extremes in between.
    pub async fn between(&self, range: Range<DateTime<Utc>>) -> Result<Vec<Bar>> {
        let Self { connection, partner, instrument, .. } = *self;
        let sources = Sources::of(connection, partner, instrument, range).await?;
        let mut bars = Vec::new();
        for minutes in sources.simulated(partner) {
            let mut starts_at = minutes.start;
            while starts_at < minutes.end {
                bars.push(self.simulated(&sources, starts_at)?);
                starts_at += LENGTH;
            }
        }
        if let Some(range) = sources.stored {
            let rows = rows(partner, instrument, &range).all(connection).await?;
            let in_session = |row: &bar::Model| market::is_open(partner.market_hours, row.starts_at);
            bars.extend(rows.into_iter().filter(in_session).map(Bar::from));
        }
        Ok(bars)
    }

    /// Returns the first bar that begins in a time during the partner's market hours and meets a condition.
    pub async fn first_touching(&self, range: Range<DateTime<Utc>>, touch: Touch) -> Result<Option<Bar>> {
        let Self { app, connection, partner, instrument } = *self;
        let sources = Sources::of(connection, partner, instrument, range).await?;
        let market = market::of(app, partner)?;
        for range in sources.simulated(partner).into_iter().flat_map(|range| sources.cut(range)) {
            let minutes = u32::try_from((range.end - range.start).num_minutes()).unwrap_or(u32::MAX);
            let series = market::series(partner, instrument, sources.splits_before(range.start));
            if let Some(starts_at) = market.first_touching(series, range.start, minutes, touch.in_units()) {
                return Ok(Some(self.simulated(&sources, starts_at)?));
            }
        }
        let condition = match touch {
            Touch::AtOrBelow(price) => bar::Column::Low.lte(price),
            Touch::AtOrAbove(price) => bar::Column::High.gte(price),
        };
        match sources.stored {
            Some(range) => first_stored(connection, partner, instrument, range, Some(condition)).await,
            None => Ok(None),
        }
    }

    /// Returns the first bar that begins in a time during the partner's market hours.
    pub async fn first(&self, range: Range<DateTime<Utc>>) -> Result<Option<Bar>> {
        let Self { connection, partner, instrument, .. } = *self;
        let sources = Sources::of(connection, partner, instrument, range).await?;
        if let Some(range) = sources.simulated(partner).first() {
            return Ok(Some(self.simulated(&sources, range.start)?));
        }
        match sources.stored {
            Some(range) => first_stored(connection, partner, instrument, range, None).await,
            None => Ok(None),
        }
    }

    fn simulated(&self, sources: &Sources, starts_at: DateTime<Utc>) -> Result<Bar> {
        let Self { app, partner, instrument, .. } = *self;
        let series = market::series(partner, instrument, sources.splits_before(starts_at));
        Bar::of(market::of(app, partner)?.bar(series, starts_at, 1), starts_at)
    }
}

/// Returns the start of the latest stored bar of an instrument, however late it is.
pub async fn latest_stored(
    connection: &impl ConnectionTrait,
    partner: &partner::Model,
    instrument: &instrument::Model,
) -> Result<Option<DateTime<Utc>>> {
    let latest = of(partner, instrument).select_only().column_as(bar::Column::StartsAt.max(), "latest");
    Ok(latest.into_tuple::<Option<DateTime<Utc>>>().one(connection).await?.flatten())
}

/// Which bars of a time come from where.
struct Sources {
    /// Time before the first stored bar.
    simulated: Range<DateTime<Utc>>,
    stored: Option<Range<DateTime<Utc>>>,
    /// Splits of the shares so far, oldest first; of a live partner none, because its market knows them.
    splits: Vec<Split>,
}

impl Sources {
    async fn of(
        connection: &impl ConnectionTrait,
        partner: &partner::Model,
        instrument: &instrument::Model,
        range: Range<DateTime<Utc>>,
    ) -> Result<Self> {
        let first = match partner.mode {
            Mode::Sandbox => {
                let first =
                    of(partner, instrument).select_only().column_as(bar::Column::StartsAt.min(), "first");
                first.into_tuple::<Option<DateTime<Utc>>>().one(connection).await?.flatten()
            }
            Mode::Live => None,
        };
        let (simulated, stored) = match first.filter(|first| *first < range.end) {
            Some(first) => {
                let first = first.max(range.start);
                (range.start..first, Some(first..range.end))
            }
            None => (range, None),
        };
        let splits = if partner.mode == Mode::Live || simulated.is_empty() {
            Vec::new()
        } else {
            basis::splits(connection, partner.id, instrument.id).await?
        };
        Ok(Self { simulated, stored, splits })
    }

    /// Returns the splits up to a time.
    fn splits_before(&self, time: DateTime<Utc>) -> impl Iterator<Item = &Split> {
        self.splits.iter().filter(move |split| split.at <= time)
    }

    /// Cuts a time at the splits.
    fn cut(&self, range: Range<DateTime<Utc>>) -> Vec<Range<DateTime<Utc>>> {
        let mut cuts: Vec<_> = self.splits.iter().map(|split| split.at).collect();
        cuts.retain(|at| range.start < *at && *at < range.end);
        let starts = std::iter::once(range.start).chain(cuts.clone());
        starts.zip(cuts.iter().copied().chain([range.end])).map(|(start, end)| start..end).collect()
    }

    /// Returns the times with bars of the market's own, from a whole minute to before a whole minute.
    fn simulated(&self, partner: &partner::Model) -> Vec<Range<DateTime<Utc>>> {
        let [from, to] = [self.simulated.start, self.simulated.end].map(whole_minute);
        market::sessions(partner.market_hours, from, to)
    }
}

/// Returns this time, rounded up to a whole minute.
fn whole_minute(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(LENGTH).map_or(at, |minute| if minute == at { at } else { minute + LENGTH })
}

/// Selects the stored bars of an instrument.
fn of(partner: &partner::Model, instrument: &instrument::Model) -> Select<bar::Entity> {
    bar::Entity::find()
        .filter(bar::Column::PartnerId.eq(partner.id))
        .filter(bar::Column::InstrumentId.eq(instrument.id))
}

/// Selects the stored bars of an instrument that begin in a time, oldest first.
fn rows(
    partner: &partner::Model,
    instrument: &instrument::Model,
    range: &Range<DateTime<Utc>>,
) -> Select<bar::Entity> {
    of(partner, instrument)
        .filter(bar::Column::StartsAt.gte(range.start))
        .filter(bar::Column::StartsAt.lt(range.end))
        .order_by_asc(bar::Column::StartsAt)
}

async fn first_stored(
    connection: &impl ConnectionTrait,
    partner: &partner::Model,
    instrument: &instrument::Model,
    mut range: Range<DateTime<Utc>>,
    condition: Option<Expr>,
) -> Result<Option<Bar>> {
    loop {
        let select = rows(partner, instrument, &range);
        let select = condition.clone().into_iter().fold(select, QueryFilter::filter);
        match select.limit(1).one(connection).await? {
            Some(row) if market::is_open(partner.market_hours, row.starts_at) => return Ok(Some(row.into())),
            // A bar outside of sessions.
            Some(row) => {
                let next = market::hours(partner.market_hours, row.starts_at).next_open_at;
                range.start = next.unwrap_or(row.starts_at + LENGTH);
            }
            None => return Ok(None),
        }
    }
}
