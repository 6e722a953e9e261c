//! The GraphQL face of partners and of the sandbox's controls.

use super::{
    core::{
        context::RequestContext,
        errors::{GeneralUserError, payload},
        scalars::{DateTime, MoneyInput},
    },
    trading::instruments::Instrument,
};
use crate::wire::{self, Result};
use async_graphql::{Context, Enum, ID, InputObject, Object, OneofObject, SimpleObject};
use domain::{
    Who,
    kernel::{clock, command},
    sandbox::{self, Advance, ClockChange, SetQuote},
};
use entity::partner;

/// A business with API keys.
pub struct Partner(pub partner::Model);

/// A business with API keys.
#[Object]
impl Partner {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// What it is called.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether money and customers are real.
    async fn mode(&self) -> PartnerMode {
        self.0.mode.into()
    }

    /// When its orders are taken.
    async fn market_hours(&self) -> MarketHours {
        self.0.market_hours.into()
    }

    /// The time its customers live by.
    async fn clock(&self) -> PartnerClock {
        PartnerClock { now: clock::now_of(&self.0).into(), is_frozen: self.0.clock_frozen_at.is_some() }
    }
}

impl From<partner::Model> for Partner {
    fn from(row: partner::Model) -> Self {
        Self(row)
    }
}

/// Whether money and customers are real.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::partner::Mode")]
pub enum PartnerMode {
    /// Real.
    Live,
    /// A place to try things.
    Sandbox,
}

/// When orders are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::partner::MarketHours")]
pub enum MarketHours {
    /// In the hours of the New York Stock Exchange.
    Nyse,
    /// At any hour; in a sandbox only.
    AlwaysOpen,
}

/// The time a partner's customers live by.
#[derive(Clone, Debug, SimpleObject)]
pub struct PartnerClock {
    /// What time it is.
    now: DateTime,
    /// Whether it stands still.
    is_frozen: bool,
}

payload!(
    /// Outcome of sandboxClockFreeze.
    SandboxClockFreezePayload {
        /// The partner with its clock, null when refused.
        partner: Partner,
        GeneralUserError
    }
);

payload!(
    /// Outcome of sandboxClockRun.
    SandboxClockRunPayload {
        /// The partner with its clock, null when refused.
        partner: Partner,
        GeneralUserError
    }
);

payload!(
    /// Outcome of sandboxClockAdvance.
    SandboxClockAdvancePayload {
        /// The partner with its clock, null when refused.
        partner: Partner,
        GeneralUserError
    }
);

payload!(
    /// Outcome of sandboxMarketHoursSet.
    SandboxMarketHoursSetPayload {
        /// The partner with its hours, null when refused.
        partner: Partner,
        GeneralUserError
    }
);

payload!(
    /// Outcome of sandboxQuoteSet.
    SandboxQuoteSetPayload {
        /// The instrument with its quote, null when refused.
        instrument: Instrument,
        GeneralUserError
    }
);

/// Input of sandboxClockAdvance; exactly one member.
#[derive(OneofObject)]
pub enum SandboxClockAdvanceInput {
    /// Up to this instant.
    To(DateTime),
    /// By so many seconds.
    Seconds(i64),
}

/// Input of sandboxMarketHoursSet.
#[derive(InputObject)]
pub struct SandboxMarketHoursSetInput {
    /// When orders are taken from now on.
    market_hours: MarketHours,
}

/// A price set by hand.
#[derive(InputObject)]
pub struct QuoteInput {
    /// What a seller gets.
    bid: MoneyInput,
    /// What a buyer pays, not below the bid.
    ask: MoneyInput,
}

/// Input of sandboxQuoteSet.
#[derive(InputObject)]
pub struct SandboxQuoteSetInput {
    /// Ticker, in either case, or an instrument's id.
    symbol: String,
    /// The price from now on; null gives the instrument back to the built-in market.
    quote: Option<QuoteInput>,
}

impl SandboxQuoteSetInput {
    fn parse(self) -> domain::Result<SetQuote> {
        let prices = match self.quote {
            Some(quote) => {
                let (bid, ask) = (
                    quote.bid.amount.amount("quote.bid.amount"),
                    quote.ask.amount.amount("quote.ask.amount"),
                );
                Some(domain::both(bid, ask)?)
            }
            None => None,
        };
        Ok(SetQuote { symbol: self.symbol, prices })
    }
}

#[derive(Default)]
pub struct SandboxQuery;

#[Object]
impl SandboxQuery {
    /// The calling partner; null for nobody and for a publishable key.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Option<Partner>> {
        match &ctx.actor().who {
            Who::Partner(key) if !key.is_publishable() => {
                Ok(Some(Partner(clock::partner(&*ctx.loaders().connection().await?, key.partner_id).await?)))
            }
            Who::Partner(_) | Who::User(_) | Who::Nobody => Ok(None),
        }
    }
}

#[derive(Default)]
pub struct SandboxMutation;

#[Object]
impl SandboxMutation {
    /// Stop the sandbox's clock where it is; scope `operate`.
    async fn sandbox_clock_freeze(&self, ctx: &Context<'_>) -> Result<Option<SandboxClockFreezePayload>> {
        let partner =
            wire::outcome(sandbox::change_clock(ctx.app(), ctx.actor(), ClockChange::Freeze).await)?;
        Ok(Some(partner.into()))
    }

    /// Let the sandbox's clock run on from where it is; scope `operate`.
    async fn sandbox_clock_run(&self, ctx: &Context<'_>) -> Result<Option<SandboxClockRunPayload>> {
        let partner = wire::outcome(sandbox::change_clock(ctx.app(), ctx.actor(), ClockChange::Run).await)?;
        Ok(Some(partner.into()))
    }

    /// Move the sandbox's clock forward; what is due on the way has happened when this returns; scope
    /// `operate`.
    async fn sandbox_clock_advance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for sandboxClockAdvance.")] input: SandboxClockAdvanceInput,
    ) -> Result<Option<SandboxClockAdvancePayload>> {
        let advance = match input {
            SandboxClockAdvanceInput::To(DateTime(to)) => Advance::To(to),
            SandboxClockAdvanceInput::Seconds(seconds) => Advance::BySeconds(seconds),
        };
        let partner = wire::outcome(sandbox::advance_clock(ctx.app(), ctx.actor(), advance).await)?;
        Ok(Some(partner.into()))
    }

    /// Choose when the sandbox takes orders; scope `operate`.
    async fn sandbox_market_hours_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for sandboxMarketHoursSet.")] input: SandboxMarketHoursSetInput,
    ) -> Result<Option<SandboxMarketHoursSetPayload>> {
        let hours = input.market_hours.into();
        let partner = wire::outcome(sandbox::set_market_hours(ctx.app(), ctx.actor(), hours).await)?;
        Ok(Some(partner.into()))
    }

    /// Set the price of an instrument for this sandbox; scope `operate`.
    async fn sandbox_quote_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for sandboxQuoteSet.")] input: SandboxQuoteSetInput,
    ) -> Result<Option<SandboxQuoteSetPayload>> {
        let set = match input.parse() {
            Ok(set) => sandbox::set_quote(ctx.app(), ctx.actor(), set).await,
            Err(error) => Err(command::unreadable::<SetQuote>(ctx.actor(), error)),
        };
        Ok(Some(wire::outcome(set)?.into()))
    }
}
