//! Who a person says she is: what is asked of her, which of it can be, and how it is kept.

use super::{
    person::{
        Country, Email, Phone, PostalCode, UsState, age_on, check_words, parse_birth_date, person_name, tidy,
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

/// Where a person lives, as she wrote it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAddress {
    pub line1: String,
    pub line2: Option<String>,
    pub city: String,
    pub state: String,
    pub postal_code: String,
    pub country_code: String,
}

/// What a partner says about a person; nothing in it has been checked.
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

/// What was found in order.
pub struct Checked {
    pub phone: Option<Phone>,
    pub ssn: Option<Ssn>,
    pub birth_date: Option<NaiveDate>,
}

impl NewUser {
    /// Reads every field, or refuses the first that cannot be.
    pub fn checked(&self, mode: Mode) -> Result<Checked> {
        let mut checks = Checks::default();
        checks.note(person_name("firstName", &self.first_name));
        checks.note(person_name("lastName", &self.last_name));
        checks.note(valid("email", Email::parse(&self.email)));
        let phone = self.phone.as_deref().and_then(|phone| checks.note(check_phone(phone)));
        let birth_date =
            self.birth_date.as_deref().and_then(|day| checks.note(valid("birthDate", parse_birth_date(day))));
        let sandbox = mode == Mode::Sandbox;
        let ssn = self.ssn.as_deref().and_then(|ssn| checks.note(valid("ssn", Ssn::parse(ssn, sandbox))));
        if let Some(address) = &self.address {
            checks.note(address.check());
        }
        checks.done()?;
        Ok(Checked { phone, ssn, birth_date })
    }

    /// The person as an identity check sees her on a day; refused where something is missing that it goes by.
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

/// Refuses a day of birth that is still to come.
pub fn born_by(birth_date: NaiveDate, day: NaiveDate) -> Result<()> {
    age_on(birth_date, day)
        .map(|_| ())
        .ok_or_else(|| Refusal::invalid("birthDate", "lies in the future").into())
}

impl NewAddress {
    /// The address as it is kept.
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

    /// Whether the parts of the address belong together.
    pub fn fit(&self) -> AddressFit {
        if !self.country_code.eq_ignore_ascii_case("US") {
            return AddressFit::Foreign;
        }
        match (UsState::parse(&self.state), PostalCode::parse(&self.postal_code)) {
            (Ok(state), Ok(zip)) if state.has(&zip) => AddressFit::Domestic,
            _ => AddressFit::OtherState,
        }
    }

    /// Whether a line of the address is a post office box, where no person lives.
    pub fn is_po_box(&self) -> bool {
        zips::is_po_box(&self.line1) || self.line2.as_deref().is_some_and(zips::is_po_box)
    }

    /// Refuses what cannot be.
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

/// Reads a phone number.
pub fn check_phone(phone: &str) -> Result<Phone> {
    if phone.len() > 40 {
        return Err(Refusal::invalid("phone", "must have at most 40 characters").into());
    }
    valid("phone", Phone::parse(phone))
}

/// The value, or a refusal that blames `field` with the error's own words.
pub fn valid<T, E: std::fmt::Display>(field: &str, value: std::result::Result<T, E>) -> Result<T> {
    value.map_err(|error| Refusal::invalid(field, error.to_string()).into())
}

/// The column of social security numbers.
pub const SSN: &str = "users.ssn";
/// The column of phone numbers.
pub const PHONE: &str = "users.phone";
/// The column of days of birth.
pub const BIRTH_DATE: &str = "users.birth_date";

/// Sealed columns of a person, for whoever writes them anew.
pub fn sealed(
    ctx: &CommandContext<'_>,
    user_id: Uuid,
    column: &'static str,
    value: Option<&str>,
) -> Result<Option<Vec<u8>>> {
    let place = AssociatedData { column, row: user_id, partner: ctx.partner.id };
    value.map(|value| ctx.app.vault.seal(place, value.as_bytes())).transpose()
}

/// A person's day of birth, where it is known.
pub fn birth_date(app: &App, user: &user::Model) -> Result<Option<NaiveDate>> {
    let place = AssociatedData { column: BIRTH_DATE, row: user.id, partner: user.partner_id };
    let Some(sealed) = user.birth_date.as_deref() else { return Ok(None) };
    let day = app.vault.open_text(place, sealed)?;
    parse_birth_date(day.reveal()).map(Some).map_err(|_| Error::broken("a kept day of birth is none"))
}

/// The phone number as the person wrote it.
pub fn phone(app: &App, user: &user::Model) -> Result<Option<Secret<String>>> {
    let place = AssociatedData { column: PHONE, row: user.id, partner: user.partner_id };
    user.phone.as_deref().map(|sealed| app.vault.open_text(place, sealed)).transpose()
}

/// The social security number, where it is known.
fn ssn(app: &App, user: &user::Model) -> Result<Option<Secret<String>>> {
    let place = AssociatedData { column: SSN, row: user.id, partner: user.partner_id };
    user.ssn.as_deref().map(|sealed| app.vault.open_text(place, sealed)).transpose()
}

/// A person as an identity check sees her: all that it goes by is known.
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
    /// A person of the house, if all is known of her that a check goes by.
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
