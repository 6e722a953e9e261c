//! Bars of a chart: one per minute, or several minutes of a session combined.

use super::{Bar, LENGTH, Sources, rows, whole_minute};
use crate::{
    Error, Refusal, Result,
    kernel::{app::App, clock},
    trading::market,
};
use chrono::{DateTime, TimeDelta, Utc};
use entity::{bar, instrument, partner};
use sea_orm::ConnectionTrait;
use std::ops::Range;

/// Length of the bars of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interval {
    OneMinute,
    FiveMinutes,
    FifteenMinutes,
    OneHour,
    /// A whole session.
    OneDay,
}

impl Interval {
    const fn minutes(self) -> i64 {
        match self {
            Self::OneMinute => 1,
            Self::FiveMinutes => 5,
            Self::FifteenMinutes => 15,
            Self::OneHour => 60,
            Self::OneDay => 25 * 60,
        }
    }
}

/// Which bars a chart shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChartRange {
    /// The first bar begins at this time or later.
    pub from: DateTime<Utc>,
    /// All bars begin before this time; now if absent.
    pub to: Option<DateTime<Utc>>,
    pub interval: Interval,
}

/// Maximum number of bars of one chart.
pub const MAX_BARS: usize = 1_000;
/// Maximum number of minutes that the bars of one chart cover: more than a year of sessions.
const MAX_MINUTES: i64 = 100_000;

/// Returns the bars of an instrument, oldest first, during the partner's market hours and up to the partner's present
/// time.
///
/// A bar combines the minutes of one session: it begins with the session or a multiple of the interval later, and ends
/// with the session at the latest. The session of a market that never closes is a day in New York. Minutes that have
/// not ended yet are left out, and so are bars without a minute. Refused if there could be more than 1,000 bars, or if
/// they cover more than 100,000 minutes.
pub async fn chart(
    app: &App,
    connection: &impl ConnectionTrait,
    partner: &partner::Model,
    instrument: &instrument::Model,
    range: ChartRange,
) -> Result<Vec<Bar>> {
    let source = market::of(app, partner)?;
    let now = clock::now_of(partner);
    let ChartRange { from, to, interval } = range;
    if to.is_some_and(|to| to <= from) {
        return Err(Refusal::invalid("to", "must be after `from`").into());
    }
    let to = to.unwrap_or(now).min(now);
    let slots = slots(partner, from, to, now, interval)?;
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return Ok(Vec::new()) };
    let sources = Sources::of(connection, partner, instrument, first.start..last.end).await?;
    let stored: Vec<bar::Model> = match &sources.stored {
        Some(range) => rows(partner, instrument, range).all(connection).await?,
        None => Vec::new(),
    };
    let mut stored = stored.into_iter().map(Bar::from).peekable();
    let mut bars = Vec::with_capacity(slots.len());
    for slot in slots {
        let mut bar: Option<Bar> = None;
        let end = whole_minute(slot.end.min(sources.simulated.end));
        if slot.start < end {
            let minutes = u32::try_from((end - slot.start).num_minutes()).unwrap_or_default();
            let series = market::series(partner, instrument, sources.splits_before(slot.start));
            let simulated = source.bar(series, slot.start, minutes);
            bar = Some(Bar::of(simulated, slot.start)?);
        }
        // Bars outside of sessions.
        while stored.next_if(|next| next.starts_at < slot.start).is_some() {}
        while let Some(minute) = stored.next_if(|next| next.starts_at < slot.end) {
            bar = Some(match bar {
                Some(bar) => bar.followed_by(&minute)?,
                None => Bar { starts_at: slot.start, ..minute },
            });
        }
        bars.extend(bar);
    }
    Ok(bars)
}

impl Bar {
    /// Returns one bar for the time of this one and a later one.
    fn followed_by(self, later: &Self) -> Result<Self> {
        let volume = self.volume.plus(later.volume);
        Ok(Self {
            high: self.high.max(later.high),
            low: self.low.min(later.low),
            close: later.close,
            volume: volume.ok_or_else(|| Error::broken("the volume of a bar exceeds 64 bits"))?,
            ..self
        })
    }
}

/// Returns the times of the bars that begin from `from` to before `to`, without minutes that have not ended by now.
fn slots(
    partner: &partner::Model,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    now: DateTime<Utc>,
    interval: Interval,
) -> Result<Vec<Range<DateTime<Utc>>>> {
    let too_many = || {
        let text = format!(
            "is too early: at most {MAX_BARS} bars, of at most {MAX_MINUTES} minutes of market hours together, are \
             returned at once; `to` is the present if it is left out"
        );
        Error::from(Refusal::invalid("from", text))
    };
    // No session is longer than a day.
    if to - from > TimeDelta::days(MAX_MINUTES / 60) {
        return Err(too_many());
    }
    let length = TimeDelta::minutes(interval.minutes());
    let mut slots = Vec::new();
    let mut covered = TimeDelta::zero();
    for session in market::days(partner.market_hours, from, to) {
        let mut starts_at = session.start;
        while starts_at < session.end.min(to) {
            let end = (starts_at + length).min(session.end);
            let ended = end.min(last_minute_end(now));
            if starts_at >= from && starts_at < ended {
                slots.push(starts_at..ended);
                covered += ended - starts_at;
            }
            if slots.len() > MAX_BARS || covered > TimeDelta::minutes(MAX_MINUTES) {
                return Err(too_many());
            }
            starts_at = end;
        }
    }
    Ok(slots)
}

/// Returns the end of the last minute that has ended at this time.
fn last_minute_end(at: DateTime<Utc>) -> DateTime<Utc> {
    let rounded = whole_minute(at);
    if rounded == at { at } else { rounded - LENGTH }
}
