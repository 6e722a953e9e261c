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
    trading::{
        orders::{Order, OrderFilter},
        positions::Position,
    },
};
use crate::wire::Result;
use async_graphql::{Enum, ID, SimpleObject};
use domain::{
    accounts::{self, Profile},
    kernel::lists::Filter,
    trading::balances::Balance,
};
use entity::{account, position};
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
        lookup(Some(BalanceOf(self.0.id)), |_, balance| Ok(balance.map(AccountBalance::from)))
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
    /// Settled and unsettled cash plus positions at the last price. Pending deposits are not included.
    total: Money,
    /// Cash available for new orders: settled and unsettled cash minus holds for open orders.
    buying_power: Money,
    /// Cash available for withdrawal: settled cash minus holds for open orders.
    withdrawable: Money,
    /// Time of the valuation, by the partner's clock.
    as_of: DateTime,
}

impl From<Balance> for AccountBalance {
    fn from(balance: Balance) -> Self {
        Self {
            total: balance.total.into(),
            buying_power: balance.buying_power.into(),
            withdrawable: balance.withdrawable.into(),
            as_of: balance.at.into(),
        }
    }
}
