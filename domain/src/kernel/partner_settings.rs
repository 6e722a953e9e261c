//! Settings of a partner. Each change has an effective date; values that were never changed have their
//! defaults.

use super::clock;
use crate::{Error, Result};
use chrono::{DateTime, Utc};
use entity::{Money, Percent, Rate, partner};
use serde::{Deserialize, Deserializer, Serialize};

/// Settings of a partner at one point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartnerSettings {
    /// Cash that a market order to buy holds above its price.
    pub market_buy_buffer: Percent,
    /// Largest amount of one deposit.
    pub deposit_limit: Money,
    /// Largest sum of the deposits into one account on one day in New York.
    pub daily_deposit_limit: Money,
    /// Largest sum of deposits of all accounts that may be spent before they have settled.
    pub instant_limit: Money,
    /// The same for one account.
    pub account_instant_limit: Money,
    /// Largest amount of one withdrawal.
    pub withdrawal_limit: Money,
    /// Largest sum of the withdrawals from one account on one day in New York.
    pub daily_withdrawal_limit: Money,
    /// Days after its settlement for which money of a deposit can leave only to the bank account that it came from.
    pub deposit_hold_days: i32,
    /// Prices from which the paper venue fills orders.
    pub fill_mode: FillMode,
    /// Part of a bar's volume that one order may take.
    pub participation_cap: Percent,
    /// Fee of the SEC for sales, for each million dollars of their price.
    pub sec_fee: Rate,
    /// Trading activity fee of FINRA for sales.
    pub trading_activity_fee: TradingActivityFee,
    /// Rate at which previews estimate the tax on short-term gains.
    pub short_term_tax_rate: Option<Percent>,
    /// Rate at which previews estimate the tax on long-term gains.
    pub long_term_tax_rate: Option<Percent>,
}

/// Trading activity fee of FINRA for the sale of shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradingActivityFee {
    /// Fee for each share.
    pub per_share: Rate,
    /// Maximum of one trade.
    pub maximum: Money,
}

/// Prices from which the paper venue fills orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FillMode {
    /// Quotes; for instruments with stored bars, bars.
    Quotes,
    /// One-minute bars.
    Bars,
}

impl PartnerSettings {
    /// Largest possible amount of a deposit: the amount field of an ACH entry has ten digits, in cents.
    pub const MAX_DEPOSIT: Money = Money::from_units(9_999_999_999);
    /// Largest possible amount of a withdrawal, for the same reason.
    pub const MAX_WITHDRAWAL: Money = Self::MAX_DEPOSIT;
    /// Largest possible sum of a day, and of what may be spent before it has settled. As the limit of a day, it
    /// limits nothing.
    pub const MAX_DAILY: Money = Money::from_units(99_999_999_999_999);
    /// Largest possible buffer of a market order to buy.
    pub const MAX_BUFFER: Percent = Percent::from_units(2_000);
    /// Settings of a new partner.
    pub const DEFAULT: Self = Self {
        market_buy_buffer: Percent::from_units(300),
        deposit_limit: Self::MAX_DEPOSIT,
        daily_deposit_limit: Self::MAX_DAILY,
        instant_limit: Money::ZERO,
        account_instant_limit: Money::ZERO,
        withdrawal_limit: Self::MAX_WITHDRAWAL,
        daily_withdrawal_limit: Self::MAX_DAILY,
        deposit_hold_days: 0,
        fill_mode: FillMode::Quotes,
        participation_cap: Percent::from_units(1_000),
        sec_fee: Rate::ZERO,
        trading_activity_fee: TradingActivityFee { per_share: Rate::ZERO, maximum: Money::ZERO },
        short_term_tax_rate: None,
        long_term_tax_rate: None,
    };
    /// Longest possible time for which money of a deposit can leave only to the bank account that it came from.
    pub const MAX_DEPOSIT_HOLD_DAYS: i32 = 90;
    /// Largest possible fee of the SEC: a hundredth of the price.
    pub const MAX_SEC_FEE: Rate = Rate::from_units(10_000 * 1_000_000);
    /// Largest possible trading activity fee for each share: one dollar.
    pub const MAX_PER_SHARE: Rate = Rate::from_units(1_000_000);
    /// Largest possible maximum of the trading activity fee of one trade: a thousand dollars.
    pub const MAX_ACTIVITY_FEE: Money = Money::from_units(100_000);

    /// Returns the settings of a partner that are in force at a time, now or later. What was in force earlier
    /// is only in the event log.
    pub fn at(partner: &partner::Model, time: DateTime<Utc>) -> Result<Self> {
        let mut settings = Self::DEFAULT;
        for change in changes(partner)?.iter().filter(|change| change.effective_from <= time) {
            change.patch.apply(&mut settings);
        }
        Ok(settings)
    }

    /// Returns the settings of a partner that are in force by its clock.
    pub fn of(partner: &partner::Model) -> Result<Self> {
        Self::at(partner, clock::now_of(partner))
    }
}

/// New values of settings; the others stay unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsPatch {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market_buy_buffer: Option<Percent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposit_limit: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_deposit_limit: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instant_limit: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_instant_limit: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal_limit: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_withdrawal_limit: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposit_hold_days: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill_mode: Option<FillMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participation_cap: Option<Percent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sec_fee: Option<Rate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trading_activity_fee: Option<TradingActivityFee>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub short_term_tax_rate: Option<Option<Percent>>,
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub long_term_tax_rate: Option<Option<Percent>>,
}

/// Reads a value that is present; null removes a setting.
#[expect(clippy::option_option, reason = "left out, null and a value mean different things")]
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Percent>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl SettingsPatch {
    /// Whether no setting is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the values of this patch and, where it has none, those of an earlier one.
    fn over(self, earlier: Self) -> Self {
        Self {
            market_buy_buffer: self.market_buy_buffer.or(earlier.market_buy_buffer),
            deposit_limit: self.deposit_limit.or(earlier.deposit_limit),
            daily_deposit_limit: self.daily_deposit_limit.or(earlier.daily_deposit_limit),
            instant_limit: self.instant_limit.or(earlier.instant_limit),
            account_instant_limit: self.account_instant_limit.or(earlier.account_instant_limit),
            withdrawal_limit: self.withdrawal_limit.or(earlier.withdrawal_limit),
            daily_withdrawal_limit: self.daily_withdrawal_limit.or(earlier.daily_withdrawal_limit),
            deposit_hold_days: self.deposit_hold_days.or(earlier.deposit_hold_days),
            fill_mode: self.fill_mode.or(earlier.fill_mode),
            participation_cap: self.participation_cap.or(earlier.participation_cap),
            sec_fee: self.sec_fee.or(earlier.sec_fee),
            trading_activity_fee: self.trading_activity_fee.or(earlier.trading_activity_fee),
            short_term_tax_rate: self.short_term_tax_rate.or(earlier.short_term_tax_rate),
            long_term_tax_rate: self.long_term_tax_rate.or(earlier.long_term_tax_rate),
        }
    }

    const fn apply(&self, settings: &mut PartnerSettings) {
        if let Some(buffer) = self.market_buy_buffer {
            settings.market_buy_buffer = buffer;
        }
        if let Some(limit) = self.deposit_limit {
            settings.deposit_limit = limit;
        }
        if let Some(limit) = self.daily_deposit_limit {
            settings.daily_deposit_limit = limit;
        }
        if let Some(limit) = self.instant_limit {
            settings.instant_limit = limit;
        }
        if let Some(limit) = self.account_instant_limit {
            settings.account_instant_limit = limit;
        }
        if let Some(limit) = self.withdrawal_limit {
            settings.withdrawal_limit = limit;
        }
        if let Some(limit) = self.daily_withdrawal_limit {
            settings.daily_withdrawal_limit = limit;
        }
        if let Some(days) = self.deposit_hold_days {
            settings.deposit_hold_days = days;
        }
        if let Some(mode) = self.fill_mode {
            settings.fill_mode = mode;
        }
        if let Some(cap) = self.participation_cap {
            settings.participation_cap = cap;
        }
        if let Some(fee) = self.sec_fee {
            settings.sec_fee = fee;
        }
        if let Some(fee) = self.trading_activity_fee {
            settings.trading_activity_fee = fee;
        }
        if let Some(rate) = self.short_term_tax_rate {
            settings.short_term_tax_rate = rate;
        }
        if let Some(rate) = self.long_term_tax_rate {
            settings.long_term_tax_rate = rate;
        }
    }
}

/// A change of settings with its effective date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsChange {
    pub effective_from: DateTime<Utc>,
    #[serde(flatten)]
    pub patch: SettingsPatch,
}

/// Returns the stored changes of a partner, in the order in which they come into force.
pub fn changes(partner: &partner::Model) -> Result<Vec<SettingsChange>> {
    serde_json::from_str(&partner.settings).map_err(|_| Error::broken("a partner's settings cannot be read"))
}

/// Returns the changes to store after adding one at `now`. Those that are in force already become one; the
/// event log keeps each of them.
pub fn with_change(partner: &partner::Model, change: SettingsChange, now: DateTime<Utc>) -> Result<String> {
    let mut all = changes(partner)?;
    match all.iter_mut().find(|known| known.effective_from == change.effective_from) {
        Some(known) => known.patch = change.patch.over(known.patch),
        None => all.push(change),
    }
    all.sort_by_key(|change| change.effective_from);
    let (present, future): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|change| change.effective_from <= now);
    let in_force = present.into_iter().reduce(|earlier, later| SettingsChange {
        effective_from: later.effective_from,
        patch: later.patch.over(earlier.patch),
    });
    let stored: Vec<_> = in_force.into_iter().chain(future).collect();
    serde_json::to_string(&stored).map_err(|_| Error::broken("a partner's settings cannot be written"))
}
