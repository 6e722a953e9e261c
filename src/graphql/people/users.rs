//! The GraphQL face of people.

pub mod inputs;

use crate::{
    graphql::{
        access::{
            invitations::Employer,
            second_factors::{TwoFactorMethod, methods},
        },
        accounts::Account,
        compliance::kyc::{Kyc, KycCheck, KycRequirement},
        core::{
            context::RequestContext,
            loaders::ByJointMember,
            pages::{Connection, Item},
            scalars::DateTime,
        },
        funding::bank_accounts::BankAccount,
    },
    wire::{self, Result},
};
use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use domain::{
    Who,
    compliance::{
        kyc as checks,
        registration::{self, Registered},
    },
    kernel::ids,
    people::{
        applicants::{self},
        person, users,
    },
};
use entity::{Kind, account, bank_account, invitation, kyc, user};
use inputs::{UserCreateInput, UserCreatePayload, UserUpdateInput, UserUpdatePayload};
use uuid::Uuid;

/// A person whom a partner serves.
pub struct User(pub user::Model);

/// A person whom a partner serves.
#[Object]
impl User {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Identity verification status; always `PENDING` for a publishable key.
    async fn status(&self, ctx: &Context<'_>) -> UserStatus {
        if ctx.actor().may_see_results() { self.0.status.into() } else { UserStatus::Pending }
    }

    /// Given name; null until it is known.
    async fn first_name(&self) -> Option<&str> {
        Some(self.0.first_name.as_str()).filter(|name| !name.is_empty())
    }

    /// Family name; null until it is known.
    async fn last_name(&self) -> Option<&str> {
        Some(self.0.last_name.as_str()).filter(|name| !name.is_empty())
    }

    /// Gender in the person's own words; null until it is known.
    async fn gender(&self) -> Option<&str> {
        self.0.gender.as_deref()
    }

    /// Employer whose invitation the person came by; null for one who came without.
    async fn employer(&self, ctx: &Context<'_>) -> Result<Option<Employer>> {
        let Some(id) = self.0.invitation_id else { return Ok(None) };
        Ok(Employer::of(&ctx.loaders().get::<invitation::Entity>(id).await?))
    }

    /// Second factors that the person has set up.
    async fn two_factor_methods(&self, ctx: &Context<'_>) -> Result<Vec<TwoFactorMethod>> {
        Ok(methods(&ctx.loaders().factors(self.0.id).await?))
    }

    /// E-mail address.
    async fn email(&self) -> &str {
        &self.0.email
    }

    /// Last four digits of the phone number; null when none was given.
    async fn phone_last4(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let phone = applicants::phone(ctx.app(), &self.0)?;
        Ok(phone.map(|phone| person::last4(phone.reveal())))
    }

    /// Where the person lives; null until it is known.
    async fn address(&self) -> Option<Address> {
        Address::of(&self.0)
    }

    /// Current identity check. Null before there was one, and for a publishable key.
    async fn kyc(&self, ctx: &Context<'_>) -> Result<Option<Kyc>> {
        if !ctx.actor().may_see_results() {
            return Ok(None);
        }
        Ok(ctx.loaders().kyc(self.0.id).await?.map(Kyc))
    }

    /// What the present identity check looked at, each with its part of the score. Empty before there was
    /// one, and without a secret key.
    async fn kyc_checks(&self, ctx: &Context<'_>) -> Result<Vec<KycCheck>> {
        if !ctx.actor().may_see_results() {
            return Ok(Vec::new());
        }
        let check = ctx.loaders().kyc(self.0.id).await?;
        Ok(check.map(|check| KycCheck::of(ctx, &check)).unwrap_or_default())
    }

    /// What the person must still supply before their identity is decided. Empty for a publishable key.
    async fn kyc_requirements(&self, ctx: &Context<'_>) -> Vec<KycRequirement> {
        let required = checks::required(self.0.status).filter(|_| ctx.actor().may_see_results());
        required.into_iter().map(KycRequirement::from).collect()
    }

    /// All identity checks, newest first.
    async fn kyc_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Connection<Kyc>> {
        let page = ctx.page::<Kyc>(first, after, last, before)?;
        let slice = ctx.loaders().children::<kyc::Entity>(self.0.id, page, Vec::new()).await?;
        Ok(Connection::new(slice, Kyc))
    }

    /// Joint accounts of which the person is not the owner but the joint member, newest first.
    async fn joint_accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Connection<Account>> {
        let page = ctx.page::<Account>(first, after, last, before)?;
        let slice =
            ctx.loaders().children_by::<account::Entity, ByJointMember>(self.0.id, page, Vec::new()).await?;
        Ok(Connection::new(slice, Account))
    }

    /// Brokerage accounts that the person owns, newest first.
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Connection<Account>> {
        let page = ctx.page::<Account>(first, after, last, before)?;
        let slice = ctx.loaders().children::<account::Entity>(self.0.id, page, Vec::new()).await?;
        Ok(Connection::new(slice, Account))
    }

    /// Bank account that money moves from and to when nothing else is said; null when there is none.
    async fn default_bank_account(&self, ctx: &Context<'_>) -> Result<Option<BankAccount>> {
        Ok(ctx.loaders().default_bank_account(self.0.id).await?.map(BankAccount))
    }

    /// Bank accounts outside, newest first.
    async fn bank_accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Connection<BankAccount>> {
        let page = ctx.page::<BankAccount>(first, after, last, before)?;
        let slice = ctx.loaders().children::<bank_account::Entity>(self.0.id, page, Vec::new()).await?;
        Ok(Connection::new(slice, BankAccount))
    }

    /// When the record was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

impl Item for User {
    const KIND: Kind = Kind::User;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}

/// Where a person's identity stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::user::Status")]
pub enum UserStatus {
    /// Something is missing and no check was made yet, or a publishable key asks.
    Pending,
    /// Questions must be answered.
    ActionRequired,
    /// Documents must be sent.
    DocumentationRequired,
    /// May open accounts, fund them and trade.
    Approved,
    /// Refused.
    Denied,
    /// No longer a customer.
    Closed,
}

/// A postal address.
#[derive(Clone, Debug, SimpleObject)]
pub struct Address {
    /// Street and number.
    line1: String,
    /// Apartment or unit.
    line2: Option<String>,
    /// City.
    city: String,
    /// State or province, two letters in the United States.
    state: String,
    /// Postal code.
    postal_code: String,
    /// ISO 3166-1 code, two letters.
    country_code: String,
}

impl Address {
    fn of(user: &user::Model) -> Option<Self> {
        Some(Self {
            line1: user.address_line_1.clone()?,
            line2: user.address_line_2.clone(),
            city: user.address_city.clone()?,
            state: user.address_state.clone()?,
            postal_code: user.address_postal_code.clone()?,
            country_code: user.address_country_code.clone()?,
        })
    }
}

impl From<Registered> for User {
    fn from(registered: Registered) -> Self {
        Self(registered.user)
    }
}

#[derive(Default)]
pub struct UserQuery;

#[Object]
impl UserQuery {
    /// The person who has signed in; null for a partner's key and for nobody.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let Who::User(user) = &ctx.actor().who else { return Ok(None) };
        Ok(users::find(&*ctx.loaders().connection().await?, ctx.actor(), user.user_id).await?.map(User))
    }

    /// A person by id; null when there is none or it is not yours; scope `read`.
    async fn user(&self, ctx: &Context<'_>, #[graphql(desc = "Opaque id.")] id: ID) -> Result<Option<User>> {
        let id = ids::parse(Kind::User, &id);
        Ok(users::find(&*ctx.loaders().connection().await?, ctx.actor(), id).await?.map(User))
    }

    /// The partner's people, newest first; scope `read`.
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<User>>> {
        let page = ctx.page::<User>(first, after, last, before)?;
        let slice = users::list(&*ctx.loaders().connection().await?, ctx.actor(), &page).await?;
        Ok(Some(Connection::new(slice, User)))
    }
}

#[derive(Default)]
pub struct UserMutation;

#[Object]
impl UserMutation {
    /// Register a person, whose identity is checked at once when everything for it is given; scope `start`,
    /// which `manage` implies.
    async fn user_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userCreate.")] input: UserCreateInput,
    ) -> Result<Option<UserCreatePayload>> {
        let (key, new) = input.parse();
        let registered = registration::register(ctx.app(), ctx.actor(), key, new).await;
        Ok(Some(wire::answered(registered)?.into()))
    }

    /// Change what is known of a person, or complete her; whatever her identity was checked by is checked
    /// again; scope `manage`.
    async fn user_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for userUpdate.")] input: UserUpdateInput,
    ) -> Result<Option<UserUpdatePayload>> {
        let (key, change) = input.parse();
        let updated = registration::update(ctx.app(), ctx.actor(), key, change).await;
        Ok(Some(wire::answered(updated)?.into()))
    }
}
