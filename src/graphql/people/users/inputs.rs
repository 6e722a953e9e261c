//! Inputs of the mutations of users.

use super::User;
use crate::graphql::core::{
    errors::{GeneralUserError, payload},
    scalars::Date,
};
use async_graphql::{ID, InputObject, MaybeUndefined};
use domain::{
    compliance::kyc as checks,
    kernel::{idempotency::Key, ids},
    people::{
        applicants::{NewAddress, NewUser},
        user_changes::{AddressChange, Change, UpdateUser},
    },
};
use entity::Kind;

/// A postal address as written down.
#[derive(InputObject)]
pub struct AddressInput {
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
    #[graphql(default_with = "String::from(\"US\")")]
    country_code: String,
}

impl From<AddressInput> for NewAddress {
    fn from(address: AddressInput) -> Self {
        Self {
            line1: address.line1,
            line2: address.line2,
            city: address.city,
            state: address.state,
            postal_code: address.postal_code,
            country_code: address.country_code,
        }
    }
}

/// Input of userCreate.
#[derive(InputObject)]
pub struct UserCreateInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Given name.
    first_name: String,
    /// Family name.
    last_name: String,
    /// E-mail address.
    email: String,
    /// US phone number.
    phone: Option<String>,
    /// Social security number; never sent back.
    ssn: Option<String>,
    /// Day of birth; never sent back.
    birth_date: Option<Date>,
    /// Where the person lives.
    address: Option<AddressInput>,
}

impl UserCreateInput {
    pub fn parse(self) -> (Option<Key>, NewUser) {
        let key = self.idempotency_key.as_deref().map(Key::given);
        let new = NewUser {
            first_name: self.first_name,
            last_name: self.last_name,
            email: self.email,
            phone: self.phone,
            ssn: self.ssn,
            birth_date: self.birth_date.map(|Date(day)| day),
            address: self.address.map(NewAddress::from),
        };
        (key, new)
    }
}

/// What is new about where a person lives; what is left out stays as it is.
#[derive(InputObject)]
pub struct AddressPatch {
    /// Street and number.
    line1: Option<String>,
    /// Apartment or unit; null takes it away.
    line2: MaybeUndefined<String>,
    /// City.
    city: Option<String>,
    /// State or province, two letters in the United States.
    state: Option<String>,
    /// Postal code.
    postal_code: Option<String>,
    /// ISO 3166-1 code, two letters.
    country_code: Option<String>,
}

/// What is new about a person; what is left out stays as it is.
#[derive(InputObject)]
pub struct UserPatch {
    /// Given name.
    first_name: Option<String>,
    /// Family name.
    last_name: Option<String>,
    /// E-mail address; a sign-in keeps its own.
    email: Option<String>,
    /// US phone number; null takes it away.
    phone: MaybeUndefined<String>,
    /// Social security number; never sent back.
    ssn: Option<String>,
    /// Day of birth; never sent back.
    birth_date: Option<Date>,
    /// Where the person lives.
    address: Option<AddressPatch>,
}

/// Input of userUpdate.
#[derive(InputObject)]
pub struct UserUpdateInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Who is meant.
    user_id: ID,
    /// What is new.
    patch: UserPatch,
}

impl From<UserPatch> for checks::Patch {
    fn from(patch: UserPatch) -> Self {
        let or_empty = |value: MaybeUndefined<String>| match value {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(String::new()),
            MaybeUndefined::Value(value) => Some(value),
        };
        let address = patch.address.map(|address| checks::PatchedAddress {
            line1: address.line1,
            line2: or_empty(address.line2),
            city: address.city,
            state: address.state,
            postal_code: address.postal_code,
            country_code: address.country_code,
        });
        Self {
            first_name: patch.first_name,
            last_name: patch.last_name,
            email: patch.email,
            phone: or_empty(patch.phone),
            ssn: patch.ssn,
            birth_date: patch.birth_date.map(|Date(day)| day),
            address: address.unwrap_or_default(),
        }
    }
}

/// What becomes of a value that may be taken away.
pub fn change<T>(value: MaybeUndefined<T>) -> Change<T> {
    match value {
        MaybeUndefined::Undefined => Change::Keep,
        MaybeUndefined::Null => Change::Clear,
        MaybeUndefined::Value(value) => Change::Set(value),
    }
}

impl UserUpdateInput {
    pub fn parse(self) -> (Option<Key>, UpdateUser) {
        let key = self.idempotency_key.as_deref().map(Key::given);
        let address = self.patch.address.map(|address| AddressChange {
            line1: address.line1,
            line2: change(address.line2),
            city: address.city,
            state: address.state,
            postal_code: address.postal_code,
            country_code: address.country_code,
        });
        let change = UpdateUser {
            user_id: ids::parse(Kind::User, &self.user_id),
            first_name: self.patch.first_name,
            last_name: self.patch.last_name,
            email: self.patch.email,
            phone: change(self.patch.phone),
            ssn: self.patch.ssn,
            birth_date: self.patch.birth_date.map(|Date(day)| day),
            address: address.unwrap_or_default(),
        };
        (key, change)
    }
}

payload!(
    /// Outcome of userUpdate.
    UserUpdatePayload {
        /// The person, null when refused.
        user: User,
        GeneralUserError
    }
);

payload!(
    /// Outcome of userCreate.
    UserCreatePayload {
        /// The person, null when refused.
        user: User,
        GeneralUserError
    }
);
