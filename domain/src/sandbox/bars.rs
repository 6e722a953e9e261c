//! Storing bars of an instrument one by one.

use super::{before_price_change, sandbox_only};
use crate::{
    Actor, Checks, Refusal, Result, Scope,
    kernel::{
        app::App,
        clock,
        command::{self, Command, CommandContext},
        events::Event,
    },
    trading::{
        bars::{self, Bar},
        instruments, market, quotes,
    },
};
use entity::{bar, instrument, partner::Mode};
use serde::Serialize;
use std::sync::Arc;

/// Adds a bar of an instrument.
#[derive(Clone, Debug, Serialize)]
pub struct PushBar {
    /// Symbol, in upper or lower case, or id of the instrument.
    pub symbol: String,
    pub bar: Bar,
}

/// Adds a bar of an instrument for this partner. Sandbox only. Requires scope `operate`.
///
/// From the first stored bar on, stored bars replace those of the simulated market. The bar must begin after the
/// latest one that is stored. Orders that were due before trade at the previous price.
pub async fn push_bar(app: &App, actor: &Actor, push: PushBar) -> Result<instrument::Model> {
    let caller = actor.partner(Scope::Operate)?;
    push.check(caller.mode)?;
    before_price_change(app, caller.partner_id).await?;
    let instrument = command::execute(app, actor, None, push).await?.value;
    quotes::wake(app, caller.partner_id);
    Ok(instrument)
}

impl Command for PushBar {
    const NAME: &'static str = "sandbox.bar.push";
    const SCOPE: Scope = Scope::Operate;
    type Output = instrument::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        sandbox_only(mode)?;
        let mut checks = Checks::default();
        if self.symbol.trim().is_empty() {
            checks.note::<()>(Err(Refusal::required("symbol").into()));
        }
        for (field, what) in self.bar.faults("startsAt") {
            let field =
                if ["startsAt", "volume"].contains(&field) { field } else { &format!("{field}.amount") };
            checks.note::<()>(Err(Refusal::invalid(field, what).into()));
        }
        checks.done()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<instrument::Model> {
        let instrument = instruments::named(ctx.app, Some(ctx.partner.id), &self.symbol)
            .await?
            .ok_or_else(|| Refusal::not_found("symbol"))?;
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let bar = self.bar;
        let latest = bars::latest_stored(ctx.tx, ctx.partner, &instrument).await?;
        if latest.is_some_and(|latest| bar.starts_at <= latest) {
            return Err(Refusal::invalid("startsAt", "must be after the latest bar of the symbol").into());
        }
        let Bar { starts_at, open, high, low, close, volume } = bar;
        let (partner_id, instrument_id) = (ctx.partner.id, instrument.id);
        ctx.tx
            .insert(&bar::Model { partner_id, instrument_id, starts_at, open, high, low, close, volume })
            .await;
        let symbol = instruments::shown(ctx.app, Some(ctx.partner.id), &instrument).await?.symbol.clone();
        ctx.record(Event::SandboxBarPushed { symbol, starts_at, open, high, low, close, volume }).await?;
        market::changed(ctx, &instrument, market::Change::Bar(bar)).await?;
        Ok(Arc::unwrap_or_clone(instrument))
    }
}
