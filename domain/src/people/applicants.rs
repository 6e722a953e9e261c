//! Personal data of users and applicants: parsing, validation and encrypted storage.

use super::{
    person::{
        Country, Email, Phone, PostalCode, UsState, age_on, check_words, parse_date, person_name, tidy,
    },
    ssn::Ssn,
    zips,
};
use crate::{
    Checks, Error, Refusal, Result,
    kernel::{
        app::App,
        command::CommandContext,
        secrets::{AssociatedData, Secret},
    },
    providers::identity::AddressFit,
};
use chrono::NaiveDate;
use entity::{partner::Mode, user};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Postal address as entered, not yet checked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAddress {
    pub line1: String,
    pub line2: Option<String>,
    pub city: String,
    pub state: String,
    pub postal_code: String,
    pub country_code: String,
}

/// Personal data as entered by a partner, not yet checked.
#[derive(Clone, Serialize)]
pub struct NewUser {
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub phone: Option<String>,
    pub ssn: Option<String>,
    pub birth_date: Option<String>,
    pub address: Option<NewAddress>,
}

/// Parsed fields of a [`NewUser`].
pub struct Checked {
    pub phone: Option<Phone>,
    pub ssn: Option<Ssn>,
    pub birth_date: Option<NaiveDate>,
}

impl NewUser {
    /// Parses and checks every field, or returns all refusals.
    pub fn checked(&self, mode: Mode) -> Result<Checked> {
        let mut checks = Checks::default();
        checks.note(person_name("firstName", &self.first_name));
        checks.note(person_name("lastName", &self.last_name));
        checks.note(valid("email", Email::parse(&self.email)));
        let phone = self.phone.as_deref().and_then(|phone| checks.note(check_phone(phone)));
        let birth_date =
            self.birth_date.as_deref().and_then(|day| checks.note(valid("birthDate", parse_date(day))));
        let sandbox = mode == Mode::Sandbox;
        let ssn = self.ssn.as_deref().and_then(|ssn| checks.note(valid("ssn", Ssn::parse(ssn, sandbox))));
        if let Some(address) = &self.address {
            checks.note(address.check());
        }
        checks.done()?;
        Ok(Checked { phone, ssn, birth_date })
    }

    /// Returns the applicant for an identity check on a day. Refused if a field that the check needs is
    /// missing.
    pub fn applicant(&self, mode: Mode, day: NaiveDate) -> Result<Applicant> {
        let Checked { ssn, birth_date, .. } = self.checked(mode)?;
        let birth_date = birth_date.ok_or_else(|| Refusal::required("birthDate"))?;
        born_by(birth_date, day)?;
        Ok(Applicant {
            first_name: tidy(&self.first_name),
            last_name: tidy(&self.last_name),
            email: self.email.trim().to_owned(),
            phone: self.phone.clone(),
            ssn: ssn.ok_or_else(|| Refusal::required("ssn"))?.reveal(),
            birth_date,
            address: self.address.as_ref().ok_or_else(|| Refusal::required("address"))?.tidied(),
        })
    }
}

/// Refuses a date of birth in the future.
pub fn born_by(birth_date: NaiveDate, day: NaiveDate) -> Result<()> {
    age_on(birth_date, day)
        .map(|_| ())
        .ok_or_else(|| Refusal::invalid("birthDate", "must not be in the future").into())
}

impl NewAddress {
    /// Returns the address in its stored form.
    pub fn tidied(&self) -> Self {
        Self {
            line1: tidy(&self.line1),
            line2: self.line2.as_deref().map(tidy),
            city: tidy(&self.city),
            state: tidy(&self.state),
            postal_code: tidy(&self.postal_code),
            country_code: tidy(&self.country_code),
        }
    }

    /// Classifies the address: foreign, domestic, or with a state that does not match the ZIP code.
    pub fn fit(&self) -> AddressFit {
        if !self.country_code.eq_ignore_ascii_case("US") {
            return AddressFit::Foreign;
        }
        match (UsState::parse(&self.state), PostalCode::parse(&self.postal_code)) {
            (Ok(state), Ok(zip)) if state.has(&zip) => AddressFit::Domestic,
            _ => AddressFit::OtherState,
        }
    }

    /// Whether a line of the address is a post office box.
    pub fn is_po_box(&self) -> bool {
        zips::is_po_box(&self.line1) || self.line2.as_deref().is_some_and(zips::is_po_box)
    }

    /// Checks all fields of the address.
    pub fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.note(check_words("address.line1", &self.line1));
        if let Some(line2) = &self.line2 {
            checks.note(check_words("address.line2", line2));
        }
        checks.note(check_words("address.city", &self.city));
        match checks.note(valid("address.countryCode", Country::from_alpha2(&self.country_code))) {
            Some(country) if country.alpha2() == "US" => {
                checks.note(valid("address.state", UsState::parse(&self.state)));
                checks.note(valid("address.postalCode", PostalCode::parse(&self.postal_code)));
            }
            _ => {
                checks.note(check_words("address.state", &self.state));
                checks.note(check_words("address.postalCode", &self.postal_code));
            }
        }
        checks.done()
    }
}

/// Parses a phone number.
pub fn check_phone(phone: &str) -> Result<Phone> {
    if phone.len() > 40 {
        return Err(Refusal::invalid("phone", "must have at most 40 characters").into());
    }
    valid("phone", Phone::parse(phone))
}

/// Returns the value, or a refusal for `field` with the text of the error.
pub fn valid<T, E: std::fmt::Display>(field: &str, value: std::result::Result<T, E>) -> Result<T> {
    value.map_err(|error| Refusal::invalid(field, error.to_string()).into())
}

/// Column of social security numbers, as associated data.
pub const SSN: &str = "users.ssn";
/// Column of phone numbers, as associated data.
pub const PHONE: &str = "users.phone";
/// Column of dates of birth, as associated data.
pub const BIRTH_DATE: &str = "users.birth_date";

/// Encrypts a value of a user's column.
pub fn sealed(
    ctx: &CommandContext<'_>,
    user_id: Uuid,
    column: &'static str,
    value: Option<&str>,
) -> Result<Option<Vec<u8>>> {
    let associated_data = AssociatedData { column, row: user_id, partner: ctx.partner.id };
    value.map(|value| ctx.app.vault.seal(associated_data, value.as_bytes())).transpose()
}

/// Returns a user's date of birth, if known.
pub fn birth_date(app: &App, user: &user::Model) -> Result<Option<NaiveDate>> {
    let associated_data = AssociatedData { column: BIRTH_DATE, row: user.id, partner: user.partner_id };
    let Some(sealed) = user.birth_date.as_deref() else { return Ok(None) };
    let day = app.vault.open_text(associated_data, sealed)?;
    parse_date(day.reveal()).map(Some).map_err(|_| Error::broken("a stored date of birth is invalid"))
}

/// Returns the phone number as entered, if known.
pub fn phone(app: &App, user: &user::Model) -> Result<Option<Secret<String>>> {
    let associated_data = AssociatedData { column: PHONE, row: user.id, partner: user.partner_id };
    user.phone.as_deref().map(|sealed| app.vault.open_text(associated_data, sealed)).transpose()
}

/// Returns the social security number, if known.
fn ssn(app: &App, user: &user::Model) -> Result<Option<Secret<String>>> {
    let associated_data = AssociatedData { column: SSN, row: user.id, partner: user.partner_id };
    user.ssn.as_deref().map(|sealed| app.vault.open_text(associated_data, sealed)).transpose()
}

/// Personal data that an identity check uses; complete.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applicant {
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub phone: Option<String>,
    /// Nine digits.
    pub ssn: String,
    pub birth_date: NaiveDate,
    pub address: NewAddress,
}

impl Applicant {
    /// Returns the applicant for a user, or none if required data is missing.
    pub fn of(app: &App, user: &user::Model) -> Result<Option<Self>> {
        let (Some(ssn), Some(birth_date)) = (ssn(app, user)?, birth_date(app, user)?) else {
            return Ok(None);
        };
        let address = || {
            Some(NewAddress {
                line1: user.address_line_1.clone()?,
                line2: user.address_line_2.clone(),
                city: user.address_city.clone()?,
                state: user.address_state.clone()?,
                postal_code: user.address_postal_code.clone()?,
                country_code: user.address_country_code.clone()?,
            })
        };
        let Some(address) = address() else { return Ok(None) };
        Ok(Some(Self {
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            email: user.email.clone(),
            phone: phone(app, user)?.map(|phone| phone.reveal().clone()),
            ssn: ssn.reveal().clone(),
            birth_date,
            address,
        }))
    }
}
