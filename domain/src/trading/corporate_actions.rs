//! Corporate actions: cash dividends, splits, reverse splits and symbol changes, from their announcement to what each
//! account gets.
//!
//! An action waits for its ex-date. Then the accounts with shares or open orders are recorded (`processing.rs`), and
//! each of them is changed in a transaction of its own: its orders (`rules.rs`), and its lots, position and units in
//! the ledger (`splits.rs`). A dividend is paid on the pay date (`dividends.rs`).

mod dividends;
mod processing;
pub mod rules;
mod splits;

pub use dividends::{PayDividend, ReinvestDividend};
pub(super) use processing::catch_up;
pub use processing::{ApplyEntitlement, ProcessCorporateAction};

use super::{instruments, market};
use crate::{
    Checks, Code, Refusal, Result, Scope, Visible,
    kernel::{
        calendar, clock,
        command::{Command, CommandContext},
        events::Event,
        visible::Owner,
    },
};
use chrono::{Days, NaiveDate};
use entity::{
    Kind, Price, Quantity, Rate, account,
    corporate_action::{self, ActionKind, Column},
    entitlement, instrument,
    partner::{self, Mode},
    position,
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use serde::Serialize;

/// Corporate actions are visible to the partner and all of its users: they are public.
impl Visible for corporate_action::Entity {
    const ID: Column = Column::Id;
    const OWNER: Owner<Column> = Owner::Members { partner: Column::PartnerId };
}

/// What an account is entitled to is visible to those who see the account.
impl Visible for entitlement::Entity {
    const ID: entitlement::Column = entitlement::Column::Id;
    const OWNER: Owner<entitlement::Column> =
        Owner::of::<account::Entity>(entitlement::Column::PartnerId, entitlement::Column::AccountId);
}

/// Applies a corporate action. The values are not validated yet.
#[derive(Clone, Debug, Serialize)]
pub struct ApplyCorporateAction {
    /// Symbol, in upper or lower case, or id of the instrument.
    pub symbol: String,
    pub ex_on: NaiveDate,
    pub terms: Terms,
}

/// Terms of a corporate action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Terms {
    CashDividend { per_share: Rate, record_on: Option<NaiveDate>, pay_on: NaiveDate },
    Split(Ratio),
    ReverseSplit(Ratio),
    SymbolChange { symbol: String },
}

/// Ratio of a split: `old_shares` become `new_shares`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ratio {
    pub new_shares: i64,
    pub old_shares: i64,
    /// Whether fractions of a share are paid in cash; otherwise only what is below four decimals is.
    pub is_whole_shares: bool,
    /// Price of a share after the split, at which fractions are paid.
    pub cash_price: Option<Price>,
}

/// Largest dividend for each share: a hundred thousand dollars.
const MAX_PER_SHARE: Rate = Rate::from_units(100_000 * 1_000_000);
/// Largest number of shares in a ratio.
const MAX_SHARES: i64 = 10_000;
/// Largest price at which fractions are paid: a million dollars.
const MAX_PRICE: Price = Price::from_units(1_000_000 * 10_000);
/// How far ahead an action can be announced: a year.
const MAX_DAYS_AHEAD: Days = Days::new(366);

impl Terms {
    const fn kind(&self) -> ActionKind {
        match self {
            Self::CashDividend { .. } => ActionKind::CashDividend,
            Self::Split(_) => ActionKind::Split,
            Self::ReverseSplit(_) => ActionKind::ReverseSplit,
            Self::SymbolChange { .. } => ActionKind::SymbolChange,
        }
    }

    fn check(&self, ex_on: NaiveDate) -> Result<()> {
        match self {
            Self::CashDividend { per_share, record_on, pay_on } => {
                check_dividend(*per_share, ex_on, *record_on, *pay_on)
                    .map_err(|error| error.inside("cashDividend"))
            }
            Self::Split(ratio) => ratio.check(true).map_err(|error| error.inside("split")),
            Self::ReverseSplit(ratio) => ratio.check(false).map_err(|error| error.inside("reverseSplit")),
            Self::SymbolChange { symbol } if !instruments::is_symbol(&instruments::normalized(symbol)) => {
                let text = "must have 1 to 20 letters, digits, dots, hyphens or slashes";
                Err(Refusal::invalid("symbol", text).into())
            }
            Self::SymbolChange { .. } => Ok(()),
        }
        .map_err(|error| match self {
            Self::SymbolChange { .. } => error.inside("symbolChange"),
            _ => error,
        })
        .map_err(|error| error.inside("terms"))
    }
}

/// Whether a dividend has its ex-date after the payment, as only large ones have.
fn is_paid_first(ex_on: NaiveDate, pay_on: NaiveDate) -> bool {
    pay_on < ex_on && calendar::next_trading_day(pay_on) == ex_on
}

/// Whether a dividend is at least 25 % of the price of a share (FINRA Rule 11140).
fn is_large(per_share: Rate, price: Price) -> bool {
    // Millionths against ten-thousandths of a dollar.
    i128::from(per_share.units()) * 4 >= i128::from(price.units()) * 100
}

/// The record date if none is announced.
fn default_record_on(ex_on: NaiveDate, pay_on: NaiveDate) -> NaiveDate {
    Ord::min(ex_on, pay_on)
}

fn check_dividend(
    per_share: Rate,
    ex_on: NaiveDate,
    record_on: Option<NaiveDate>,
    pay_on: NaiveDate,
) -> Result<()> {
    let record_on = record_on.unwrap_or_else(|| default_record_on(ex_on, pay_on));
    let mut checks = Checks::default();
    if !per_share.is_positive() || per_share > MAX_PER_SHARE {
        let text = format!("must be above zero and at most {MAX_PER_SHARE}");
        checks.note::<()>(Err(Refusal::invalid("perShare", text).into()));
    }
    if record_on < ex_on && pay_on >= ex_on {
        let text = "must not be before the ex-date";
        checks.note::<()>(Err(Refusal::invalid("recordOn", text).into()));
    } else if record_on.checked_add_days(MAX_DAYS_AHEAD).is_some_and(|last| last < ex_on) {
        let text = "must be within a year of the ex-date";
        checks.note::<()>(Err(Refusal::invalid("recordOn", text).into()));
    }
    if pay_on < record_on {
        let text = "must not be before the record date";
        checks.note::<()>(Err(Refusal::invalid("payOn", text).into()));
    } else if pay_on < ex_on && !is_paid_first(ex_on, pay_on) {
        let text = "must not be before the ex-date, unless that is the next trading day";
        checks.note::<()>(Err(Refusal::invalid("payOn", text).into()));
    } else if !calendar::is_banking_day(pay_on) {
        checks.note::<()>(Err(Refusal::invalid("payOn", "must be a banking day").into()));
    }
    if ex_on.checked_add_days(MAX_DAYS_AHEAD).is_some_and(|last| pay_on > last) {
        let text = "must be within a year of the ex-date";
        checks.note::<()>(Err(Refusal::invalid("payOn", text).into()));
    }
    checks.done()
}

impl Ratio {
    fn check(&self, is_forward: bool) -> Result<()> {
        let mut checks = Checks::default();
        for (field, shares) in [("newShares", self.new_shares), ("oldShares", self.old_shares)] {
            if !(1..=MAX_SHARES).contains(&shares) {
                let text = format!("must be from 1 to {MAX_SHARES}");
                checks.note::<()>(Err(Refusal::invalid(field, text).into()));
            }
        }
        checks.done()?;
        let mut checks = Checks::default();
        if is_forward && self.new_shares <= self.old_shares {
            let text = "must be above `oldShares`";
            checks.note::<()>(Err(Refusal::invalid("newShares", text).into()));
        }
        if !is_forward && self.new_shares >= self.old_shares {
            let text = "must be below `oldShares`";
            checks.note::<()>(Err(Refusal::invalid("newShares", text).into()));
        }
        match self.cash_price {
            Some(price) if !price.is_positive() || price > MAX_PRICE => {
                let text = format!("must be above zero and at most {MAX_PRICE}");
                checks.note::<()>(Err(Refusal::invalid("cashInLieuPrice", text).into()));
            }
            None if self.is_whole_shares || self.new_shares % self.old_shares != 0 => {
                checks.note::<()>(Err(Refusal::required("cashInLieuPrice").into()));
            }
            Some(_) | None => {}
        }
        checks.done()
    }
}

/// Announces a corporate action of an instrument, which is applied to the accounts of the partner when its clock
/// reaches the ex-date. Requires scope `operate`.
///
/// Instruments belong to the installation, but accounts, clocks and prices to a partner, so an action is for the
/// accounts of one partner, and each partner announces its own. That holds for a new symbol too.
///
/// Accounts that hold shares at the close before the ex-date are entitled: shares sold on the ex-date keep the
/// entitlement, and shares bought on it have none. The ex-date begins at midnight in New York. A dividend is for each
/// share before a split of the same ex-date.
/// - A cash dividend is recorded on the ex-date, in dollars for each share, rounded half up to the cent for the
///   account, and paid into its cash at 08:30 in New York on the pay date, or reinvested when the market is open if
///   the account says so. A frozen account is paid in cash. A dividend of at least 25 % of the price may have its
///   ex-date on the trading day after the pay date (FINRA Rule 11140(b)(2)); it is then paid on the ex-date, to those
///   who held until then.
/// - A split or reverse split changes quantities on the ex-date; the cost of the shares and their dates stay. What is
///   below four decimals of a share, or all fractions, is paid in cash at the announced price and recorded as a
///   realized gain.
/// - A new symbol replaces the old one on the ex-date; the instrument keeps its id, and open orders stay.
///
/// Open orders are adjusted on the ex-date (FINRA Rule 5330). A dividend reduces limit orders to buy and stop orders to
/// sell by its amount for each share, down to the next tick. A split divides prices and multiplies open quantities;
/// prices at which the customer buys low or stops a loss are rounded down to the tick, the others up. A reverse split
/// cancels all orders.
///
/// # Errors
/// `NOT_FOUND` for an unknown instrument, `INVALID` for an ex-date that is not a later trading day within a year, dates
/// in the wrong order, a dividend that is paid before its ex-date and is less than 25 % of the price, or terms out of
/// range, `REQUIRED` without a price for fractions that may arise,
/// `CORPORATE_ACTION_EXISTS` if the same action was announced, and `SYMBOL_TAKEN`.
impl Command for ApplyCorporateAction {
    const NAME: &'static str = "corporate_action.apply";
    const SCOPE: Scope = Scope::Operate;
    type Output = corporate_action::Model;

    fn check(&self, _: Mode) -> Result<()> {
        let mut checks = Checks::default();
        if self.symbol.trim().is_empty() {
            checks.note::<()>(Err(Refusal::required("symbol").into()));
        }
        if calendar::session(self.ex_on).is_none() {
            checks.note::<()>(Err(Refusal::invalid("exOn", "must be a trading day").into()));
        }
        checks.note(self.terms.check(self.ex_on));
        checks.done()
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<corporate_action::Model> {
        // The clock may have moved while this waited for the lock.
        let partner = clock::locked(ctx.tx, ctx.partner.id).await?;
        let instrument = instruments::named(ctx.app, Some(ctx.partner.id), &self.symbol)
            .await?
            .ok_or_else(|| Refusal::not_found("symbol"))?;
        let today = calendar::new_york_date(clock::now_of(&partner));
        if self.ex_on <= today || today.checked_add_days(MAX_DAYS_AHEAD).is_some_and(|last| self.ex_on > last)
        {
            let text = "must be a later day within a year, because the close before it decides";
            return Err(Refusal::invalid("exOn", text).into());
        }
        self.require_large(ctx, &partner, &instrument).await?;
        self.require_fitting(ctx, instrument.id).await?;
        let action = self.announced(ctx, instrument.id);
        self.require_new(ctx, &action).await?;
        if let Some(symbol) = &action.symbol
            && is_taken(ctx, symbol).await?
        {
            let text = "Another instrument has this symbol.";
            return Err(Refusal::new(Code::SymbolTaken, "terms.symbolChange.symbol", text).into());
        }
        ctx.tx.insert(&action).await;
        ctx.schedule::<ProcessCorporateAction>(action.id, calendar::at_new_york(self.ex_on, 0, 0)).await;
        ctx.record(Event::CorporateActionAnnounced((&action).into())).await?;
        Ok(action)
    }
}

/// Withdraws a corporate action that was announced.
#[derive(Clone, Debug, Serialize)]
pub struct WithdrawCorporateAction {
    pub corporate_action_id: uuid::Uuid,
}

/// Withdraws a corporate action that has not been applied, as if it had not been announced; only the events and the
/// audit log still tell of it. Requires scope `operate`.
///
/// # Errors
/// `NOT_FOUND`, and `NOT_WITHDRAWABLE` from the ex-date on.
impl Command for WithdrawCorporateAction {
    const NAME: &'static str = "corporate_action.withdraw";
    const SCOPE: Scope = Scope::Operate;
    type Output = corporate_action::Model;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<corporate_action::Model> {
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let id = self.corporate_action_id;
        let action = corporate_action::Entity::by_id_within(ctx.access_scope, id)
            .one(ctx.tx)
            .await?
            .ok_or_else(|| Refusal::not_found("corporateActionId"))?;
        if action.processed_at.is_some() {
            let text = "The corporate action has already been applied.";
            return Err(Refusal::new(Code::NotWithdrawable, "corporateActionId", text).into());
        }
        ctx.unschedule::<ProcessCorporateAction>(id).await?;
        ctx.tx.delete::<corporate_action::Entity>(id).await?;
        ctx.record(Event::CorporateActionWithdrawn((&action).into())).await?;
        Ok(action)
    }
}

/// Whether an instrument has a symbol for the partner, or will have it.
async fn is_taken(ctx: &CommandContext<'_>, symbol: &str) -> Result<bool> {
    let announced = corporate_action::Entity::find()
        .filter(Column::PartnerId.eq(ctx.partner.id))
        .filter(Column::Symbol.eq(symbol))
        .filter(Column::ProcessedAt.is_null());
    Ok(instruments::named(ctx.app, Some(ctx.partner.id), symbol).await?.is_some()
        || announced.one(ctx.tx).await?.is_some())
}

impl ApplyCorporateAction {
    /// Refuses a dividend that is paid before its ex-date and is not large, by the present price.
    async fn require_large(
        &self,
        ctx: &CommandContext<'_>,
        partner: &partner::Model,
        instrument: &instrument::Model,
    ) -> Result<()> {
        let Terms::CashDividend { per_share, pay_on, .. } = self.terms else { return Ok(()) };
        if pay_on >= self.ex_on {
            return Ok(());
        }
        let price = market::quote(ctx.app, ctx.tx, partner, instrument, clock::now_of(partner)).await?.last;
        if is_large(per_share, price) {
            return Ok(());
        }
        let text = format!(
            "must not be before the ex-date, because the dividend is less than 25 % of the price, ${price}"
        );
        Err(Refusal::invalid("terms.cashDividend.payOn", text).into())
    }

    /// Refuses a split after which the shares of all accounts together would exceed 64 bits, also with the splits that
    /// were announced before. Reverse splits are not counted, because they can be withdrawn.
    async fn require_fitting(&self, ctx: &CommandContext<'_>, instrument_id: uuid::Uuid) -> Result<()> {
        use position::Column;
        let Terms::Split(Ratio { new_shares, old_shares, .. }) = self.terms else { return Ok(()) };
        let held: Option<Option<i64>> = position::Entity::find()
            .select_only()
            .column_as(Column::Quantity.sum().cast_as("bigint"), "held")
            .filter(Column::PartnerId.eq(ctx.partner.id))
            .filter(Column::InstrumentId.eq(instrument_id))
            .filter(Expr::cust("quantity > 0"))
            .into_tuple()
            .one(ctx.tx)
            .await?;
        let held = Quantity::from_units(held.flatten().unwrap_or(0));
        let announced: Vec<(i64, i64)> = corporate_action::Entity::find()
            .select_only()
            .columns([corporate_action::Column::NewShares, corporate_action::Column::OldShares])
            .filter(corporate_action::Column::PartnerId.eq(ctx.partner.id))
            .filter(corporate_action::Column::InstrumentId.eq(instrument_id))
            .filter(corporate_action::Column::Kind.eq(ActionKind::Split))
            .filter(corporate_action::Column::ProcessedAt.is_null())
            .into_tuple()
            .all(ctx.tx)
            .await?;
        let mut ratios = announced.into_iter().chain([(new_shares, old_shares)]);
        if ratios.try_fold(held, |held, ratio| Some(rules::split(held, ratio, false)?.exact)).is_some() {
            return Ok(());
        }
        let text = format!("would give the accounts, which hold {held} shares, more than can be stored");
        Err(Refusal::invalid("terms.split.newShares", text).into())
    }

    fn announced(&self, ctx: &CommandContext<'_>, instrument_id: uuid::Uuid) -> corporate_action::Model {
        let mut action = corporate_action::Model {
            id: ctx.app.ids.next(Kind::CorporateAction),
            partner_id: ctx.partner.id,
            instrument_id,
            kind: self.terms.kind(),
            ex_on: self.ex_on,
            record_on: None,
            pay_on: None,
            per_share: None,
            new_shares: None,
            old_shares: None,
            is_whole_shares: false,
            cash_price: None,
            symbol: None,
            created_at: ctx.now,
            processed_at: None,
            processed_id: None,
        };
        match &self.terms {
            Terms::CashDividend { per_share, record_on, pay_on } => {
                action.per_share = Some(*per_share);
                action.record_on = Some(record_on.unwrap_or_else(|| default_record_on(self.ex_on, *pay_on)));
                action.pay_on = Some(*pay_on);
            }
            Terms::Split(ratio) | Terms::ReverseSplit(ratio) => {
                action.new_shares = Some(ratio.new_shares);
                action.old_shares = Some(ratio.old_shares);
                action.is_whole_shares = ratio.is_whole_shares;
                action.cash_price = ratio.cash_price;
            }
            Terms::SymbolChange { symbol } => action.symbol = Some(instruments::normalized(symbol)),
        }
        action
    }

    /// Refuses an action that was announced before. Two dividends may have the same ex-date if they differ.
    async fn require_new(&self, ctx: &CommandContext<'_>, action: &corporate_action::Model) -> Result<()> {
        let earlier = corporate_action::Entity::find()
            .filter(Column::PartnerId.eq(ctx.partner.id))
            .filter(Column::InstrumentId.eq(action.instrument_id))
            .filter(Column::ExOn.eq(action.ex_on))
            .all(ctx.tx)
            .await?;
        let is_dividend = action.kind == ActionKind::CashDividend;
        let is_same = |known: &corporate_action::Model| match known.kind {
            ActionKind::CashDividend => {
                is_dividend && (known.per_share, known.pay_on) == (action.per_share, action.pay_on)
            }
            ActionKind::SymbolChange => action.kind == ActionKind::SymbolChange,
            ActionKind::Split | ActionKind::ReverseSplit => {
                matches!(action.kind, ActionKind::Split | ActionKind::ReverseSplit)
            }
        };
        if earlier.iter().any(is_same) {
            let text = "This corporate action was announced before.";
            return Err(Refusal::new(Code::CorporateActionExists, "exOn", text).into());
        }
        Ok(())
    }
}
