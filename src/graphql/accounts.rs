//! GraphQL types for brokerage accounts.

use super::{
    core::{
        context::RequestContext,
        pages::{Connection, Item},
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
use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use domain::{
    accounts::{self, Profile},
    kernel::lists::Filter,
    trading::balances::Balance,
};
use entity::{Kind, account, order, position, transfer, user};
use uuid::Uuid;

mod inputs;
mod lists;
mod operations;
mod options;
mod profile;

use profile::AccountProfile;

pub use operations::{AccountMutation, AccountQuery};

/// Brokerage account.
pub struct Account(pub account::Model);

/// Brokerage account.
#[Object]
impl Account {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Human-readable account number, for example `ABCD12345`.
    async fn number(&self) -> &str {
        &self.0.number
    }

    /// Account type.
    #[graphql(name = "type")]
    async fn kind(&self) -> AccountType {
        self.0.kind.into()
    }

    /// Individual or joint ownership.
    async fn ownership(&self) -> AccountOwnership {
        self.0.ownership.into()
    }

    /// Lifecycle status.
    async fn status(&self) -> AccountStatus {
        self.0.status.into()
    }

    /// Reason why the account was frozen or closed. Null for an active account and without scope `operate`.
    async fn status_reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let reason = accounts::status_reason(ctx.app(), ctx.actor(), &self.0)?;
        Ok(reason.map(|reason| reason.reveal().clone()))
    }

    /// Primary owner. Null if the caller is a different signed-in user.
    async fn owner(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        Ok(ctx.loaders().find::<user::Entity>(self.0.user_id).await?.map(User))
    }

    /// Second owner of a joint account. Null for an individual account, while no second owner is named, and
    /// if the caller is a different signed-in user.
    async fn joint_member(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0.joint_member_id {
            Some(id) => Ok(ctx.loaders().find::<user::Entity>(id).await?.map(User)),
            None => Ok(None),
        }
    }

    /// Financial profile of the primary owner. Null if the caller is a different signed-in user.
    async fn profile(&self, ctx: &Context<'_>) -> Result<Option<AccountProfile>> {
        let may_see = ctx.actor().may_see_personal_data_of(self.0.user_id);
        Ok(may_see.then(|| AccountProfile::of(Profile::of(&self.0))).transpose()?)
    }

    /// Cash, buying power and total value. Null while market prices are unavailable.
    async fn balance(&self, ctx: &Context<'_>) -> Result<Option<AccountBalance>> {
        Ok(ctx.loaders().balance(self.0.id).await?.map(AccountBalance::from))
    }

    /// Positions, newest first.
    async fn positions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(
            default = false,
            desc = "Whether to include positions that were sold completely; their quantity is zero."
        )]
        include_closed: bool,
    ) -> Result<Connection<Position>> {
        let page = ctx.page::<Position>(first, after, last, before)?;
        let filters =
            if include_closed { Vec::new() } else { vec![Filter::not_zero(position::Column::Quantity)] };
        let slice = ctx.loaders().children::<position::Entity>(self.0.id, page, filters).await?;
        Ok(Connection::new(slice, Position))
    }

    /// Orders, newest first.
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Filter for the orders.")] filter: Option<OrderFilter>,
    ) -> Result<Connection<Order>> {
        let page = ctx.page::<Order>(first, after, last, before)?;
        let filters = filter.unwrap_or_default().conditions();
        let slice = ctx.loaders().children::<order::Entity>(self.0.id, page, filters).await?;
        Ok(Connection::new(slice, Order))
    }

    /// Deposits and withdrawals, newest first.
    async fn transfers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Filter for the transfers.")] filter: Option<TransferFilter>,
    ) -> Result<Connection<Transfer>> {
        let page = ctx.page::<Transfer>(first, after, last, before)?;
        let filters = filter.unwrap_or_default().conditions();
        let slice = ctx.loaders().children::<transfer::Entity>(self.0.id, page, filters).await?;
        Ok(Connection::new(slice, Transfer))
    }

    /// Time when the account was opened.
    async fn opened_at(&self) -> DateTime {
        self.0.opened_at.into()
    }
}

impl Item for Account {
    const KIND: Kind = Kind::Account;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}

impl From<account::Model> for Account {
    fn from(row: account::Model) -> Self {
        Self(row)
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::account::AccountKind")]
pub enum AccountType {
    /// Cash account; answers about investing are optional.
    Cash,
    /// Investment account; requires all answers about investing.
    Investment,
}

/// Ownership of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::account::Ownership")]
pub enum AccountOwnership {
    /// One owner.
    Individual,
    /// Two owners.
    Joint,
}

/// Lifecycle status of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
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
#[derive(Clone, Debug, SimpleObject)]
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
