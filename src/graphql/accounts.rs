//! The GraphQL face of brokerage accounts.

use super::{
    core::{
        context::RequestContext,
        pages::{Connection, Item},
        scalars::{DateTime, Money},
    },
    funding::transfers::Transfer,
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
    trading::balances::Balance,
};
use entity::{Kind, account, order, position, transfer, user};
use uuid::Uuid;

mod inputs;
mod operations;
mod options;

pub use operations::{AccountMutation, AccountQuery};

/// A brokerage account.
pub struct Account(pub account::Model);

/// A brokerage account.
#[Object]
impl Account {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Four letters and five digits, for people.
    async fn number(&self) -> &str {
        &self.0.number
    }

    /// What it is for.
    #[graphql(name = "type")]
    async fn kind(&self) -> AccountType {
        self.0.kind.into()
    }

    /// Who owns it.
    async fn ownership(&self) -> AccountOwnership {
        self.0.ownership.into()
    }

    /// Where it is in its life.
    async fn status(&self) -> AccountStatus {
        self.0.status.into()
    }

    /// Why it was frozen or closed; null where it was not, and without the scope `operate`.
    async fn status_reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let reason = accounts::status_reason(ctx.app(), ctx.actor(), &self.0)?;
        Ok(reason.map(|reason| reason.reveal().clone()))
    }

    /// The person it belongs to; null for a person who has signed in and is somebody else.
    async fn owner(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        Ok(ctx.loaders().find_own::<user::Entity>(self.0.user_id).await?.map(User))
    }

    /// The other person it belongs to; null for an individual account, until she is named, and for a person
    /// who has signed in and is somebody else.
    async fn joint_member(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0.joint_member_id {
            Some(id) => Ok(ctx.loaders().find_own::<user::Entity>(id).await?.map(User)),
            None => Ok(None),
        }
    }

    /// What the owner said about herself; null for a person who has signed in and is somebody else.
    async fn profile(&self, ctx: &Context<'_>) -> Option<AccountProfile> {
        ctx.actor().may_see_personal_data_of(self.0.user_id).then(|| Profile::of(&self.0).into())
    }

    /// Cash and market value; null while it cannot be had.
    async fn balance(&self, ctx: &Context<'_>) -> Result<Option<AccountBalance>> {
        Ok(ctx.loaders().balance(self.0.id).await?.map(AccountBalance::from))
    }

    /// Holdings, newest first; a holding that was sold stays at zero.
    async fn positions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Connection<Position>> {
        let page = ctx.page::<Position>(first, after, last, before)?;
        let slice = ctx.loaders().children::<position::Entity>(self.0.id, page, Vec::new()).await?;
        Ok(Connection::new(slice, Position))
    }

    /// Orders, newest first.
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
        #[graphql(desc = "Which ones.")] filter: Option<OrderFilter>,
    ) -> Result<Connection<Order>> {
        let page = ctx.page::<Order>(first, after, last, before)?;
        let states = filter.unwrap_or_default().texts();
        let slice = ctx.loaders().children::<order::Entity>(self.0.id, page, states).await?;
        Ok(Connection::new(slice, Order))
    }

    /// Deposits and withdrawals, newest first.
    async fn transfers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Connection<Transfer>> {
        let page = ctx.page::<Transfer>(first, after, last, before)?;
        let slice = ctx.loaders().children::<transfer::Entity>(self.0.id, page, Vec::new()).await?;
        Ok(Connection::new(slice, Transfer))
    }

    /// When it was opened.
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

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::account::AccountKind")]
pub enum AccountType {
    /// Cash and simple trading.
    Cash,
    /// Investing, with what that asks of a customer.
    Investment,
}

/// Who owns an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::account::Ownership")]
pub enum AccountOwnership {
    /// One person.
    Individual,
    /// Two persons.
    Joint,
}

/// Where an account is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::account::Status")]
pub enum AccountStatus {
    /// May be used.
    Active,
    /// No new activity.
    Frozen,
    /// Over.
    Closed,
}

/// Cash and market value of an account at one instant.
#[derive(Clone, Debug, SimpleObject)]
pub struct AccountBalance {
    /// Settled and unsettled cash and positions at the last price; pending deposits are not in it.
    total: Money,
    /// Settled and unsettled cash less what open orders may cost.
    buying_power: Money,
    /// Settled cash less what open orders may cost.
    withdrawable: Money,
    /// Instant of the valuation, by the partner's clock.
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

/// What a customer said about herself, in her own spelling.
#[derive(Clone, Debug, SimpleObject)]
pub struct AccountProfile {
    /// Marital status.
    marital_status: String,
    /// ISO 3166-1 code, three letters.
    country_of_citizenship: String,
    /// Whether and how employed.
    employment_status: String,
    /// Occupation.
    employment_position: String,
    /// Employer.
    employer_name: String,
    /// Yearly income.
    annual_income: Option<String>,
    /// What investing is for.
    investment_objective: Option<String>,
    /// How much of it was done before.
    investment_experience: Option<String>,
    /// Net worth that can be sold quickly.
    net_liquid_worth: Option<String>,
    /// Net worth in all.
    net_total_worth: Option<String>,
    /// Whether a director, officer or owner of a tenth of a public company.
    is_director: Option<bool>,
    /// Of which company.
    director_of: Option<String>,
    /// How much risk is taken.
    risk_tolerance: Option<String>,
}

impl From<Profile> for AccountProfile {
    fn from(profile: Profile) -> Self {
        Self {
            marital_status: profile.marital_status,
            country_of_citizenship: profile.country_of_citizenship,
            employment_status: profile.employment_status,
            employment_position: profile.employment_position,
            employer_name: profile.employer_name,
            annual_income: profile.annual_income,
            investment_objective: profile.investment_objective,
            investment_experience: profile.investment_experience,
            net_liquid_worth: profile.net_liquid_worth,
            net_total_worth: profile.net_total_worth,
            is_director: profile.is_director,
            director_of: profile.director_of,
            risk_tolerance: profile.risk_tolerance,
        }
    }
}
