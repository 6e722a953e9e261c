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
            breadth::{ListOf, Lookup, Maybe, lookup},
            context::Viewpoint,
            loaders::{DefaultOf, FactorsOf, InvitationOf, KycOf},
            pages::PageArgs,
            scalars::DateTime,
        },
        funding::bank_accounts::BankAccount,
    },
    wire::Result,
};
use accounts::RoleEdges;
use async_graphql::{Enum, ID, SimpleObject};
use domain::{
    Scope, Who,
    compliance::registration::Registered,
    people::{
        applicants::{self},
        person,
    },
};
use entity::user;
pub use inputs::UserMutation;
use lists::{UserFilter, UserSort};
use macros::{Fields, Leaf, breadth};

/// Customer of a partner.
#[derive(Clone)]
pub struct User(pub user::Model);

/// Customer of a partner.
#[breadth]
impl User {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Identity verification status; always `PENDING` for a publishable key.
    fn status(&self, view: &Viewpoint) -> UserStatus {
        if view.actor().may_see_results() { self.0.status.into() } else { UserStatus::Pending }
    }

    /// Given name; null if not known.
    fn first_name(&self) -> Option<&str> {
        Some(self.0.first_name.as_str()).filter(|name| !name.is_empty())
    }

    /// Family name; null if not known.
    fn last_name(&self) -> Option<&str> {
        Some(self.0.last_name.as_str()).filter(|name| !name.is_empty())
    }

    /// Gender, in the user's own words; null if not known.
    fn gender(&self) -> Option<&str> {
        self.0.gender.as_deref()
    }

    /// Employer from the invitation that the user signed up with; null if there is none.
    fn employer(&self) -> Lookup<InvitationOf, Option<Employer>> {
        lookup(self.0.invitation_id.map(InvitationOf), |_, invitation| {
            Ok(invitation.and_then(|invitation| Employer::of(&invitation)))
        })
    }

    /// Two-factor authentication methods that the user has set up.
    fn two_factor_methods(&self) -> Lookup<FactorsOf, Vec<TwoFactorMethod>> {
        lookup(Some(FactorsOf(self.0.id)), |_, factors| Ok(methods(&factors.unwrap_or_default())))
    }

    /// E-mail address.
    fn email(&self) -> &str {
        &self.0.email
    }

    /// Last four digits of the verified phone number, or of the entered one if none is verified or the caller
    /// lacks scope `read`; null if there is none.
    fn phone_last4(&self, view: &Viewpoint) -> Lookup<FactorsOf, Option<String>> {
        // A caller without `read` sees a user only in the payload of a mutation, with what was entered.
        let verified = view.actor().may(Scope::Read).then_some(FactorsOf(self.0.id));
        let user = self.0.clone();
        lookup(verified, move |view, factors| {
            if let Some(last4) = factors.and_then(|factors| factors.phone_last4) {
                return Ok(Some(last4));
            }
            let phone = applicants::phone(view.app(), &user)?;
            Ok(phone.map(|phone| person::last4(phone.reveal())))
        })
    }

    /// Home address; null if not known.
    fn address(&self) -> Option<Address> {
        Address::of(&self.0)
    }

    /// Current identity check. Null for a publishable key, and while data needed for a check is missing.
    fn kyc(&self, view: &Viewpoint) -> Lookup<KycOf, Option<Kyc>> {
        let key = view.actor().may_see_results().then_some(KycOf(self.0.id));
        lookup(key, |_, check| Ok(check.map(Kyc)))
    }

    /// All identity checks, newest first.
    fn kyc_history(&self, view: &Viewpoint, page: PageArgs) -> Result<ListOf<Kyc>> {
        ListOf::under(view, self.0.id, &page, Vec::new())
    }

    /// Brokerage accounts that the user owns, alone or jointly, newest first.
    fn accounts(&self, view: &Viewpoint, page: PageArgs) -> Result<ListOf<Account, RoleEdges>> {
        ListOf::under_with(view, self.0.id, &page, Vec::new(), RoleEdges { user_id: self.0.id })
    }

    /// Default bank account for transfers; null if there is none.
    fn default_bank_account(&self) -> Lookup<DefaultOf, Option<BankAccount>> {
        lookup(Some(DefaultOf(self.0.id)), |_, bank_account| Ok(bank_account.map(BankAccount)))
    }

    /// Linked external bank accounts, newest first.
    fn bank_accounts(&self, view: &Viewpoint, page: PageArgs) -> Result<ListOf<BankAccount>> {
        ListOf::under(view, self.0.id, &page, Vec::new())
    }

    /// Time when the user was created.
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// Identity verification status of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::user::Status")]
pub enum UserStatus {
    /// Not checked yet, in most cases because data is missing. A publishable key sees this status for every
    /// user.
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
#[derive(Clone, Debug, Fields, SimpleObject)]
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

#[breadth]
impl UserQuery {
    /// Returns the signed-in user, or null for an API key and without credentials.
    fn viewer(&self, view: &Viewpoint) -> Result<Maybe<User>> {
        match &view.actor().who {
            Who::User(user) => Maybe::find_row(view, user.user_id),
            Who::Partner(_) | Who::Anonymous => Ok(Maybe::of(None)),
        }
    }

    /// Returns a user by id, or null if it was not found. Requires scope `read`.
    fn user(&self, view: &Viewpoint, #[graphql(desc = "Id of the user.")] id: ID) -> Result<Maybe<User>> {
        Maybe::find(view, &id)
    }

    /// Returns the users that the caller can see, newest first by default. Requires scope `read`.
    fn users(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(desc = "Filter for the users.")] filter: Option<UserFilter>,
        #[graphql(desc = "Sort order; newest first by default.")] order_by: Option<UserSort>,
    ) -> Result<Option<ListOf<User>>> {
        let filters = filter.unwrap_or_default().conditions();
        Ok(Some(ListOf::sorted(view, &page, filters, order_by)?))
    }
}
