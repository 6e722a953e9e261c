//! GraphQL types and mutation for the settings of a partner.

use crate::{
    graphql::{
        core::scalars::{DateTime, Decimal, Money, MoneyInput},
        sandbox::Partner,
    },
    wire::Result,
};
use async_graphql::{Enum, InputObject, MaybeUndefined, SimpleObject};
use domain::{
    access::partner_settings::{Change, UpdatePartnerSettings},
    kernel::partner_settings::{
        PartnerSettings as Settings, SettingsPatch, TradingActivityFee as ActivityFee,
    },
};
use entity::{Percent, partner};
use macros::{Fields, Leaf, mutations};

/// Settings of a partner.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct PartnerSettings {
    /// Cash that a market order to buy holds above its price, in percent.
    market_buy_buffer: Decimal,
    /// Largest amount of one deposit.
    deposit_limit: Money,
    /// Largest sum of the deposits into one account on one day in New York.
    daily_deposit_limit: Money,
    /// Largest sum of deposits of all accounts together that may be spent before they have settled.
    instant_limit: Money,
    /// Largest sum of deposits into one account that may be spent before they have settled.
    account_instant_limit: Money,
    /// Largest amount of one withdrawal.
    withdrawal_limit: Money,
    /// Largest sum of the withdrawals from one account on one day in New York.
    daily_withdrawal_limit: Money,
    /// Days after its settlement for which money of a deposit can leave only to the bank account that it came from.
    /// Zero if it can leave to any.
    deposit_hold_days: i32,
    /// Prices from which the paper venue fills orders.
    fill_mode: FillMode,
    /// Part of the volume of a bar that one order may take, in percent.
    participation_cap: Decimal,
    /// Fee of the SEC for sales, in dollars for each million dollars of their price. Zero if none is charged.
    sec_fee_per_million: Decimal,
    /// Trading activity fee of FINRA for sales. Zero if none is charged.
    trading_activity_fee: TradingActivityFee,
    /// Rate at which `orderPreview` estimates the tax on short-term gains, in percent. Null if it was not set.
    short_term_tax_rate: Option<Decimal>,
    /// Rate at which `orderPreview` estimates the tax on long-term gains, in percent. Null if it was not set.
    long_term_tax_rate: Option<Decimal>,
}

/// Trading activity fee of FINRA for the sale of shares.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct TradingActivityFee {
    /// Fee for each share, in dollars with at most six decimals.
    per_share: Decimal,
    /// Maximum of one trade.
    maximum: Money,
}

impl From<ActivityFee> for TradingActivityFee {
    fn from(fee: ActivityFee) -> Self {
        Self { per_share: fee.per_share.into(), maximum: fee.maximum.into() }
    }
}

/// Trading activity fee of FINRA for the sale of shares.
#[derive(Clone, Debug, InputObject)]
pub struct TradingActivityFeeInput {
    /// Fee for each share, in dollars from 0 to 1 with at most six decimals, for example "0.000166".
    per_share: Decimal,
    /// Maximum of one trade, at most 1,000 dollars.
    maximum: MoneyInput,
}

/// Prices from which the paper venue fills orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "domain::kernel::partner_settings::FillMode")]
pub enum FillMode {
    /// Quotes: the price that was set, or else that of the simulated market. An instrument with stored bars and without
    /// a price that was set is filled from its bars.
    Quotes,
    /// One-minute bars, stored or simulated: an order is compared with the bars that begin after it was placed. A price
    /// that was set is shown as the quote, but fills no order.
    Bars,
}

impl PartnerSettings {
    /// Returns the settings that are in force by the partner's clock.
    pub fn of(partner: &partner::Model) -> Result<Self> {
        let settings = Settings::of(partner)?;
        Ok(Self {
            market_buy_buffer: settings.market_buy_buffer.into(),
            deposit_limit: settings.deposit_limit.into(),
            daily_deposit_limit: settings.daily_deposit_limit.into(),
            instant_limit: settings.instant_limit.into(),
            account_instant_limit: settings.account_instant_limit.into(),
            withdrawal_limit: settings.withdrawal_limit.into(),
            daily_withdrawal_limit: settings.daily_withdrawal_limit.into(),
            deposit_hold_days: settings.deposit_hold_days,
            fill_mode: settings.fill_mode.into(),
            participation_cap: settings.participation_cap.into(),
            sec_fee_per_million: settings.sec_fee.into(),
            trading_activity_fee: settings.trading_activity_fee.into(),
            short_term_tax_rate: settings.short_term_tax_rate.map(Decimal::from),
            long_term_tax_rate: settings.long_term_tax_rate.map(Decimal::from),
        })
    }
}

/// Change of a partner's settings. Settings that it did not change are null.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct PartnerSettingsChange {
    /// Time from which the change is in force.
    effective_from: DateTime,
    /// Time when the change was made.
    made_at: DateTime,
    /// New buffer of market orders to buy, in percent.
    market_buy_buffer: Option<Decimal>,
    /// New largest amount of one deposit.
    deposit_limit: Option<Money>,
    /// New largest sum of the deposits into one account on one day in New York.
    daily_deposit_limit: Option<Money>,
    /// New largest sum of deposits of all accounts together that may be spent before they have settled.
    instant_limit: Option<Money>,
    /// New largest sum of deposits into one account that may be spent before they have settled.
    account_instant_limit: Option<Money>,
    /// New largest amount of one withdrawal.
    withdrawal_limit: Option<Money>,
    /// New largest sum of the withdrawals from one account on one day in New York.
    daily_withdrawal_limit: Option<Money>,
    /// New number of days for which money of a deposit can leave only to the bank account that it came from.
    deposit_hold_days: Option<i32>,
    /// New way in which the paper venue fills orders.
    fill_mode: Option<FillMode>,
    /// New part of the volume of a bar that one order may take, in percent.
    participation_cap: Option<Decimal>,
    /// New fee of the SEC for sales, in dollars for each million dollars of their price.
    sec_fee_per_million: Option<Decimal>,
    /// New trading activity fee of FINRA for sales.
    trading_activity_fee: Option<TradingActivityFee>,
    /// New rate of the tax on short-term gains, in percent. Null also if the rate was removed.
    short_term_tax_rate: Option<Decimal>,
    /// New rate of the tax on long-term gains, in percent. Null also if the rate was removed.
    long_term_tax_rate: Option<Decimal>,
}

impl From<Change> for PartnerSettingsChange {
    fn from(Change { event, change }: Change) -> Self {
        Self {
            effective_from: change.effective_from.into(),
            made_at: event.occurred_at.into(),
            market_buy_buffer: change.patch.market_buy_buffer.map(Decimal::from),
            deposit_limit: change.patch.deposit_limit.map(Money::from),
            daily_deposit_limit: change.patch.daily_deposit_limit.map(Money::from),
            instant_limit: change.patch.instant_limit.map(Money::from),
            account_instant_limit: change.patch.account_instant_limit.map(Money::from),
            withdrawal_limit: change.patch.withdrawal_limit.map(Money::from),
            daily_withdrawal_limit: change.patch.daily_withdrawal_limit.map(Money::from),
            deposit_hold_days: change.patch.deposit_hold_days,
            fill_mode: change.patch.fill_mode.map(FillMode::from),
            participation_cap: change.patch.participation_cap.map(Decimal::from),
            sec_fee_per_million: change.patch.sec_fee.map(Decimal::from),
            trading_activity_fee: change.patch.trading_activity_fee.map(TradingActivityFee::from),
            short_term_tax_rate: change.patch.short_term_tax_rate.flatten().map(Decimal::from),
            long_term_tax_rate: change.patch.long_term_tax_rate.flatten().map(Decimal::from),
        }
    }
}

/// New values of settings. Omitted settings stay unchanged; null restores the default.
#[derive(Clone, Debug, InputObject)]
pub struct PartnerSettingsPatch {
    /// Cash that a market order to buy holds above its price, in percent from 0 to 20; 3 by default.
    market_buy_buffer: MaybeUndefined<Decimal>,
    /// Largest amount of one deposit; by default the most that an ACH entry can carry.
    deposit_limit: MaybeUndefined<MoneyInput>,
    /// Largest sum of the deposits into one account on one day in New York; by default the highest possible.
    daily_deposit_limit: MaybeUndefined<MoneyInput>,
    /// Largest sum of deposits of all accounts together that may be spent before they have settled; 0 by default.
    instant_limit: MaybeUndefined<MoneyInput>,
    /// Largest sum of deposits into one account that may be spent before they have settled; 0 by default.
    account_instant_limit: MaybeUndefined<MoneyInput>,
    /// Largest amount of one withdrawal; by default the most that an ACH entry can carry.
    withdrawal_limit: MaybeUndefined<MoneyInput>,
    /// Largest sum of the withdrawals from one account on one day in New York; by default the highest possible.
    daily_withdrawal_limit: MaybeUndefined<MoneyInput>,
    /// Days after its settlement for which money of a deposit can leave only to the bank account that it came from,
    /// from 0 to 90; 0 by default. A withdrawal to another bank account leaves this money where it is.
    deposit_hold_days: MaybeUndefined<i32>,
    /// Prices from which the paper venue fills orders; quotes by default.
    fill_mode: MaybeUndefined<FillMode>,
    /// Part of the volume of a bar that one order may take, in percent above 0 up to 100; 10 by default.
    participation_cap: MaybeUndefined<Decimal>,
    /// Fee of the SEC for sales, in dollars for each million dollars of their price, from 0 to 10000 with at most six
    /// decimals, for example "27.80"; none by default.
    sec_fee_per_million: MaybeUndefined<Decimal>,
    /// Trading activity fee of FINRA for sales; none by default.
    trading_activity_fee: MaybeUndefined<TradingActivityFeeInput>,
    /// Rate at which `orderPreview` estimates the tax on short-term gains, in percent from 0 to 100; none by default.
    short_term_tax_rate: MaybeUndefined<Decimal>,
    /// Rate at which `orderPreview` estimates the tax on long-term gains, in percent from 0 to 100; none by default.
    long_term_tax_rate: MaybeUndefined<Decimal>,
}

/// Returns a rate that is given, or null.
#[expect(clippy::option_option, reason = "left out, null and a value mean different things")]
fn rate(input: MaybeUndefined<Decimal>, field: &str) -> domain::Result<Option<Option<Percent>>> {
    match input {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Ok(Some(None)),
        MaybeUndefined::Value(rate) => Ok(Some(Some(rate.amount(field)?))),
    }
}

/// Returns the new value of a limit, if it is to be changed.
fn limit(
    patch: MaybeUndefined<MoneyInput>,
    default: entity::Money,
    field: &str,
) -> domain::Result<Option<entity::Money>> {
    match patch {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Ok(Some(default)),
        MaybeUndefined::Value(limit) => limit.cents(field).map(Some),
    }
}

#[mutations]
impl PartnerSettingsMutation {
    /// Changes settings of the partner from now on or from a later time. A new buffer or limit does not
    /// affect existing orders and deposits; `fillMode` and `participationCap` apply to open orders as well.
    /// Requires scope `operate`.
    #[answers(partner: Partner = "The partner with its settings. Null if the request was refused.")]
    fn partner_settings_update(
        /// New values of settings.
        patch: PartnerSettingsPatch,
        /// Time from which the new values are in force, by the partner's clock; now if omitted.
        effective_from: Option<DateTime>,
    ) -> domain::Result<UpdatePartnerSettings> {
        let market_buy_buffer = match patch.market_buy_buffer {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(Settings::DEFAULT.market_buy_buffer),
            MaybeUndefined::Value(buffer) => Some(buffer.amount("patch.marketBuyBuffer")?),
        };
        let deposit_limit =
            limit(patch.deposit_limit, Settings::DEFAULT.deposit_limit, "patch.depositLimit")?;
        let daily_deposit_limit = limit(
            patch.daily_deposit_limit,
            Settings::DEFAULT.daily_deposit_limit,
            "patch.dailyDepositLimit",
        )?;
        let instant_limit =
            limit(patch.instant_limit, Settings::DEFAULT.instant_limit, "patch.instantLimit")?;
        let account_instant_limit = limit(
            patch.account_instant_limit,
            Settings::DEFAULT.account_instant_limit,
            "patch.accountInstantLimit",
        )?;
        let withdrawal_limit =
            limit(patch.withdrawal_limit, Settings::DEFAULT.withdrawal_limit, "patch.withdrawalLimit")?;
        let daily_withdrawal_limit = limit(
            patch.daily_withdrawal_limit,
            Settings::DEFAULT.daily_withdrawal_limit,
            "patch.dailyWithdrawalLimit",
        )?;
        let deposit_hold_days = match patch.deposit_hold_days {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(Settings::DEFAULT.deposit_hold_days),
            MaybeUndefined::Value(days) => Some(days),
        };
        let fill_mode = match patch.fill_mode {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(Settings::DEFAULT.fill_mode),
            MaybeUndefined::Value(mode) => Some(mode.into()),
        };
        let participation_cap = match patch.participation_cap {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(Settings::DEFAULT.participation_cap),
            MaybeUndefined::Value(cap) => Some(cap.amount("patch.participationCap")?),
        };
        let sec_fee = match patch.sec_fee_per_million {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(Settings::DEFAULT.sec_fee),
            MaybeUndefined::Value(fee) => Some(fee.amount("patch.secFeePerMillion")?),
        };
        let trading_activity_fee = match patch.trading_activity_fee {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(Settings::DEFAULT.trading_activity_fee),
            MaybeUndefined::Value(fee) => Some(ActivityFee {
                per_share: fee.per_share.amount("patch.tradingActivityFee.perShare")?,
                maximum: fee.maximum.cents("patch.tradingActivityFee.maximum")?,
            }),
        };
        Ok(UpdatePartnerSettings {
            patch: SettingsPatch {
                market_buy_buffer,
                deposit_limit,
                daily_deposit_limit,
                instant_limit,
                account_instant_limit,
                withdrawal_limit,
                daily_withdrawal_limit,
                deposit_hold_days,
                fill_mode,
                participation_cap,
                sec_fee,
                trading_activity_fee,
                short_term_tax_rate: rate(patch.short_term_tax_rate, "patch.shortTermTaxRate")?,
                long_term_tax_rate: rate(patch.long_term_tax_rate, "patch.longTermTaxRate")?,
            },
            effective_from: effective_from.map(|time| time.0),
        })
    }
}
