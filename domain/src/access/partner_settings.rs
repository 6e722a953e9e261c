//! Changing the settings of a partner.

use crate::{
    Checks, Refusal, Result, Scope,
    kernel::{
        actor::Actor,
        clock,
        command::{Command, CommandContext},
        events::{self, Event},
        partner_settings::{PartnerSettings, SettingsChange, SettingsPatch, changes, with_change},
    },
};
use chrono::{DateTime, Duration, Utc};
use entity::{Money, Rate, event, partner};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait};
use serde::Serialize;

/// Changes settings of the caller's partner.
#[derive(Clone, Debug, Serialize)]
pub struct UpdatePartnerSettings {
    pub patch: SettingsPatch,
    /// Now if absent.
    pub effective_from: Option<DateTime<Utc>>,
}

/// How far ahead a change can be scheduled: ten years.
const MAX_DAYS_AHEAD: i64 = 3653;

/// Maximum number of dates on which changes come into force later.
const MAX_SCHEDULED: usize = 20;

/// Changes settings of the caller's partner from an effective date on, now or later by the partner's clock. A
/// new buffer or limit does not affect existing orders and deposits; the fill mode and the participation cap
/// apply to open orders as well. A change of the same setting from the same date replaces the earlier one.
/// Requires scope `operate`.
///
/// # Errors
/// `REQUIRED` if no setting is changed, `INVALID` for a value out of range, an effective date in the past or
/// more than ten years ahead, or more than 20 later dates with changes.
impl Command for UpdatePartnerSettings {
    const NAME: &'static str = "partner.settings.update";
    const SCOPE: Scope = Scope::Operate;
    type Output = partner::Model;

    fn check(&self, _: entity::partner::Mode) -> Result<()> {
        if self.patch.is_empty() {
            return Err(Refusal::required("patch").into());
        }
        let mut checks = Checks::default();
        if let Some(buffer) = self.patch.market_buy_buffer
            && !(entity::Percent::ZERO..=PartnerSettings::MAX_BUFFER).contains(&buffer)
        {
            let text = format!("must be from 0 to {}", PartnerSettings::MAX_BUFFER);
            checks.note::<()>(Err(Refusal::invalid("patch.marketBuyBuffer", text).into()));
        }
        let Self { patch, .. } = self;
        let (one, all) = (PartnerSettings::MAX_DEPOSIT, PartnerSettings::MAX_DAILY);
        for (field, limit, least, most) in [
            ("patch.depositLimit", patch.deposit_limit, 1, one),
            ("patch.dailyDepositLimit", patch.daily_deposit_limit, 1, all),
            ("patch.instantLimit", patch.instant_limit, 0, all),
            ("patch.accountInstantLimit", patch.account_instant_limit, 0, all),
            ("patch.withdrawalLimit", patch.withdrawal_limit, 1, PartnerSettings::MAX_WITHDRAWAL),
            ("patch.dailyWithdrawalLimit", patch.daily_withdrawal_limit, 1, all),
        ] {
            let Some(limit) = limit else { continue };
            if !(Money::from_units(least)..=most).contains(&limit) {
                let least = if least == 0 { "must be zero or above" } else { "must be above zero" };
                let text = format!("{least} and at most {most}");
                checks.note::<()>(Err(Refusal::invalid(field, text).into()));
            }
        }
        if let Some(days) = self.patch.deposit_hold_days
            && !(0..=PartnerSettings::MAX_DEPOSIT_HOLD_DAYS).contains(&days)
        {
            let text = format!("must be from 0 to {}", PartnerSettings::MAX_DEPOSIT_HOLD_DAYS);
            checks.note::<()>(Err(Refusal::invalid("patch.depositHoldDays", text).into()));
        }
        if let Some(cap) = self.patch.participation_cap
            && !(entity::Percent::from_units(1)..=entity::Percent::from_units(10_000)).contains(&cap)
        {
            let text = "must be above 0 and at most 100";
            checks.note::<()>(Err(Refusal::invalid("patch.participationCap", text).into()));
        }
        if let Some(fee) = self.patch.sec_fee
            && !(Rate::ZERO..=PartnerSettings::MAX_SEC_FEE).contains(&fee)
        {
            let text = format!("must be from 0 to {}", PartnerSettings::MAX_SEC_FEE);
            checks.note::<()>(Err(Refusal::invalid("patch.secFeePerMillion", text).into()));
        }
        if let Some(fee) = self.patch.trading_activity_fee {
            if !(Rate::ZERO..=PartnerSettings::MAX_PER_SHARE).contains(&fee.per_share) {
                let text = format!("must be from 0 to {}", PartnerSettings::MAX_PER_SHARE);
                checks.note::<()>(Err(Refusal::invalid("patch.tradingActivityFee.perShare", text).into()));
            }
            if !(Money::ZERO..=PartnerSettings::MAX_ACTIVITY_FEE).contains(&fee.maximum) {
                let text = format!("must be from 0 to {}", PartnerSettings::MAX_ACTIVITY_FEE);
                checks.note::<()>(Err(Refusal::invalid("patch.tradingActivityFee.maximum", text).into()));
            }
        }
        for (field, rate) in [
            ("patch.shortTermTaxRate", self.patch.short_term_tax_rate),
            ("patch.longTermTaxRate", self.patch.long_term_tax_rate),
        ] {
            let range = entity::Percent::ZERO..=entity::Percent::from_units(10_000);
            if rate.flatten().is_some_and(|rate| !range.contains(&rate)) {
                checks.note::<()>(Err(Refusal::invalid(field, "must be from 0 to 100").into()));
            }
        }
        checks.done()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<partner::Model> {
        let partner = clock::locked(ctx.tx, ctx.partner.id).await?;
        let effective_from = self.effective_from.unwrap_or(ctx.now);
        if effective_from < ctx.now {
            return Err(Refusal::invalid("effectiveFrom", "must not be in the past").into());
        }
        if effective_from > ctx.now + Duration::days(MAX_DAYS_AHEAD) {
            return Err(Refusal::invalid("effectiveFrom", "must be within ten years").into());
        }
        let others = |change: &&SettingsChange| {
            change.effective_from > ctx.now && change.effective_from != effective_from
        };
        let scheduled = changes(&partner)?.iter().filter(others).count();
        if effective_from > ctx.now && scheduled >= MAX_SCHEDULED {
            let text = format!("must not be later than now while {MAX_SCHEDULED} changes are scheduled");
            return Err(Refusal::invalid("effectiveFrom", text).into());
        }
        let change = SettingsChange { effective_from, patch: self.patch };
        let settings = with_change(&partner, change, ctx.now)?;
        let mut row: partner::ActiveModel = partner.into();
        row.settings = Set(settings);
        let partner = row.update(ctx.tx).await?;
        ctx.record(Event::PartnerSettingsChanged(change)).await?;
        Ok(partner)
    }
}

/// A change of settings: when it was made, and what it changed.
#[derive(Clone, Debug)]
pub struct Change {
    pub event: event::Model,
    pub change: SettingsChange,
}

/// Returns the newest changes of the partner's settings, at most 100. Requires scope `operate`.
pub async fn history(connection: &impl ConnectionTrait, actor: &Actor) -> Result<Vec<Change>> {
    let partner_id = actor.caller(Scope::Operate)?.access_scope.partner_id;
    let rows = events::newest_of_type(connection, partner_id, events::EventType::PartnerSettingsChanged, 100);
    let read = |event: event::Model| match Event::of(&event)? {
        Event::PartnerSettingsChanged(change) => Ok(Change { event, change }),
        _ => Err(events::unreadable(&event)),
    };
    rows.await?.into_iter().map(read).collect()
}
