//! GraphQL types and operations for partners and sandbox controls.

use super::{
    access::partner_settings::{PartnerSettings, PartnerSettingsChange},
    core::{
        breadth::{Fetch, fetch},
        context::RequestContext,
        ids::IdOf,
        mutations::payload,
        scalars::{DateTime, MoneyInput},
    },
    funding::{
        return_rates::ReturnRates,
        transfers::{ReturnCode, Transfer},
    },
    trading::instruments::Instrument,
};
use crate::wire::{self, Result};
use async_graphql::{Context, Enum, ID, InputObject, Object, OneofObject, SimpleObject};
use domain::{
    Scope, Who,
    access::partner_settings,
    funding::return_rates,
    kernel::{clock, command},
    sandbox::{self, Advance, ClockChange, SetQuote, transfers::ReturnTransfer},
};
use entity::partner;
use macros::{Fields, Leaf, breadth, mutations};

/// Business that uses the API for its users.
#[derive(Clone)]
pub struct Partner(pub partner::Model);

/// Business that uses the API for its users.
#[breadth]
impl Partner {
    /// Opaque identifier.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Name of the partner.
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether the partner is live or a sandbox.
    fn mode(&self) -> PartnerMode {
        self.0.mode.into()
    }

    /// Hours in which the partner's orders are accepted.
    fn market_hours(&self) -> MarketHours {
        self.0.market_hours.into()
    }

    /// Settings that are in force now, by the partner's clock.
    fn settings(&self) -> Result<PartnerSettings> {
        PartnerSettings::of(&self.0)
    }

    /// Changes of the settings, newest first, at most 100. Null without scope `operate`.
    fn settings_changes(&self) -> Fetch<Option<Vec<PartnerSettingsChange>>> {
        fetch(|view| {
            Box::pin(async move {
                if view.actor().partner(Scope::Operate).is_err() {
                    return Ok(None);
                }
                let connection = view.loaders().connection().await?;
                let changes = partner_settings::history(&*connection, view.actor()).await?;
                Ok(Some(changes.into_iter().map(PartnerSettingsChange::from).collect()))
            })
        })
    }

    /// How many of the ACH debits of the last 60 days banks have returned. Null without scope `operate`.
    fn return_rates(&self) -> Fetch<Option<ReturnRates>> {
        let now = clock::now_of(&self.0);
        fetch(move |view| {
            Box::pin(async move {
                if view.actor().partner(Scope::Operate).is_err() {
                    return Ok(None);
                }
                let connection = view.loaders().connection().await?;
                let rates = return_rates::read(&*connection, view.actor(), now).await?;
                Ok(Some(rates.into()))
            })
        })
    }

    /// Clock that applies to the partner and its users.
    fn clock(&self) -> PartnerClock {
        PartnerClock { now: clock::now_of(&self.0).into(), is_frozen: self.0.clock_frozen_at.is_some() }
    }
}

/// Whether the partner is live or a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::partner::Mode")]
pub enum PartnerMode {
    /// Real money and real users.
    Live,
    /// Test environment without real money or real users.
    Sandbox,
}

/// Hours in which orders are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::partner::MarketHours")]
pub enum MarketHours {
    /// Trading hours of the New York Stock Exchange.
    Nyse,
    /// At any time. Only available in a sandbox.
    AlwaysOpen,
}

/// Clock of a partner. A sandbox can freeze it and move it forward.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct PartnerClock {
    /// Current time on this clock.
    now: DateTime,
    /// Whether the clock is frozen.
    is_frozen: bool,
}

payload!(
    /// Result of sandboxClockFreeze.
    SandboxClockFreezePayload {
        /// The partner with its clock. Null if the request was refused.
        partner: Partner
    }
);

payload!(
    /// Result of sandboxClockRun.
    SandboxClockRunPayload {
        /// The partner with its clock. Null if the request was refused.
        partner: Partner
    }
);

payload!(
    /// Result of sandboxClockAdvance.
    SandboxClockAdvancePayload {
        /// The partner with its clock. Null if the request was refused.
        partner: Partner
    }
);

payload!(
    /// Result of sandboxMarketHoursSet.
    SandboxMarketHoursSetPayload {
        /// The partner with its market hours. Null if the request was refused.
        partner: Partner
    }
);

#[mutations]
impl SandboxTransferMutation {
    /// Returns a transfer with a return code now, as its bank would, and applies what follows from the code. A deposit,
    /// or a withdrawal from cash, that waits to be sent is sent first; a transfer that was returned with the same code
    /// is not changed. Only available in a sandbox. Requires scope `operate`.
    #[answers(transfer: Transfer = "The returned transfer. Null if the request was refused.")]
    fn sandbox_transfer_return(
        transfer_id: IdOf<Transfer>,
        /// Return code, possible for the direction of the transfer.
        code: ReturnCode,
    ) -> domain::Result<ReturnTransfer> {
        Ok(ReturnTransfer { transfer_id: transfer_id.into(), code: code.into() })
    }
}

payload!(
    /// Result of sandboxQuoteSet.
    SandboxQuoteSetPayload {
        /// The instrument with its quote. Null if the request was refused.
        instrument: Instrument
    }
);

/// Input for sandboxClockAdvance; set exactly one field.
#[derive(OneofObject)]
pub enum SandboxClockAdvanceInput {
    /// Time to move the clock to, at most ten years ahead.
    To(DateTime),
    /// Number of seconds to move the clock by, at most ten years.
    Seconds(i64),
}

/// Input for sandboxMarketHoursSet.
#[derive(InputObject)]
pub struct SandboxMarketHoursSetInput {
    /// New hours in which orders are accepted.
    market_hours: MarketHours,
}

/// Fixed quote for an instrument.
#[derive(InputObject)]
pub struct QuoteInput {
    /// Bid: the price at which users sell.
    bid: MoneyInput,
    /// Ask: the price at which users buy; not below the bid.
    ask: MoneyInput,
}

/// Input for sandboxQuoteSet.
#[derive(InputObject)]
pub struct SandboxQuoteSetInput {
    /// Ticker symbol (case-insensitive) or instrument id.
    symbol: String,
    /// New quote; null restores the simulated market's quote.
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

#[breadth]
impl SandboxQuery {
    /// Returns the partner of the calling API key, or null for a publishable key, a signed-in user and
    /// without credentials.
    fn partner(&self) -> Fetch<Option<Partner>> {
        fetch(|view| {
            Box::pin(async move {
                match &view.actor().who {
                    Who::Partner(key) if !key.is_publishable() => {
                        let connection = view.loaders().connection().await?;
                        Ok(Some(Partner(clock::partner(&*connection, key.partner_id).await?)))
                    }
                    Who::Partner(_) | Who::User(_) | Who::Anonymous => Ok(None),
                }
            })
        })
    }
}

#[derive(Default)]
pub struct SandboxMutation;

#[Object]
impl SandboxMutation {
    /// Freezes the sandbox clock at its current time. Requires scope `operate`.
    async fn sandbox_clock_freeze(&self, ctx: &Context<'_>) -> Result<Option<SandboxClockFreezePayload>> {
        let partner =
            wire::outcome(sandbox::change_clock(ctx.app(), ctx.actor(), ClockChange::Freeze).await)?;
        Ok(Some(partner.into()))
    }

    /// Lets the sandbox clock run from its current time. Requires scope `operate`.
    async fn sandbox_clock_run(&self, ctx: &Context<'_>) -> Result<Option<SandboxClockRunPayload>> {
        let partner = wire::outcome(sandbox::change_clock(ctx.app(), ctx.actor(), ClockChange::Run).await)?;
        Ok(Some(partner.into()))
    }

    /// Moves the sandbox clock forward and completes everything that is due until then, such as fills and
    /// settlements. Requires scope `operate`.
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

    /// Sets the hours in which the sandbox accepts orders. Requires scope `operate`.
    async fn sandbox_market_hours_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for sandboxMarketHoursSet.")] input: SandboxMarketHoursSetInput,
    ) -> Result<Option<SandboxMarketHoursSetPayload>> {
        let hours = input.market_hours.into();
        let partner = wire::outcome(sandbox::set_market_hours(ctx.app(), ctx.actor(), hours).await)?;
        Ok(Some(partner.into()))
    }

    /// Sets or removes a fixed quote for an instrument in this sandbox. Requires scope `operate`.
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
