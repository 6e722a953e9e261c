//! GraphQL types and mutations for bars.

use super::instruments::Instrument;
use crate::{
    graphql::core::{
        context::RequestContext,
        mutations::payload,
        scalars::{DateTime, Decimal, Money, MoneyInput},
    },
    wire::{self, Result},
};
use async_graphql::{Context, Enum, InputObject, Object, SimpleObject};
use domain::{
    Checks,
    kernel::command,
    sandbox::bars::{self, PushBar},
    trading::bars::Bar as Prices,
};
use macros::{Fields, Leaf};

/// Prices of one share during an interval, for a chart.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct Bar {
    /// Start of the interval.
    starts_at: DateTime,
    /// First trade.
    open: Money,
    /// Highest trade.
    high: Money,
    /// Lowest trade.
    low: Money,
    /// Last trade.
    close: Money,
    /// Number of shares traded.
    volume: Decimal,
}

impl From<Prices> for Bar {
    fn from(bar: Prices) -> Self {
        Self {
            starts_at: bar.starts_at.into(),
            open: bar.open.into(),
            high: bar.high.into(),
            low: bar.low.into(),
            close: bar.close.into(),
            volume: bar.volume.into(),
        }
    }
}

/// Length of the bars of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "domain::trading::bars::Interval")]
pub enum BarInterval {
    /// One minute.
    OneMinute,
    /// Five minutes.
    FiveMinutes,
    /// Fifteen minutes.
    FifteenMinutes,
    /// One hour.
    OneHour,
    /// The whole session of a day.
    OneDay,
}

/// Input for sandboxBarPush.
#[derive(InputObject)]
pub struct SandboxBarPushInput {
    /// Ticker symbol (case-insensitive) or instrument id.
    symbol: String,
    /// Start of the minute; after the latest bar of the symbol.
    starts_at: DateTime,
    /// First trade of the minute.
    open: MoneyInput,
    /// Highest trade of the minute.
    high: MoneyInput,
    /// Lowest trade of the minute.
    low: MoneyInput,
    /// Last trade of the minute.
    close: MoneyInput,
    /// Number of shares traded, with at most eight decimals.
    volume: Decimal,
}

impl SandboxBarPushInput {
    fn parse(self) -> domain::Result<PushBar> {
        let mut checks = Checks::default();
        let mut price =
            |field: &str, value: &MoneyInput| checks.note(value.amount.amount(&format!("{field}.amount")));
        let (open, high) = (price("open", &self.open), price("high", &self.high));
        let (low, close) = (price("low", &self.low), price("close", &self.close));
        let volume = checks.note(self.volume.amount("volume"));
        checks.done()?;
        let (Some(open), Some(high), Some(low), Some(close), Some(volume)) = (open, high, low, close, volume)
        else {
            return Err(domain::Error::broken("a value was neither read nor refused"));
        };
        let starts_at = self.starts_at.0;
        Ok(PushBar { symbol: self.symbol, bar: Prices { starts_at, open, high, low, close, volume } })
    }
}

payload!(
    /// Result of sandboxBarPush.
    SandboxBarPushPayload {
        /// The instrument with its quote and bars. Null if the request was refused.
        instrument: Instrument
    }
);

#[derive(Default)]
pub struct BarMutation;

#[Object]
impl BarMutation {
    /// Adds a bar of one minute to an instrument in this sandbox. From the instrument's first bar on, its
    /// bars replace the prices of the simulated market. Requires scope `operate`.
    async fn sandbox_bar_push(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for sandboxBarPush.")] input: SandboxBarPushInput,
    ) -> Result<Option<SandboxBarPushPayload>> {
        let pushed = match input.parse() {
            Ok(push) => bars::push_bar(ctx.app(), ctx.actor(), push).await,
            Err(error) => Err(command::unreadable::<PushBar>(ctx.actor(), error)),
        };
        Ok(Some(wire::outcome(pushed)?.into()))
    }
}
