//! GraphQL types and operations for users.

mod accounts;
pub mod inputs;
mod lists;

use crate::{
    graphql::{
        access::{
            invitations::Employer,
            second_factors::{TwoFactorMethod, methods},
        },
        accounts::Account,
        compliance::kyc::Kyc,
        core::{
            context::RequestContext,
            mutations::mutations,
            pages::{Connection, Item, PageArguments},
            scalars::DateTime,
        },
        funding::bank_accounts::BankAccount,
    },
    wire::Result,
};
use accounts::UserAccountConnection;
use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use domain::{
    Scope, Who,
    compliance::registration::Registered,
    kernel::ids,
    people::{
        applicants::{self},
        person, users,
    },
};
use entity::{Kind, account, bank_account, kyc, user};
use inputs::{UserCreateInput, UserCreatePayload, UserUpdateInput, UserUpdatePayload};
use lists::{UserFilter, UserSort};
use uuid::Uuid;

/// Customer of a partner.
pub struct User(pub user::Model);

/// Customer of a partner.
#[Object]
impl User {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Identity verification status; always `PENDING` for a publishable key.
    async fn status(&self, ctx: &Context<'_>) -> UserStatus {
        if ctx.actor().may_see_results() { self.0.status.into() } else { UserStatus::Pending }
    }

    /// Given name; null if not known.
    async fn first_name(&self) -> Option<&str> {
        Some(self.0.first_name.as_str()).filter(|name| !name.is_empty())
    }

    /// Family name; null if not known.
    async fn last_name(&self) -> Option<&str> {
        Some(self.0.last_name.as_str()).filter(|name| !name.is_empty())
    }

    /// Gender, in the user's own words; null if not known.
    async fn gender(&self) -> Option<&str> {
        self.0.gender.as_deref()
    }

    /// Employer from the invitation that the user signed up with; null if there is none.
    async fn employer(&self, ctx: &Context<'_>) -> Result<Option<Employer>> {
        let Some(id) = self.0.invitation_id else { return Ok(None) };
        Ok(ctx.loaders().invitation_of_user(id).await?.and_then(|invitation| Employer::of(&invitation)))
    }

    /// Two-factor authentication methods that the user has set up.
    async fn two_factor_methods(&self, ctx: &Context<'_>) -> Result<Vec<TwoFactorMethod>> {
        Ok(methods(&ctx.loaders().factors(self.0.id).await?))
    }

    /// E-mail address.
    async fn email(&self) -> &str {
        &self.0.email
    }

    /// Last four digits of the verified phone number, or of the entered one if none is verified or the caller
    /// lacks scope `read`; null if there is none.
    async fn phone_last4(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        // A caller without `read` sees a user only in the payload of a mutation, with what was entered.
        if ctx.actor().may(Scope::Read) {
            let factors = ctx.loaders().factors(self.0.id).await?;
            if factors.phone_last4.is_some() {
                return Ok(factors.phone_last4);
            }
        }
        let phone = applicants::phone(ctx.app(), &self.0)?;
        Ok(phone.map(|phone| person::last4(phone.reveal())))
    }

    /// Home address; null if not known.
    async fn address(&self) -> Option<Address> {
        Address::of(&self.0)
    }

    /// Current identity check. Null for a publishable key, and while data needed for a check is missing.
    async fn kyc(&self, ctx: &Context<'_>) -> Result<Option<Kyc>> {
        if !ctx.actor().may_see_results() {
            return Ok(None);
        }
        Ok(ctx.loaders().kyc(self.0.id).await?.map(Kyc))
    }

    /// All identity checks, newest first.
    async fn kyc_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
    ) -> Result<Connection<Kyc>> {
        let page = ctx.page::<Kyc>(first, after, last, before)?;
        let slice = ctx.loaders().children::<kyc::Entity>(self.0.id, page, Vec::new()).await?;
        Ok(Connection::new(slice, Kyc))
    }

    /// Brokerage accounts that the user owns, alone or jointly, newest first.
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
    ) -> Result<UserAccountConnection> {
        let page = ctx.page::<Account>(first, after, last, before)?;
        let slice = ctx.loaders().children::<account::Entity>(self.0.id, page, Vec::new()).await?;
        Ok(UserAccountConnection { user_id: self.0.id, accounts: Connection::new(slice, Account) })
    }

    /// Default bank account for transfers; null if there is none.
    async fn default_bank_account(&self, ctx: &Context<'_>) -> Result<Option<BankAccount>> {
        Ok(ctx.loaders().default_bank_account(self.0.id).await?.map(BankAccount))
    }

    /// Linked external bank accounts, newest first.
    async fn bank_accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
    ) -> Result<Connection<BankAccount>> {
        let page = ctx.page::<BankAccount>(first, after, last, before)?;
        let slice = ctx.loaders().children::<bank_account::Entity>(self.0.id, page, Vec::new()).await?;
        Ok(Connection::new(slice, BankAccount))
    }

    /// Time when the user was created.
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

/// Identity verification status of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::user::Status")]
pub enum UserStatus {
    /// Not checked yet because data is missing. A publishable key sees this status for every user.
    Pending,
    /// The user must answer identity questions.
    ActionRequired,
    /// The user must upload documents for a reviewer.
    DocumentationRequired,
    /// Approved: the user may open accounts, deposit money and trade.
    Approved,
    /// The identity was rejected.
    Denied,
    /// No longer a customer.
    Closed,
}

/// Postal address.
#[derive(Clone, Debug, SimpleObject)]
pub struct Address {
    /// Street address.
    line1: String,
    /// Apartment or unit.
    line2: Option<String>,
    /// City.
    city: String,
    /// State or province; two letters in the United States, for example `NY`.
    state: String,
    /// Postal code.
    postal_code: String,
    /// Two-letter ISO 3166-1 country code, for example `US`.
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
    /// Returns the signed-in user, or null for an API key and without credentials.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let Who::User(user) = &ctx.actor().who else { return Ok(None) };
        Ok(users::find(&*ctx.loaders().connection().await?, ctx.actor(), user.user_id).await?.map(User))
    }

    /// Returns a user by id, or null if it was not found. Requires scope `read`.
    async fn user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the user.")] id: ID,
    ) -> Result<Option<User>> {
        let id = ids::parse(Kind::User, &id);
        Ok(users::find(&*ctx.loaders().connection().await?, ctx.actor(), id).await?.map(User))
    }

    /// Returns the users that the caller can see, newest first by default. Requires scope `read`.
    #[expect(clippy::too_many_arguments, reason = "a connection has four arguments of its own")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Filter for the users.")] filter: Option<UserFilter>,
        #[graphql(desc = "Sort order; newest first by default.")] order_by: Option<UserSort>,
    ) -> Result<Option<Connection<User>>> {
        let page = ctx.sorted_page::<User, _>(PageArguments { first, after, last, before }, order_by)?;
        let filters = filter.unwrap_or_default().conditions();
        let slice = users::list(&*ctx.loaders().connection().await?, ctx.actor(), &page, &filters).await?;
        Ok(Some(Connection::sorted(slice, |row| page.cursor_of(row), User)?))
    }
}

mutations!(UserMutation {
    /// Creates a user and, if all required data is given, checks their identity. Requires scope `start` or
    /// `manage`.
    user_create(UserCreateInput: "Input for userCreate.") -> UserCreatePayload,

    /// Changes or completes a user's data. A change of name, date of birth, social security number or address
    /// repeats the identity check. Requires scope `manage`.
    user_update(UserUpdateInput: "Input for userUpdate.") -> UserUpdatePayload,
});
