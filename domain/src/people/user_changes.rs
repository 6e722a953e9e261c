//! Changes of personal data: one patch for new users, updates, profiles and corrections.

use super::{
    applicants::{NewAddress, PersonFields, born_by, check_phone, valid},
    person::{Email, check_words, names, parse_date, person_name, tidy},
    ssn::Ssn,
};
use crate::{Checks, Refusal, Result};
use chrono::NaiveDate;
use entity::partner::Mode;
use serde::Serialize;
use uuid::Uuid;

/// Change of an optional value: keep it, clear it, or set a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Change<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Change<T> {
    /// `Set` if there is a value, else `Keep`.
    pub fn set_if(value: Option<T>) -> Self {
        value.map_or(Self::Keep, Self::Set)
    }

    /// Returns the new value.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// Applies the change to a value.
    pub fn apply(&self, current: &mut Option<T>)
    where
        T: Clone,
    {
        match self {
            Self::Keep => {}
            Self::Clear => *current = None,
            Self::Set(value) => *current = Some(value.clone()),
        }
    }
}

/// Change of an address. Absent fields stay unchanged.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct AddressChange {
    pub line1: Option<String>,
    pub line2: Change<String>,
    pub city: Option<String>,
    pub state: Option<String>,
    pub postal_code: Option<String>,
    pub country_code: Option<String>,
    /// Country of the first address of a user, if `country_code` is absent. Not part of the fingerprint, because
    /// only one of the APIs has such a default.
    #[serde(skip)]
    pub first_country_code: Option<String>,
}

/// Personal data to set or change; not yet checked. Absent fields stay unchanged.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct PersonPatch {
    /// Given names and family name in one text, instead of `first_name` and `last_name`.
    pub full_name: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub phone: Change<String>,
    pub birth_date: Option<String>,
    pub ssn: Option<String>,
    pub gender: Option<String>,
    pub address: AddressChange,
}

/// Input for updating a user; not yet checked.
#[derive(Clone, Default, Serialize)]
pub struct UpdateUser {
    pub user_id: Uuid,
    pub patch: PersonPatch,
}

impl PersonPatch {
    /// Whether the patch contains no changes.
    pub fn is_empty(&self) -> bool {
        self.address.is_empty() && *self == Self { address: self.address.clone(), ..Self::default() }
    }

    /// Checks every field that is present by itself, and returns everything that is wrong. An address is
    /// checked when it is complete.
    pub fn check(&self, mode: Mode) -> Result<()> {
        self.apply_fields(mode, &mut PersonFields::default())
    }

    /// Applies the changes to a person, and returns everything that is wrong with them. `today` decides which
    /// dates of birth are in the future.
    pub fn apply(&self, mode: Mode, today: NaiveDate, to: &mut PersonFields) -> Result<()> {
        self.apply_fields(mode, to)?;
        let mut checks = Checks::default();
        if self.birth_date.is_some()
            && let Some(birth_date) = to.birth_date
        {
            checks.note(born_by(birth_date, today));
        }
        checks.note(self.address.apply(&mut to.address));
        checks.done()
    }

    /// Applies everything but the address.
    fn apply_fields(&self, mode: Mode, to: &mut PersonFields) -> Result<()> {
        let mut checks = Checks::default();
        if let Some(full_name) = &self.full_name
            && let Some(both) = checks.note(names("fullName", full_name))
        {
            (to.first_name, to.last_name) = both;
        }
        if let Some(name) = &self.first_name
            && let Some(name) = checks.note(person_name("firstName", name))
        {
            to.first_name = name;
        }
        if let Some(name) = &self.last_name
            && let Some(name) = checks.note(person_name("lastName", name))
        {
            to.last_name = name;
        }
        if let Some(email) = &self.email
            && let Some(email) = checks.note(valid("email", Email::parse(email)))
        {
            to.email = email.to_string();
        }
        if let Some(phone) = self.phone.value() {
            checks.note(check_phone(phone));
        }
        self.phone.apply(&mut to.phone);
        if let Some(day) = &self.birth_date {
            to.birth_date = checks.note(valid("birthDate", parse_date(day)));
        }
        if let Some(ssn) = &self.ssn {
            let ssn = checks.note(valid("ssn", Ssn::parse(ssn, mode == Mode::Sandbox)));
            to.ssn = ssn.map(|ssn| ssn.reveal());
        }
        if let Some(gender) = &self.gender {
            checks.note(check_words("gender", gender));
            to.gender = Some(tidy(gender));
        }
        checks.done()
    }
}

impl AddressChange {
    /// Whether no field is given.
    pub fn is_empty(&self) -> bool {
        let Self { line1, line2, city, state, postal_code, country_code, first_country_code: _ } = self;
        *line2 == Change::Keep
            && [line1, city, state, postal_code, country_code].iter().all(|field| field.is_none())
    }

    /// Applies the changes to an address. Afterwards it is complete or absent.
    pub fn apply(&self, to: &mut Option<NewAddress>) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let required = |new: &Option<String>, current: Option<&String>, field: &str| -> Result<String> {
            Ok(new.as_ref().or(current).cloned().ok_or_else(|| Refusal::required(field))?)
        };
        let current = to.as_ref();
        let mut line2 = current.and_then(|address| address.line2.clone());
        self.line2.apply(&mut line2);
        let address = NewAddress {
            line1: required(&self.line1, current.map(|address| &address.line1), "address.line1")?,
            line2,
            city: required(&self.city, current.map(|address| &address.city), "address.city")?,
            state: required(&self.state, current.map(|address| &address.state), "address.state")?,
            postal_code: required(
                &self.postal_code,
                current.map(|address| &address.postal_code),
                "address.postalCode",
            )?,
            country_code: required(
                &self.country_code,
                current.map(|address| &address.country_code).or(self.first_country_code.as_ref()),
                "address.countryCode",
            )?,
        };
        address.check()?;
        *to = Some(address.tidied());
        Ok(())
    }
}

impl From<NewAddress> for AddressChange {
    fn from(address: NewAddress) -> Self {
        Self {
            line1: Some(address.line1),
            line2: Change::set_if(address.line2),
            city: Some(address.city),
            state: Some(address.state),
            postal_code: Some(address.postal_code),
            country_code: Some(address.country_code),
            first_country_code: None,
        }
    }
}
