//! GraphQL types for brokerage accounts.

use super::{
    core::{
        breadth::{ListOf, Lookup, Maybe, lookup},
        context::Viewpoint,
        loaders::BalanceOf,
        pages::PageArgs,
        scalars::{DateTime, Money},
    },
    funding::transfers::{Transfer, TransferFilter},
    people::users::User,
    reporting::statements::{Statement, StatementFilter},
    trading::{
        corporate_actions::Entitlement,
        gains::{RealizedGain, RealizedGainFilter},
        lots::{LotMethod, TaxLot, TaxLotFilter},
        orders::{Order, OrderFilter},
        positions::Position,
        violations::SettlementViolation,
    },
};
use crate::wire::Result;
use async_graphql::{Enum, ID, SimpleObject};
use chrono::{DateTime as Instant, Utc};
use domain::{
    accounts::{self, Profile},
    kernel::lists::Filter,
    trading::{balances::Balance, lots},
};
use entity::{account, entitlement, position};
use macros::{Fields, Leaf, breadth};

mod inputs;
mod lists;
mod operations;
mod options;
mod profile;

use profile::AccountProfile;

pub use inputs::AccountMutation;
pub use operations::AccountQuery;

/// Brokerage account.
#[derive(Clone)]
pub struct Account(pub account::Model);

/// Brokerage account.
#[breadth]
impl Account {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Human-readable account number, for example `ABCD12345`.
    fn number(&self) -> &str {
        &self.0.number
    }

    /// Account type.
    #[graphql(name = "type")]
    fn kind(&self) -> AccountType {
        self.0.kind.into()
    }

    /// Individual or joint ownership.
    fn ownership(&self) -> AccountOwnership {
        self.0.ownership.into()
    }

    /// Lifecycle status.
    fn status(&self) -> AccountStatus {
        self.0.status.into()
    }

    /// How the gains of the account are taxed.
    fn tax_treatment(&self) -> TaxTreatment {
        self.0.tax_treatment.into()
    }

    /// Order in which sales close tax lots, unless an order says otherwise.
    fn lot_method(&self) -> LotMethod {
        self.0.lot_method.into()
    }

    /// What happens to dividends.
    fn dividend_option(&self) -> DividendOption {
        self.0.dividend_option.into()
    }

    /// Time until which only settled cash buys shares, after repeated violations of the settlement rules. Null if
    /// the account was never restricted.
    fn settled_cash_only_until(&self) -> Option<DateTime> {
        self.0.settled_cash_only_until.map(DateTime)
    }

    /// Time when the account is unfrozen by itself. Null unless it was frozen for a time.
    fn frozen_until(&self) -> Option<DateTime> {
        self.0.frozen_until.map(DateTime)
    }

    /// Reason why the account was frozen or closed. Null for an active account and without scope `operate`.
    fn status_reason(&self, view: &Viewpoint) -> Result<Option<String>> {
        let reason = accounts::status_reason(view.app(), view.actor(), &self.0)?;
        Ok(reason.map(|reason| reason.reveal().clone()))
    }

    /// Primary owner. Null if the caller is a different signed-in user.
    fn owner(&self) -> Maybe<User> {
        Maybe::of(Some(self.0.user_id))
    }

    /// Second owner of a joint account. Null for an individual account, while no second owner is named, and
    /// if the caller is a different signed-in user.
    fn joint_member(&self) -> Maybe<User> {
        Maybe::of(self.0.joint_member_id)
    }

    /// Financial profile of the primary owner. Null if the caller is a different signed-in user.
    fn profile(&self, view: &Viewpoint) -> Result<Option<AccountProfile>> {
        let may_see = view.actor().may_see_personal_data_of(self.0.user_id);
        Ok(may_see.then(|| AccountProfile::of(Profile::of(&self.0))).transpose()?)
    }

    /// Cash, buying power and total value. Null while market prices are unavailable.
    fn balance(&self) -> Lookup<BalanceOf, Option<AccountBalance>> {
        let settled_cash_only_until = self.0.settled_cash_only_until;
        lookup(Some(BalanceOf(self.0.id)), move |_, balance| {
            Ok(balance.map(|balance| AccountBalance::of(settled_cash_only_until, balance)))
        })
    }

    /// Positions, newest first.
    fn positions(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(
            default = false,
            desc = "Whether to include positions that were sold completely; their quantity is zero."
        )]
        include_closed: bool,
    ) -> Result<ListOf<Position>> {
        let filters =
            if include_closed { Vec::new() } else { vec![Filter::not_zero(position::Column::Quantity)] };
        ListOf::under(view, self.0.id, &page, filters)
    }

    /// Tax lots with shares that have not been sold, newest first.
    fn tax_lots(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(default = false, desc = "Whether to include lots whose shares were all sold.")]
        include_closed: bool,
        #[graphql(desc = "Filter for the lots.")] filter: Option<TaxLotFilter>,
    ) -> Result<ListOf<TaxLot>> {
        let mut filters = filter.unwrap_or_default().conditions();
        filters.extend((!include_closed).then(|| Filter::not_zero(lots::OPEN_QUANTITY)));
        ListOf::under(view, self.0.id, &page, filters)
    }

    /// Realized gains and losses, one for each lot that a sale closed, newest first.
    fn realized_gains(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(desc = "Filter for the gains.")] filter: Option<RealizedGainFilter>,
    ) -> Result<ListOf<RealizedGain>> {
        ListOf::under(view, self.0.id, &page, filter.unwrap_or_default().conditions())
    }

    /// Violations of the settlement rules of cash accounts, newest first. The third good-faith violation within
    /// twelve months restricts the account to settled cash for 90 days; free-riding freezes it for 90 days.
    fn settlement_violations(&self, view: &Viewpoint, page: PageArgs) -> Result<ListOf<SettlementViolation>> {
        ListOf::under(view, self.0.id, &page, Vec::new())
    }

    /// What corporate actions mean for the account, newest first.
    fn entitlements(&self, view: &Viewpoint, page: PageArgs) -> Result<ListOf<Entitlement>> {
        ListOf::under(view, self.0.id, &page, vec![Filter::not_zero(entitlement::Column::Quantity)])
    }

    /// Orders, newest first.
    fn orders(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(desc = "Filter for the orders.")] filter: Option<OrderFilter>,
    ) -> Result<ListOf<Order>> {
        ListOf::under(view, self.0.id, &page, filter.unwrap_or_default().conditions())
    }

    /// Deposits and withdrawals, newest first.
    fn transfers(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(desc = "Filter for the transfers.")] filter: Option<TransferFilter>,
    ) -> Result<ListOf<Transfer>> {
        ListOf::under(view, self.0.id, &page, filter.unwrap_or_default().conditions())
    }

    /// Statements, newest first. On the first day of each month there is one for the month before, unless the account
    /// had nothing and nothing happened.
    fn statements(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(desc = "Filter for the statements.")] filter: Option<StatementFilter>,
    ) -> Result<ListOf<Statement>> {
        ListOf::under(view, self.0.id, &page, filter.unwrap_or_default().conditions()?)
    }

    /// Time when the account was opened.
    fn opened_at(&self) -> DateTime {
        self.0.opened_at.into()
    }
}

impl AccountType {
    fn text(self) -> String {
        match self {
            Self::Cash => "cash",
            Self::Investment => "investment",
        }
        .to_owned()
    }
}

impl AccountOwnership {
    fn text(self) -> String {
        match self {
            Self::Individual => "individual",
            Self::Joint => "joint",
        }
        .to_owned()
    }
}

/// Account type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::account::AccountKind")]
pub enum AccountType {
    /// Cash account; answers about investing are optional.
    Cash,
    /// Investment account; requires all answers about investing.
    Investment,
}

/// Ownership of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::account::Ownership")]
pub enum AccountOwnership {
    /// One owner.
    Individual,
    /// Two owners.
    Joint,
}

/// How the gains of an account are taxed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::account::TaxTreatment")]
pub enum TaxTreatment {
    /// Gains and losses are taxed when they are realized.
    Taxable,
    /// Individual retirement account; withdrawals are taxed.
    TraditionalIra,
    /// Individual retirement account; qualified withdrawals are not taxed.
    RothIra,
}

/// What happens to the dividends of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::account::DividendOption")]
pub enum DividendOption {
    /// They stay in cash.
    Cash,
    /// They buy shares of the same instrument when the market is open.
    Reinvest,
}

/// Lifecycle status of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::account::Status")]
pub enum AccountStatus {
    /// Open for deposits and orders.
    Active,
    /// Deposits and new orders are refused. Open orders can be canceled, and pending activity settles.
    Frozen,
    /// Permanently closed.
    Closed,
}

/// Cash, buying power and total value of an account at one point in time.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct AccountBalance {
    /// Settled and unsettled cash plus positions at the last price, less what is owed. Pending deposits and pending
    /// withdrawals are not included.
    total: Money,
    /// Cash available for new orders: settled and unsettled cash minus holds for open orders. Without unsettled
    /// cash while the account is restricted to settled cash, and zero while it owes money.
    buying_power: Money,
    /// Cash available for withdrawal: settled cash minus holds for open orders, and zero while the account owes money.
    withdrawable: Money,
    /// Cash from settled deposits and trades.
    settled_cash: Money,
    /// Proceeds of sales, and deposits that are available at once, that have not settled. They can be used to buy
    /// shares, but cannot be withdrawn.
    unsettled_cash: Money,
    /// Part of the settled and unsettled cash that open orders hold.
    held_cash: Money,
    /// Deposits whose money has not arrived and cannot be spent yet.
    pending_deposits: Money,
    /// Money set aside for withdrawals that have not been paid.
    pending_withdrawals: Money,
    /// Money owed because a deposit was returned after it was spent. Purchases are refused until it is repaid, by
    /// the next cash that arrives.
    owed: Money,
    /// Time of the valuation, by the partner's clock.
    as_of: DateTime,
}

impl AccountBalance {
    fn of(settled_cash_only_until: Option<Instant<Utc>>, balance: Balance) -> Self {
        let is_restricted = settled_cash_only_until.is_some_and(|until| balance.at < until);
        Self {
            total: balance.total.into(),
            buying_power: if is_restricted { balance.settled_buying_power } else { balance.buying_power }
                .into(),
            withdrawable: balance.withdrawable.into(),
            settled_cash: balance.settled_cash.into(),
            unsettled_cash: balance.unsettled_cash.into(),
            held_cash: balance.held_cash.into(),
            pending_deposits: balance.pending_deposits.into(),
            pending_withdrawals: balance.pending_withdrawals.into(),
            owed: balance.owed.into(),
            as_of: balance.at.into(),
        }
    }
}
