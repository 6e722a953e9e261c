//! Updates to a user's personal data.

use super::{
    applicants::{self, BIRTH_DATE, NewAddress, PHONE, SSN, sealed, valid},
    person::{Email, age_on, parse_date, person_name, tidy},
    ssn::Ssn,
};
use crate::{Checks, Refusal, Result, kernel::command::CommandContext};
use entity::{partner::Mode, user};
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
#[derive(Clone, Default, Serialize)]
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

/// Input for updating a user; not yet checked. Absent fields stay unchanged.
#[derive(Clone, Default, Serialize)]
pub struct UpdateUser {
    pub user_id: Uuid,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub phone: Change<String>,
    pub ssn: Option<String>,
    pub birth_date: Option<String>,
    pub address: AddressChange,
}

impl UpdateUser {
    fn birth_date(&self) -> Result<Option<chrono::NaiveDate>> {
        self.birth_date.as_deref().map(|day| valid("birthDate", parse_date(day))).transpose()
    }

    fn ssn(&self, mode: Mode) -> Result<Option<String>> {
        let read = |ssn| Ok(valid("ssn", Ssn::parse(ssn, mode == Mode::Sandbox))?.reveal());
        self.ssn.as_deref().map(read).transpose()
    }

    /// Checks all fields that are present.
    pub fn checked(&self, mode: Mode) -> Result<()> {
        let mut checks = Checks::default();
        for (field, name) in [("firstName", &self.first_name), ("lastName", &self.last_name)] {
            if let Some(name) = name {
                checks.note(person_name(field, name));
            }
        }
        if let Some(email) = &self.email {
            checks.note(valid("email", Email::parse(email)));
        }
        if let Some(phone) = self.phone.value() {
            checks.note(applicants::check_phone(phone));
        }
        checks.note(self.birth_date());
        checks.note(self.ssn(mode));
        checks.done()
    }

    /// Applies the changes to a user's row.
    pub fn write(&self, ctx: &CommandContext<'_>, user: &mut user::Model) -> Result<()> {
        for (value, current) in
            [(&self.first_name, &mut user.first_name), (&self.last_name, &mut user.last_name)]
        {
            if let Some(value) = value {
                *current = tidy(value);
            }
        }
        if let Some(email) = &self.email {
            email.trim().clone_into(&mut user.email);
        }
        match &self.phone {
            Change::Keep => {}
            Change::Clear => user.phone = None,
            Change::Set(phone)
                if applicants::phone(ctx.app, user)?.is_some_and(|current| current.reveal() == phone) => {}
            Change::Set(phone) => user.phone = sealed(ctx, user.id, PHONE, Some(phone))?,
        }
        if let Some(day) = self.birth_date()? {
            if age_on(day, ctx.today()).is_none() {
                return Err(Refusal::invalid("birthDate", "must not be in the future").into());
            }
            if applicants::birth_date(ctx.app, user)? != Some(day) {
                user.birth_date = sealed(ctx, user.id, BIRTH_DATE, Some(&day.to_string()))?;
            }
        }
        if let Some(ssn) = self.ssn(ctx.partner.mode)? {
            let index = Some(ctx.app.vault.blind_index(SSN, ctx.partner.id, &ssn));
            if user.ssn_index != index {
                user.ssn = sealed(ctx, user.id, SSN, Some(&ssn))?;
                user.ssn_index = index;
            }
        }
        self.address.write(user)
    }
}

impl AddressChange {
    fn is_empty(&self) -> bool {
        let Self { line1, line2, city, state, postal_code, country_code, first_country_code: _ } = self;
        *line2 == Change::Keep
            && [line1, city, state, postal_code, country_code].iter().all(|field| field.is_none())
    }

    /// Applies the changes to a user's row. Afterwards an address is complete or absent.
    fn write(&self, user: &mut user::Model) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let line2 = match &self.line2 {
            Change::Keep => user.address_line_2.clone(),
            Change::Clear => None,
            Change::Set(line2) => Some(line2.clone()),
        };
        let new_or_current =
            |new: &Option<String>, current: Option<&String>, field: &str| -> Result<String> {
                let value = new.as_ref().or(current).cloned();
                Ok(value.ok_or_else(|| Refusal::required(field))?)
            };
        let address = NewAddress {
            line1: new_or_current(&self.line1, user.address_line_1.as_ref(), "address.line1")?,
            line2,
            city: new_or_current(&self.city, user.address_city.as_ref(), "address.city")?,
            state: new_or_current(&self.state, user.address_state.as_ref(), "address.state")?,
            postal_code: new_or_current(
                &self.postal_code,
                user.address_postal_code.as_ref(),
                "address.postalCode",
            )?,
            country_code: new_or_current(
                &self.country_code,
                user.address_country_code.as_ref().or(self.first_country_code.as_ref()),
                "address.countryCode",
            )?,
        };
        address.check()?;
        let address = address.tidied();
        user.address_line_1 = Some(address.line1);
        user.address_line_2 = address.line2;
        user.address_city = Some(address.city);
        user.address_state = Some(address.state);
        user.address_postal_code = Some(address.postal_code);
        user.address_country_code = Some(address.country_code);
        Ok(())
    }
}
