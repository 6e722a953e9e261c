//! Sandbox controls: freezing and advancing the clock, setting prices and market hours, reading the outbox.

pub mod bars;
pub mod demo;
pub mod transfers;

use crate::{
    Actor, Checks, Code, Error, Refusal, Result, Scope, Visible,
    delivery::messages::{self, OutboxFilter},
    kernel::{
        app::App,
        calendar, clock,
        command::{self, Command, CommandContext},
        events::Event,
        lists::Filter,
        scheduler,
    },
    trading::{bars::MAX_PRICE, instruments, market, matching, quotes},
};
use chrono::{DateTime, Datelike, Duration, Utc};
use entity::{
    Price, instrument, message,
    partner::{self, MarketHours, Mode},
    quote_override,
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, sea_query::OnConflict};
use serde::Serialize;
use std::sync::Arc;
use uuid::Uuid;

fn sandbox_only(mode: Mode) -> Result<()> {
    match mode {
        Mode::Sandbox => Ok(()),
        Mode::Live => Err(Refusal::new(Code::SandboxOnly, "", "Only available in a sandbox.").into()),
    }
}

/// Stops or starts a sandbox's clock.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum ClockChange {
    /// Stops the clock at its current time.
    Freeze,
    /// Starts the clock again from its current time.
    Run,
}

/// Freezes the partner's clock or starts it again. Sandbox only; repeating it changes nothing. Requires scope
/// `operate`.
pub async fn change_clock(app: &App, actor: &Actor, change: ClockChange) -> Result<partner::Model> {
    Ok(command::execute(app, actor, None, change).await?.value)
}

impl Command for ClockChange {
    const NAME: &'static str = "sandbox.clock.change";
    const SCOPE: Scope = Scope::Operate;
    type Output = partner::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        sandbox_only(mode)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<partner::Model> {
        let partner = clock::locked(ctx.tx, ctx.partner.id).await?;
        let now = clock::now_of(&partner);
        let mut row: partner::ActiveModel = partner.into();
        match self {
            Self::Freeze => row.clock_frozen_at = Set(Some(now)),
            Self::Run => {
                row.clock_offset = Set(scheduler::microseconds(now - clock::system_now())?);
                row.clock_frozen_at = Set(None);
            }
        }
        let partner = row.update(ctx.tx).await?;
        ctx.record(clock_changed(&partner)).await?;
        Ok(partner)
    }
}

fn clock_changed(partner: &partner::Model) -> Event {
    Event::SandboxClockChanged { frozen: partner.clock_frozen_at.is_some(), at: clock::now_of(partner) }
}

/// Target of a clock advance: a time, or a number of seconds from now.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Advance {
    To(DateTime<Utc>),
    BySeconds(i64),
}

/// Records that the clock was advanced.
#[derive(Serialize)]
struct RecordClockAdvance {
    to: DateTime<Utc>,
}

/// Last year that a clock may show, because years are written with four digits.
const LAST_YEAR: i32 = 9998;

/// Maximum length of one advance.
const MAX_CLOCK_LEAP: Duration = Duration::days(3660);

/// Moves the partner's clock forward, at most ten years at once. Sandbox only. Requires scope `operate`.
///
/// Everything that is due on the way happens at its own time before this returns.
pub async fn advance_clock(app: &App, actor: &Actor, advance: Advance) -> Result<partner::Model> {
    let caller = actor.partner(Scope::Operate)?;
    sandbox_only(caller.mode)?;
    let now = clock::now_of(&clock::partner(&app.db.read, caller.partner_id).await?);
    let to = match advance {
        Advance::To(to) if to < now => {
            return Err(Refusal::invalid("to", "must not be before the sandbox's current time").into());
        }
        Advance::To(to) => to,
        Advance::BySeconds(seconds) if seconds <= 0 => {
            return Err(Refusal::invalid("seconds", "must be above zero").into());
        }
        Advance::BySeconds(seconds) => Duration::try_seconds(seconds)
            .and_then(|span| now.checked_add_signed(span))
            .ok_or_else(|| Refusal::invalid("seconds", "must be at most ten years ahead"))?,
    };
    if to - now > MAX_CLOCK_LEAP || to.year() > LAST_YEAR {
        let field = if matches!(advance, Advance::To(_)) { "to" } else { "seconds" };
        return Err(
            Refusal::invalid(field, "must be at most ten years ahead and not after the year 9998").into()
        );
    }
    let (app_, partner_id) = (app.clone(), caller.partner_id);
    let work = tokio::spawn(async move { scheduler::advance(&app_, partner_id, to).await });
    work.await.map_err(|_| Error::broken("a clock advance failed"))??;
    let partner = command::execute(app, actor, None, RecordClockAdvance { to }).await?.value;
    quotes::wake(app, partner.id);
    Ok(partner)
}

impl Command for RecordClockAdvance {
    const NAME: &'static str = "sandbox.clock.advance";
    const SCOPE: Scope = Scope::Operate;
    type Output = partner::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        sandbox_only(mode)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<partner::Model> {
        let partner = clock::locked(ctx.tx, ctx.partner.id).await?;
        ctx.record(clock_changed(&partner)).await?;
        Ok(partner)
    }
}

/// Sets the bid and ask of an instrument; `None` returns it to the market's own price.
#[derive(Clone, Debug, Serialize)]
pub struct SetQuote {
    pub symbol: String,
    pub prices: Option<(Price, Price)>,
}

/// Sets the bid and ask of an instrument for this partner until they are set again or cleared. Sandbox only.
/// Requires scope `operate`. Both prices must be above zero, and the ask must not be below the bid.
///
/// Orders that were due before the change trade at the previous price.
pub async fn set_quote(app: &App, actor: &Actor, set: SetQuote) -> Result<instrument::Model> {
    let caller = actor.partner(Scope::Operate)?;
    set.check(caller.mode)?;
    before_price_change(app, caller.partner_id).await?;
    let instrument = command::execute(app, actor, None, set).await?.value;
    quotes::wake(app, caller.partner_id);
    Ok(instrument)
}

/// Runs everything that is due, so that it happens at the previous price.
async fn before_price_change(app: &App, partner_id: Uuid) -> Result<()> {
    while scheduler::run_due_for(app, partner_id).await? {}
    scheduler::require_nothing_due(app, partner_id).await
}

impl Command for SetQuote {
    const NAME: &'static str = "sandbox.quote.set";
    const SCOPE: Scope = Scope::Operate;
    type Output = instrument::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        sandbox_only(mode)?;
        let Some((bid, ask)) = self.prices else { return Ok(()) };
        let mut checks = Checks::default();
        for (field, price) in [("quote.bid.amount", bid), ("quote.ask.amount", ask)] {
            if !price.is_positive() || price > MAX_PRICE {
                checks.note::<()>(Err(
                    Refusal::invalid(field, "must be above zero and at most 1000000").into()
                ));
            }
        }
        checks.done()?;
        if ask < bid {
            Err(Refusal::invalid("quote.ask.amount", "must not be below the bid").into())
        } else {
            Ok(())
        }
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<instrument::Model> {
        let instrument = instruments::named(ctx.app, Some(ctx.partner.id), &self.symbol)
            .await?
            .ok_or_else(|| Refusal::not_found("symbol"))?;
        clock::locked(ctx.tx, ctx.partner.id).await?;
        match self.prices {
            Some(prices) => replace_quote(ctx, instrument.id, prices).await?,
            None => {
                quote_override::Entity::delete_by_id((ctx.partner.id, instrument.id)).exec(ctx.tx).await?;
            }
        }
        let (bid, ask) = self.prices.unzip();
        let symbol = instruments::shown(ctx.app, Some(ctx.partner.id), &instrument).await?.symbol.clone();
        ctx.record(Event::SandboxQuoteSet { symbol, bid, ask }).await?;
        let quote = market::quote(ctx.app, ctx.tx, ctx.partner, &instrument, ctx.now).await?;
        market::changed(ctx, &instrument, market::Change::Quote(quote)).await?;
        Ok(Arc::unwrap_or_clone(instrument))
    }
}

/// Stores a price, and keeps the one that was set at the last close.
async fn replace_quote(
    ctx: &CommandContext<'_>,
    instrument_id: Uuid,
    (bid, ask): (Price, Price),
) -> Result<()> {
    use quote_override::Column;
    let former = quote_override::Entity::find_by_id((ctx.partner.id, instrument_id)).one(ctx.tx).await?;
    let closed_at = calendar::previous_close(ctx.today());
    let former = former.and_then(|former| {
        let of_before = former.former_bid.zip(former.former_ask).zip(former.former_set_at);
        if former.set_at <= closed_at { Some(((former.bid, former.ask), former.set_at)) } else { of_before }
    });
    let row = quote_override::Model {
        partner_id: ctx.partner.id,
        instrument_id,
        bid,
        ask,
        set_at: ctx.now,
        former_bid: former.map(|((bid, _), _)| bid),
        former_ask: former.map(|((_, ask), _)| ask),
        former_set_at: former.map(|(_, set_at)| set_at),
    };
    let key = [Column::PartnerId, Column::InstrumentId];
    let changed =
        [Column::Bid, Column::Ask, Column::SetAt, Column::FormerBid, Column::FormerAsk, Column::FormerSetAt];
    quote_override::Entity::insert(quote_override::ActiveModel::from(row).reset_all())
        .on_conflict(OnConflict::columns(key).update_columns(changed).to_owned())
        .exec_without_returning(ctx.tx)
        .await?;
    Ok(())
}

#[derive(Serialize)]
struct SetMarketHours {
    hours: MarketHours,
}

/// Sets the market hours of this partner. Sandbox only. Requires scope `operate`.
pub async fn set_market_hours(app: &App, actor: &Actor, hours: MarketHours) -> Result<partner::Model> {
    Ok(command::execute(app, actor, None, SetMarketHours { hours }).await?.value)
}

impl Command for SetMarketHours {
    const NAME: &'static str = "sandbox.market_hours.set";
    const SCOPE: Scope = Scope::Operate;
    type Output = partner::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        sandbox_only(mode)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<partner::Model> {
        let mut row: partner::ActiveModel = clock::locked(ctx.tx, ctx.partner.id).await?.into();
        row.market_hours = Set(self.hours);
        let partner = row.update(ctx.tx).await?;
        matching::hours_changed(ctx).await?;
        ctx.record(Event::SandboxMarketHoursSet { market_hours: partner.market_hours }).await?;
        Ok(partner)
    }
}

/// Returns the conditions on the e-mail and text messages that this sandbox would have sent. Sandbox only.
/// Requires scope `operate`.
pub fn outbox(app: &App, actor: &Actor, filter: &OutboxFilter) -> Result<Vec<Filter>> {
    let caller = message::Entity::reader(actor)?;
    sandbox_only(caller.mode)?;
    Ok(messages::outbox_conditions(app, caller.access_scope.partner_id, filter))
}
