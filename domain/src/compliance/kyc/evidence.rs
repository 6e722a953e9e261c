//! Correcting the evidence of an identity check and computing the result again.

use super::{applicant, hits, is_listed, judge, parts, sealed_applicant, ssn_index, to_json};
use crate::{
    Checks, Code, Error, Refusal, Result,
    compliance::screening,
    kernel::{command::CommandContext, events::Event},
    people::{
        applicants::{self, Applicant, BIRTH_DATE, NewAddress, PHONE, SSN, sealed, valid},
        person::{Email, parse_date, person_name, tidy},
        ssn::Ssn,
    },
    providers::identity::{self, Check},
};
use entity::{
    kyc,
    partner::Mode,
    user::{self, Status},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};
use serde::Serialize;

/// Corrections of personal data; not yet checked. Absent fields stay unchanged.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Patch {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    /// An empty string clears it.
    pub phone: Option<String>,
    pub ssn: Option<String>,
    pub birth_date: Option<String>,
    pub address: PatchedAddress,
}

/// Corrections of an address.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct PatchedAddress {
    pub line1: Option<String>,
    /// An empty string clears it.
    pub line2: Option<String>,
    pub city: Option<String>,
    pub state: Option<String>,
    pub postal_code: Option<String>,
    pub country_code: Option<String>,
}

impl Patch {
    /// Returns a patch of the name only.
    pub fn of_name(first_name: Option<String>, last_name: Option<String>) -> Self {
        Self { first_name, last_name, ..Self::default() }
    }

    /// Whether the patch contains no corrections.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks each field by itself. The address is checked once it is merged.
    pub fn check(&self, mode: Mode) -> Result<()> {
        let mut checks = Checks::default();
        for (field, name) in [("firstName", &self.first_name), ("lastName", &self.last_name)] {
            if let Some(name) = name {
                checks.note(person_name(field, name));
            }
        }
        if let Some(email) = &self.email {
            checks.note(valid("email", Email::parse(email)));
        }
        if let Some(phone) = self.phone.as_ref().filter(|phone| !phone.is_empty()) {
            checks.note(applicants::check_phone(phone));
        }
        if let Some(ssn) = &self.ssn {
            checks.note(valid("ssn", Ssn::parse(ssn, mode == Mode::Sandbox)));
        }
        if let Some(day) = &self.birth_date {
            checks.note(valid("birthDate", parse_date(day)));
        }
        checks.done()
    }

    /// Returns the applicant with these corrections applied.
    fn applied(&self, ctx: &CommandContext<'_>, to: &Applicant) -> Result<Applicant> {
        let or =
            |given: &Option<String>, stored: &str| given.as_deref().map_or_else(|| stored.to_owned(), tidy);
        let or_none = |given: Option<&str>, stored: Option<&String>| match given {
            Some(given) => Some(given.to_owned()).filter(|given| !given.is_empty()),
            None => stored.cloned(),
        };
        let ssn = self
            .ssn
            .as_deref()
            .map(|ssn| valid("ssn", Ssn::parse(ssn, ctx.partner.mode == Mode::Sandbox)))
            .transpose()?;
        let birth_date =
            self.birth_date.as_deref().map(|day| valid("birthDate", parse_date(day))).transpose()?;
        let (patch, stored) = (&self.address, &to.address);
        let address = NewAddress {
            line1: or(&patch.line1, &stored.line1),
            line2: or_none(patch.line2.as_deref(), stored.line2.as_ref()),
            city: or(&patch.city, &stored.city),
            state: or(&patch.state, &stored.state),
            postal_code: or(&patch.postal_code, &stored.postal_code),
            country_code: or(&patch.country_code, &stored.country_code),
        };
        address.check()?;
        let address = address.tidied();
        let birth_date = birth_date.unwrap_or(to.birth_date);
        applicants::born_by(birth_date, ctx.today())?;
        Ok(Applicant {
            first_name: or(&self.first_name, &to.first_name),
            last_name: or(&self.last_name, &to.last_name),
            email: self.email.as_deref().map_or(to.email.as_str(), str::trim).to_owned(),
            phone: or_none(self.phone.as_deref(), to.phone.as_ref()),
            ssn: ssn.map_or_else(|| to.ssn.clone(), |ssn| ssn.reveal()),
            birth_date,
            address,
        })
    }
}

/// A check with corrected evidence and new score, not yet stored. Its outcome is still the previous one.
pub struct Reconsidered {
    pub check: kyc::Model,
    pub applicant: Applicant,
    /// Whether the applicant resembles a watch-list entry or cannot be screened.
    pub needs_reviewer: bool,
}

/// Corrects the evidence of a check and its user and computes the score again. Returns none if nothing
/// changes.
///
/// The points of the answers still count.
pub async fn reconsider(
    ctx: &CommandContext<'_>,
    mut check: kyc::Model,
    patch: &Patch,
) -> Result<Option<Reconsidered>> {
    let stored = applicant(ctx.app, &check)?.map(|stored| stored.reveal().clone());
    let user = match check.user_id {
        Some(id) => user::Entity::find_by_id(id).one(ctx.tx).await?,
        None => None,
    };
    if user.as_ref().is_some_and(|user| user.status == Status::Closed) {
        return Err(Refusal::new(Code::KycNotOpen, "", "The user has been closed.").into());
    }
    let present = match &user {
        Some(user) => Applicant::of(ctx.app, user)?,
        None => None,
    };
    let before = present
        .or_else(|| stored.clone())
        .ok_or_else(|| Error::broken("an identity check has no applicant"))?;
    let after = patch.applied(ctx, &before)?;
    if stored.as_ref() == Some(&after) && before == after {
        return Ok(None);
    }
    if let Some(user) = user.filter(|_| before != after) {
        let user = changed_row(ctx, user, &before, &after)?.update(ctx.tx).await?;
        ctx.record(Event::UserUpdated((&user).into())).await?;
    }
    hits::screen_again(ctx, check.id, &after).await?;
    let is_listed = is_listed(ctx.tx, check.id).await?;
    let judged = judge(ctx, &after, check.user_id, is_listed).await?;
    let (mut judged, tags) =
        judged.ok_or(Error::Unavailable("No identity check provider is configured for live partners."))?;
    judged.extend(parts(&check).into_iter().filter(|part| part.check == Check::Answers));
    check.score = identity::score(&judged);
    (check.parts, check.tags) = (to_json(&judged)?, tags);
    check.applicant = Some(sealed_applicant(ctx, check.id, &after)?);
    check.ssn_index = Some(ssn_index(ctx, &after));
    let needs_reviewer = is_listed || screening::cannot_screen(ctx, &after).await?;
    Ok(Some(Reconsidered { check, applicant: after, needs_reviewer }))
}

/// Returns the user's row with only the changed columns set, so that concurrent changes of others are
/// preserved.
fn changed_row(
    ctx: &CommandContext<'_>,
    user: user::Model,
    before: &Applicant,
    after: &Applicant,
) -> Result<user::ActiveModel> {
    let id = user.id;
    let mut row: user::ActiveModel = user.into();
    row.first_name.set_if_not_equals(after.first_name.clone());
    row.last_name.set_if_not_equals(after.last_name.clone());
    row.email.set_if_not_equals(after.email.clone());
    row.address_line_1.set_if_not_equals(Some(after.address.line1.clone()));
    row.address_line_2.set_if_not_equals(after.address.line2.clone());
    row.address_city.set_if_not_equals(Some(after.address.city.clone()));
    row.address_state.set_if_not_equals(Some(after.address.state.clone()));
    row.address_postal_code.set_if_not_equals(Some(after.address.postal_code.clone()));
    row.address_country_code.set_if_not_equals(Some(after.address.country_code.clone()));
    if before.phone != after.phone {
        row.phone = Set(sealed(ctx, id, PHONE, after.phone.as_deref())?);
    }
    if before.birth_date != after.birth_date {
        row.birth_date = Set(sealed(ctx, id, BIRTH_DATE, Some(&after.birth_date.to_string()))?);
    }
    if before.ssn != after.ssn {
        row.ssn = Set(sealed(ctx, id, SSN, Some(&after.ssn))?);
        row.ssn_index = Set(Some(ssn_index(ctx, after)));
    }
    Ok(row)
}
