//! GraphQL types, queries and the mutation for corporate actions.

use super::{instruments::Instrument, orders::Order};
use crate::{
    graphql::{
        accounts::Account,
        core::{
            breadth::{ListOf, Maybe, One},
            context::Viewpoint,
            ids::IdOf,
            pages::PageArgs,
            scalars::{Date, DateTime, Decimal, Money, MoneyInput, parsed},
            sorts::sort_by,
        },
    },
    wire::Result,
};
use async_graphql::{Enum, ID, InputObject, OneofObject};
use domain::{
    kernel::lists::Filter,
    trading::{
        corporate_actions::{ApplyCorporateAction, Ratio, Terms, WithdrawCorporateAction},
        instruments,
    },
};
use entity::{corporate_action, entitlement};
use macros::{Leaf, breadth, mutations};

/// Cash dividend, split, reverse split or symbol change of an instrument, for the accounts of the partner.
#[derive(Clone)]
pub struct CorporateAction(pub corporate_action::Model);

/// Cash dividend, split, reverse split or symbol change of an instrument, for the accounts of the partner.
#[breadth]
impl CorporateAction {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Instrument of the corporate action.
    fn instrument(&self) -> One<Instrument> {
        One::of(self.0.instrument_id)
    }

    /// Kind of corporate action.
    fn kind(&self) -> CorporateActionKind {
        self.0.kind.into()
    }

    /// First trading day on which a purchase comes without the dividend, or on which the shares are split or have the
    /// new symbol.
    fn ex_on(&self) -> Date {
        self.0.ex_on.into()
    }

    /// Record date of a dividend. Null for other kinds.
    fn record_on(&self) -> Option<Date> {
        self.0.record_on.map(Date::from)
    }

    /// Date on which a dividend is paid. Null for other kinds.
    fn pay_on(&self) -> Option<Date> {
        self.0.pay_on.map(Date::from)
    }

    /// Dividend for each share, with up to six decimals. Null for other kinds.
    fn per_share(&self) -> Option<Money> {
        self.0.per_share.map(Money::from)
    }

    /// Number of shares into which `oldShares` are split. Null for other kinds.
    fn new_shares(&self) -> Option<i32> {
        self.0.new_shares.and_then(|shares| i32::try_from(shares).ok())
    }

    /// Number of shares that become `newShares`. Null for other kinds.
    fn old_shares(&self) -> Option<i32> {
        self.0.old_shares.and_then(|shares| i32::try_from(shares).ok())
    }

    /// Whether a split pays all fractions of a share in cash. Otherwise only fractions smaller than 0.0001 share are
    /// paid in cash. False for other kinds.
    fn whole_shares_only(&self) -> bool {
        self.0.is_whole_shares
    }

    /// Price of a share after a split, at which fractions are paid in cash.
    fn cash_in_lieu_price(&self) -> Option<Money> {
        self.0.cash_price.map(Money::from)
    }

    /// New ticker symbol. Null for other kinds.
    fn symbol(&self) -> Option<&str> {
        self.0.symbol.as_deref()
    }

    /// What the accounts that the caller can see are entitled to, newest first. Empty before the ex-date.
    fn entitlements(&self, view: &Viewpoint, page: PageArgs) -> Result<ListOf<Entitlement>> {
        let filters = vec![Filter::not_zero(entitlement::Column::Quantity)];
        ListOf::seen_under(view, self.0.id, &page, filters)
    }

    /// Time when it was announced.
    fn announced_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Time when the holdings of the accounts were recorded, at the start of the ex-date. Null until then.
    fn processed_at(&self) -> Option<DateTime> {
        self.0.processed_at.map(DateTime)
    }
}

/// Kind of a corporate action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::corporate_action::ActionKind")]
pub enum CorporateActionKind {
    /// Payment in cash for each share.
    CashDividend,
    /// Shares become more shares.
    Split,
    /// Shares become fewer shares.
    ReverseSplit,
    /// The instrument gets another ticker symbol.
    SymbolChange,
}

/// What a corporate action means for one account.
#[derive(Clone)]
pub struct Entitlement(pub entitlement::Model);

/// What a corporate action means for one account.
#[breadth]
impl Entitlement {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Account that held the shares.
    fn account(&self) -> One<Account> {
        One::of(self.0.account_id)
    }

    /// The corporate action.
    fn corporate_action(&self) -> One<CorporateAction> {
        One::of(self.0.corporate_action_id)
    }

    /// Instrument that was held.
    fn instrument(&self) -> One<Instrument> {
        One::of(self.0.instrument_id)
    }

    /// Number of shares held at the close before the ex-date.
    fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// Number of shares after a split, or at a change of the symbol. Null for a dividend.
    fn new_quantity(&self) -> Option<Decimal> {
        self.0.new_quantity.map(Decimal::from)
    }

    /// Dividend, or the amount for fractions of shares; it is still to be paid until `appliedAt`.
    fn cash(&self) -> Money {
        self.0.cash.into()
    }

    /// Time when the dividend was paid, or the split or the change was applied; null until then.
    fn applied_at(&self) -> Option<DateTime> {
        self.0.applied_at.map(DateTime)
    }

    /// Order to reinvest the dividend, also if it was not filled. Null if none was placed.
    fn reinvestment(&self) -> Maybe<Order> {
        Maybe::of(self.0.reinvestment_id)
    }
}

/// Terms of the corporate action; set exactly one field.
#[derive(Clone, Debug, OneofObject)]
pub enum CorporateActionTermsInput {
    /// A payment in cash for each share.
    CashDividend(CashDividendInput),
    /// Shares become more shares.
    Split(SplitInput),
    /// Shares become fewer shares.
    ReverseSplit(SplitInput),
    /// Another ticker symbol.
    SymbolChange(SymbolChangeInput),
}

/// A payment in cash for each share.
#[derive(Clone, Debug, InputObject)]
pub struct CashDividendInput {
    /// Dividend for each share, with at most six decimals, for example "0.2475".
    per_share: MoneyInput,
    /// Record date, on or after the ex-date, unless `payOn` is before the ex-date. By default the earlier of `exOn` and
    /// `payOn`.
    record_on: Option<Date>,
    /// Date of the payment, a banking day on or after the record date. If the dividend is at least 25 % of the price,
    /// this may be the trading day before the ex-date; then the dividend is paid on the ex-date.
    pay_on: Date,
}

/// Ratio of a split: `oldShares` become `newShares`.
#[derive(Clone, Debug, InputObject)]
pub struct SplitInput {
    /// Number of new shares, for example 3 if 2 shares become 3; at most 10,000.
    new_shares: i32,
    /// Number of old shares, for example 2 if 2 shares become 3; at most 10,000.
    old_shares: i32,
    /// Whether all fractions of a share are paid in cash. Otherwise only fractions smaller than 0.0001 share are.
    #[graphql(default)]
    whole_shares_only: bool,
    /// Price of a share after the split, at which fractions are paid in cash. Required if there can be such fractions.
    cash_in_lieu_price: Option<MoneyInput>,
}

impl SplitInput {
    fn ratio(self, field: &str) -> domain::Result<Ratio> {
        let price = self
            .cash_in_lieu_price
            .map(|price| price.amount.amount(&format!("terms.{field}.cashInLieuPrice.amount")));
        Ok(Ratio {
            new_shares: self.new_shares.into(),
            old_shares: self.old_shares.into(),
            is_whole_shares: self.whole_shares_only,
            cash_price: price.transpose()?,
        })
    }
}

/// Another ticker symbol.
#[derive(Clone, Debug, InputObject)]
pub struct SymbolChangeInput {
    /// New ticker symbol, which no other instrument has.
    symbol: String,
}

impl CorporateActionTermsInput {
    fn parse(self) -> domain::Result<Terms> {
        Ok(match self {
            Self::CashDividend(dividend) => Terms::CashDividend {
                per_share: dividend.per_share.amount.amount("terms.cashDividend.perShare.amount")?,
                record_on: dividend
                    .record_on
                    .map(|day| parsed(&day, "terms.cashDividend.recordOn"))
                    .transpose()?,
                pay_on: parsed(&dividend.pay_on, "terms.cashDividend.payOn")?,
            },
            Self::Split(split) => Terms::Split(split.ratio("split")?),
            Self::ReverseSplit(split) => Terms::ReverseSplit(split.ratio("reverseSplit")?),
            Self::SymbolChange(change) => Terms::SymbolChange { symbol: change.symbol },
        })
    }
}

#[mutations]
impl CorporateActionMutation {
    /// Announces a cash dividend, split, reverse split or symbol change, which is applied on its ex-date to the
    /// accounts of the partner that hold the instrument. Requires scope `operate`.
    #[answers(corporate_action: CorporateAction)]
    fn corporate_action_apply(
        idempotency_key: String,
        /// Ticker symbol (case-insensitive) or id of the instrument.
        symbol: String,
        /// First trading day without the dividend, or after the split or the change. Later than today, by the
        /// partner's clock; whoever holds shares at the close before is entitled.
        ex_on: Date,
        /// What happens to the shares.
        terms: CorporateActionTermsInput,
    ) -> domain::Result<ApplyCorporateAction> {
        let (ex_on, terms) = domain::both(parsed(&ex_on, "exOn"), terms.parse())?;
        Ok(ApplyCorporateAction { symbol, ex_on, terms })
    }

    /// Withdraws a corporate action before its ex-date. It then no longer exists. Requires scope `operate`.
    #[answers(corporate_action: CorporateAction)]
    fn corporate_action_withdraw(
        idempotency_key: String,
        corporate_action_id: IdOf<CorporateAction>,
    ) -> WithdrawCorporateAction;
}

/// Filter for corporate actions. An action must match all the fields that are given.
#[derive(Clone, Default, InputObject)]
pub struct CorporateActionFilter {
    /// Only actions of these kinds. If omitted or empty, all kinds.
    kinds: Option<Vec<CorporateActionKind>>,
    /// Only actions of the instrument with this ticker symbol, case-insensitive.
    symbol: Option<String>,
    /// Only actions with this ex-date or a later one.
    ex_from: Option<Date>,
    /// Only actions with an earlier ex-date.
    ex_before: Option<Date>,
}

impl CorporateActionFilter {
    fn conditions(self) -> domain::Result<Vec<Filter>> {
        let day = |day: Option<Date>, field: &str| day.map(|day| parsed(&day, field)).transpose();
        let (from, before) =
            domain::both(day(self.ex_from, "filter.exFrom"), day(self.ex_before, "filter.exBefore"))?;
        let kinds = self.kinds.unwrap_or_default().into_iter().map(corporate_action::ActionKind::from);
        Ok([
            Filter::one_of(corporate_action::Column::Kind, kinds),
            self.symbol.map(|symbol| instruments::of_symbol(&symbol)),
            from.map(|day| Filter::from_day(corporate_action::Column::ExOn, day)),
            before.map(|day| Filter::before_day(corporate_action::Column::ExOn, day)),
        ]
        .into_iter()
        .flatten()
        .collect())
    }
}

sort_by!(
    /// Sort order of corporate actions.
    CorporateActionSort, CorporateActionSortField of corporate_action, default AnnouncedAt Desc {
        /// Time when the action was announced.
        AnnouncedAt [],
        /// Ex-date.
        ExOn [ExOn],
    }
);

#[derive(Default)]
pub struct CorporateActionQuery;

#[breadth]
impl CorporateActionQuery {
    /// Returns the corporate actions that the partner has announced, newest first by default. Requires scope `read`.
    fn corporate_actions(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(desc = "Filter for the corporate actions.")] filter: Option<CorporateActionFilter>,
        #[graphql(desc = "Sort order; newest first by default.")] order_by: Option<CorporateActionSort>,
    ) -> Result<Option<ListOf<CorporateAction>>> {
        let filters = filter.unwrap_or_default().conditions()?;
        Ok(Some(ListOf::sorted(view, &page, filters, order_by)?))
    }
}
