//! Inputs and mutations of users.

use super::User;
use crate::graphql::core::{ids::IdOf, scalars::Date};
use async_graphql::{InputObject, MaybeUndefined};
use domain::people::{
    applicants::{NewAddress, NewUser},
    user_changes::{AddressChange, Change, PersonPatch, UpdateUser},
};
use macros::mutations;

/// Postal address.
#[derive(InputObject)]
pub struct AddressInput {
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
    #[graphql(default_with = "default_country()")]
    country_code: String,
}

fn default_country() -> String {
    "US".to_owned()
}

impl From<AddressInput> for AddressChange {
    fn from(address: AddressInput) -> Self {
        NewAddress {
            line1: address.line1,
            line2: address.line2,
            city: address.city,
            state: address.state,
            postal_code: address.postal_code,
            country_code: address.country_code,
        }
        .into()
    }
}

/// Changes to an address; omitted fields stay unchanged.
#[derive(InputObject)]
pub struct AddressPatch {
    /// Street address.
    line1: Option<String>,
    /// Apartment or unit; null removes it.
    line2: MaybeUndefined<String>,
    /// City.
    city: Option<String>,
    /// State or province; two letters in the United States, for example `NY`.
    state: Option<String>,
    /// Postal code.
    postal_code: Option<String>,
    /// Two-letter ISO 3166-1 country code. If the user has no address yet, `US` by default.
    country_code: Option<String>,
}

/// Changes to a user's data; omitted fields stay unchanged.
#[derive(InputObject)]
pub struct UserPatch {
    /// Given name.
    first_name: Option<String>,
    /// Family name.
    last_name: Option<String>,
    /// E-mail address. The address that the user signs in with does not change.
    email: Option<String>,
    /// US phone number; null removes it.
    phone: MaybeUndefined<String>,
    /// Social security number. Write-only.
    ssn: Option<String>,
    /// Date of birth. Write-only.
    birth_date: Option<Date>,
    /// Home address.
    address: Option<AddressPatch>,
}

impl From<UserPatch> for PersonPatch {
    fn from(patch: UserPatch) -> Self {
        let address = patch.address.map(|address| AddressChange {
            line1: address.line1,
            line2: change(address.line2),
            city: address.city,
            state: address.state,
            postal_code: address.postal_code,
            country_code: address.country_code,
            first_country_code: Some(default_country()),
        });
        Self {
            first_name: patch.first_name,
            last_name: patch.last_name,
            email: patch.email,
            phone: change(patch.phone),
            ssn: patch.ssn,
            birth_date: patch.birth_date.map(|Date(day)| day),
            address: address.unwrap_or_default(),
            ..Self::default()
        }
    }
}

/// Converts an optional input value: omitted keeps the current value, null clears it.
pub fn change<T>(value: MaybeUndefined<T>) -> Change<T> {
    match value {
        MaybeUndefined::Undefined => Change::Keep,
        MaybeUndefined::Null => Change::Clear,
        MaybeUndefined::Value(value) => Change::Set(value),
    }
}

#[mutations]
impl UserMutation {
    /// Creates a user and, if all required data is given, checks their identity. Requires scope `start` or
    /// `manage`.
    #[answers(user: User)]
    fn user_create(
        /// Given name.
        first_name: String,
        /// Family name.
        last_name: String,
        /// E-mail address.
        email: String,
        /// US phone number.
        phone: Option<String>,
        /// Social security number. Write-only.
        ssn: Option<String>,
        /// Date of birth. Write-only.
        birth_date: Option<Date>,
        /// Home address.
        address: Option<AddressInput>,
    ) -> NewUser {
        NewUser(PersonPatch {
            first_name: Some(first_name),
            last_name: Some(last_name),
            email: Some(email),
            phone: Change::set_if(phone),
            ssn,
            birth_date: birth_date.map(|Date(day)| day),
            address: address.map(AddressChange::from).unwrap_or_default(),
            ..PersonPatch::default()
        })
    }

    /// Changes or completes a user's data. A change of name, date of birth, social security number or address
    /// repeats the identity check. Requires scope `manage`.
    #[answers(user: User)]
    fn user_update(
        user_id: IdOf<User>,
        /// Changes to the user's data.
        patch: UserPatch,
    ) -> UpdateUser;
}
