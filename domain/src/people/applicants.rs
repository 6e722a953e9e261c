//! Personal data of users and applicants: parsing, validation and encrypted storage.

use super::{
    person::{Country, Phone, PostalCode, UsState, age_on, check_words, parse_date, tidy},
    user_changes::PersonPatch,
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

/// Personal data of a new user as entered by a partner, not yet checked.
#[derive(Clone, Serialize)]
pub struct NewUser(pub PersonPatch);

impl NewUser {
    /// Checks every field, or returns all refusals.
    pub fn checked(&self, mode: Mode) -> Result<()> {
        let new = &self.0;
        let mut checks = Checks::default();
        for (field, is_missing) in [
            ("firstName", new.first_name.is_none()),
            ("lastName", new.last_name.is_none()),
            ("email", new.email.is_none()),
        ] {
            checks.note(required(field, is_missing));
        }
        checks.note(new.check(mode));
        checks.note(new.address.apply(&mut None));
        checks.done()
    }

    /// Refuses data that is incomplete for an identity check.
    pub fn complete(&self) -> Result<()> {
        let new = &self.0;
        let mut checks = Checks::default();
        for (field, is_missing) in [
            ("birthDate", new.birth_date.is_none()),
            ("ssn", new.ssn.is_none()),
            ("address", new.address.is_empty()),
        ] {
            checks.note(required(field, is_missing));
        }
        checks.done()
    }

    /// Returns the person on a day.
    pub fn person(&self, mode: Mode, today: NaiveDate) -> Result<PersonFields> {
        let mut person = PersonFields::default();
        self.0.apply(mode, today, &mut person)?;
        Ok(person)
    }
}

fn required(field: &str, is_missing: bool) -> Result<()> {
    if is_missing { Err(Refusal::required(field).into()) } else { Ok(()) }
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
fn sealed(
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

/// Personal data of a person, parsed, in its stored form. Names are empty, and everything else is absent,
/// until known.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PersonFields {
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    /// As entered.
    pub phone: Option<String>,
    /// Nine digits.
    pub ssn: Option<String>,
    pub birth_date: Option<NaiveDate>,
    pub gender: Option<String>,
    pub address: Option<NewAddress>,
}

impl PersonFields {
    /// Reads a user's row.
    pub fn of(app: &App, user: &user::Model) -> Result<Self> {
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
        Ok(Self {
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            email: user.email.clone(),
            phone: phone(app, user)?.map(|phone| phone.reveal().clone()),
            ssn: ssn(app, user)?.map(|ssn| ssn.reveal().clone()),
            birth_date: birth_date(app, user)?,
            gender: user.gender.clone(),
            address: address(),
        })
    }

    /// Writes the fields to a user's row. Encrypted columns with the same value stay as they are.
    pub fn write(&self, ctx: &CommandContext<'_>, user: &mut user::Model) -> Result<()> {
        let stored = Self::of(ctx.app, user)?;
        if stored.phone != self.phone {
            user.phone = sealed(ctx, user.id, PHONE, self.phone.as_deref())?;
        }
        if stored.birth_date != self.birth_date {
            let day = self.birth_date.map(|day| day.to_string());
            user.birth_date = sealed(ctx, user.id, BIRTH_DATE, day.as_deref())?;
        }
        if stored.ssn != self.ssn {
            user.ssn = sealed(ctx, user.id, SSN, self.ssn.as_deref())?;
            let index = |ssn| ctx.app.vault.blind_index(SSN, ctx.partner.id, ssn);
            user.ssn_index = self.ssn.as_deref().map(index);
        }
        user.first_name.clone_from(&self.first_name);
        user.last_name.clone_from(&self.last_name);
        user.email.clone_from(&self.email);
        user.gender.clone_from(&self.gender);
        if let Some(address) = self.address.clone() {
            user.address_line_1 = Some(address.line1);
            user.address_line_2 = address.line2;
            user.address_city = Some(address.city);
            user.address_state = Some(address.state);
            user.address_postal_code = Some(address.postal_code);
            user.address_country_code = Some(address.country_code);
        }
        Ok(())
    }

    /// Returns the fields that an identity check compares, without those that can change without a new check.
    pub fn identity(&self) -> Self {
        Self { email: String::new(), phone: None, gender: None, ..self.clone() }
    }

    /// Returns what an identity check uses, or none if required data is missing.
    pub fn applicant(self) -> Option<Applicant> {
        Some(Applicant {
            first_name: self.first_name,
            last_name: self.last_name,
            email: self.email,
            phone: self.phone,
            ssn: self.ssn?,
            birth_date: self.birth_date?,
            address: self.address?,
        })
    }
}

/// Personal data that an identity check uses; complete. It is stored with the check.
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
        Ok(PersonFields::of(app, user)?.applicant())
    }
}

impl From<Applicant> for PersonFields {
    fn from(applicant: Applicant) -> Self {
        Self {
            first_name: applicant.first_name,
            last_name: applicant.last_name,
            email: applicant.email,
            phone: applicant.phone,
            ssn: Some(applicant.ssn),
            birth_date: Some(applicant.birth_date),
            gender: None,
            address: Some(applicant.address),
        }
    }
}
