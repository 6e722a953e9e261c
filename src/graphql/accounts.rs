//! The GraphQL face of brokerage accounts.

use super::{
    context::RequestContext,
    errors::{GeneralUserError, payload},
    instruments::Instrument,
    orders::{Order, OrderFilter},
    page::{Connection, Item},
    scalars::{DateTime, Decimal, Money},
    transfers::Transfer,
    users::User,
};
use crate::{
    domain::{
        self,
        accounts::{self, NewAccount},
        balances::Balance,
        command,
        idempotency::Key,
        ids,
    },
    wire::{self, Result},
};
use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use entity::{Kind, Money as Cents, account, instrument, order, position, transfer, user};
use uuid::Uuid;

mod options;

use options::{EmploymentStatus, InvestmentExperience, InvestmentObjective, LiquidWealthBand, MaritalStatus, RiskTolerance, WealthBand};

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

    /// The person it belongs to.
    async fn owner(&self, ctx: &Context<'_>) -> Result<User> {
        Ok(User(ctx.loaders().get::<user::Entity>(self.0.user_id).await?))
    }

    /// What the owner said about herself.
    async fn profile(&self) -> AccountProfile {
        AccountProfile::of(&self.0)
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

impl AccountProfile {
    fn of(account: &account::Model) -> Self {
        let account = account.clone();
        Self {
            marital_status: account.marital_status,
            country_of_citizenship: account.country_of_citizenship,
            employment_status: account.employment_status,
            employment_position: account.employment_position,
            employer_name: account.employer_name,
            annual_income: account.annual_income,
            investment_objective: account.investment_objective,
            investment_experience: account.investment_experience,
            net_liquid_worth: account.net_liquid_worth,
            net_total_worth: account.net_total_worth,
            is_director: account.is_director,
            director_of: account.director_of,
            risk_tolerance: account.risk_tolerance,
        }
    }
}

/// A holding of one instrument in one account.
pub struct Position(pub position::Model);

/// A holding of one instrument in one account.
#[Object]
impl Position {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// The account that holds it.
    async fn account(&self, ctx: &Context<'_>) -> Result<Account> {
        Ok(Account(ctx.loaders().get::<account::Entity>(self.0.account_id).await?))
    }

    /// What is held.
    async fn instrument(&self, ctx: &Context<'_>) -> Result<Instrument> {
        Ok(Instrument(ctx.loaders().get::<instrument::Entity>(self.0.instrument_id).await?))
    }

    /// Shares held, fractions allowed.
    async fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// What was paid for what is held.
    async fn cost_basis(&self) -> Money {
        self.0.cost_basis.into()
    }

    /// Worth at the last price; null without a quote.
    async fn market_value(&self, ctx: &Context<'_>) -> Result<Option<Money>> {
        let quote = ctx.loaders().quote(self.0.instrument_id).await?;
        Ok(quote.and_then(|quote| Cents::cost(self.0.quantity, quote.last)).map(Money::from))
    }
}

impl Item for Position {
    const KIND: Kind = Kind::Position;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}

/// Input of accountOpen.
#[derive(InputObject)]
pub struct AccountOpenInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Who will own it.
    user_id: ID,
    /// What it is for.
    #[graphql(name = "type")]
    kind: AccountType,
    /// Marital status.
    marital_status: MaritalStatus,
    /// ISO 3166-1 code, three letters.
    country_of_citizenship: String,
    /// Whether and how employed.
    employment_status: EmploymentStatus,
    /// Occupation.
    employment_position: String,
    /// Employer.
    employer_name: String,
    /// Yearly income; needed for INVESTMENT.
    annual_income: Option<WealthBand>,
    /// What investing is for; needed for INVESTMENT.
    investment_objective: Option<InvestmentObjective>,
    /// How much of it was done before; needed for INVESTMENT.
    investment_experience: Option<InvestmentExperience>,
    /// Net worth that can be sold quickly; needed for INVESTMENT.
    net_liquid_worth: Option<LiquidWealthBand>,
    /// Net worth in all; needed for INVESTMENT.
    net_total_worth: Option<WealthBand>,
    /// Whether a director, officer or owner of a tenth of a public company; needed for INVESTMENT.
    is_director: Option<bool>,
    /// Of which company; needed for a director.
    director_of: Option<String>,
    /// How much risk is taken; needed for INVESTMENT.
    risk_tolerance: Option<RiskTolerance>,
}

impl AccountOpenInput {
    fn parse(self) -> domain::Result<(Option<Key>, NewAccount)> {
        let key = self.idempotency_key.as_deref().map(|key| Key::parse("idempotencyKey", key)).transpose()?;
        let kind = match self.kind {
            AccountType::Cash => "cash",
            AccountType::Investment => "investment",
        };
        let new = NewAccount {
            user_id: ids::parse(Kind::User, &self.user_id),
            ownership: "individual".to_owned(),
            kind: kind.to_owned(),
            marital_status: self.marital_status.text(),
            country_of_citizenship: self.country_of_citizenship,
            employment_status: self.employment_status.text(),
            employment_position: self.employment_position,
            employer_name: self.employer_name,
            annual_income: self.annual_income.map(WealthBand::text),
            investment_objective: self.investment_objective.map(InvestmentObjective::text),
            investment_experience: self.investment_experience.map(InvestmentExperience::text),
            net_liquid_worth: self.net_liquid_worth.map(LiquidWealthBand::text),
            net_total_worth: self.net_total_worth.map(WealthBand::text),
            is_director: self.is_director,
            director_of: self.director_of,
            risk_tolerance: self.risk_tolerance.map(RiskTolerance::text),
        };
        Ok((key, new))
    }
}

payload!(
    /// Outcome of accountOpen.
    AccountOpenPayload {
        /// The account, null when refused.
        account: Account,
        GeneralUserError
    }
);

#[derive(Default)]
pub struct AccountQuery;

#[Object]
impl AccountQuery {
    /// An account by id; null when there is none or it is not yours; scope `read`.
    async fn account(&self, ctx: &Context<'_>, #[graphql(desc = "Opaque id.")] id: ID) -> Result<Option<Account>> {
        let id = ids::parse(Kind::Account, &id);
        Ok(accounts::find(&ctx.loaders().connection().await?, ctx.actor(), id).await?.map(Account))
    }
}

#[derive(Default)]
pub struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Open an account of one's own for an approved person; scope `manage`.
    async fn account_open(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "For whom, and what she says about herself.")] input: AccountOpenInput,
    ) -> Result<Option<AccountOpenPayload>> {
        let opened = match input.parse() {
            Ok((key, new)) => accounts::open(ctx.app(), ctx.actor(), key, new).await,
            Err(error) => Err(command::unreadable::<NewAccount>(ctx.actor(), error)),
        };
        Ok(Some(wire::answered(opened)?.into()))
    }
}
