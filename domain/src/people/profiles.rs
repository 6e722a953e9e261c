//! Profile data that a user enters themselves.

use super::{
    applicants,
    person::{Email, check_characters, check_words, parse_date, person_name, tidy},
    ssn::Ssn,
    user_changes::UpdateUser,
};
use crate::{
    Checks, Error, Refusal, Result,
    kernel::{clock, command::CommandContext, events::Event},
};
use entity::{
    Kind,
    partner::Mode,
    user::{self, Status},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};
use serde::Serialize;
use uuid::Uuid;

/// Profile data as entered, not yet checked. Absent fields stay as they are.
#[derive(Clone, Default, Serialize)]
pub struct Identity {
    pub full_name: Option<String>,
    pub birth_date: Option<String>,
    pub ssn: Option<String>,
    pub gender: Option<String>,
}

/// Longest full name: two names of 100 characters and a blank.
const MAX_FULL_NAME: usize = 201;

fn check_full_name(name: &str) -> Result<()> {
    if [name, &tidy(name)].iter().any(|name| name.chars().count() > MAX_FULL_NAME) {
        return Err(
            Refusal::invalid("fullName", format!("must have at most {MAX_FULL_NAME} characters")).into()
        );
    }
    check_characters("fullName", name)?;
    let (first, last) = split_name(name);
    person_name("fullName", &first)?;
    if last.is_empty() { Ok(()) } else { person_name("fullName", &last).map(drop) }
}

impl Identity {
    /// Checks all fields that are present.
    pub fn check(&self, mode: Mode) -> Result<()> {
        let mut checks = Checks::default();
        if let Some(name) = &self.full_name {
            checks.note(check_full_name(name));
        }
        if let Some(day) = &self.birth_date {
            checks.note(applicants::valid("birthDate", parse_date(day)));
        }
        if let Some(ssn) = &self.ssn {
            checks.note(applicants::valid("ssn", Ssn::parse(ssn, mode == Mode::Sandbox)));
        }
        if let Some(gender) = &self.gender {
            checks.note(check_words("gender", gender));
        }
        checks.done()
    }

    /// Applies the profile data to a user's row.
    pub fn write(&self, ctx: &CommandContext<'_>, user: &mut user::Model) -> Result<()> {
        if let Some(name) = &self.full_name {
            let (first, last) = split_name(name);
            (user.first_name, user.last_name) = (first, last);
        }
        let Self { birth_date, ssn, .. } = self.clone();
        UpdateUser { ssn, birth_date, ..UpdateUser::default() }.write(ctx, user)?;
        if let Some(gender) = &self.gender {
            user.gender = Some(tidy(gender));
        }
        Ok(())
    }
}

/// Splits a name into given names and family name, which is the last word.
fn split_name(name: &str) -> (String, String) {
    let name = tidy(name);
    match name.rsplit_once(' ') {
        Some((first, last)) => (first.to_owned(), last.to_owned()),
        None => (name, String::new()),
    }
}

/// Returns a user's full name, if known.
pub fn full_name(user: &user::Model) -> Option<String> {
    let name = format!("{} {}", user.first_name, user.last_name).trim().to_owned();
    Some(name).filter(|name| !name.is_empty())
}

/// Creates a user who signs up themselves: `pending` until everything for an identity check is known.
pub async fn begin(
    ctx: &CommandContext<'_>,
    email: &Email,
    identity: &Identity,
    invitation_id: Option<Uuid>,
) -> Result<user::Model> {
    let mut user = user::Model {
        id: ctx.app.ids.next(Kind::User),
        partner_id: ctx.partner.id,
        status: Status::Pending,
        first_name: String::new(),
        last_name: String::new(),
        email: email.to_string(),
        phone: None,
        ssn: None,
        ssn_index: None,
        birth_date: None,
        address_line_1: None,
        address_line_2: None,
        address_city: None,
        address_state: None,
        address_postal_code: None,
        address_country_code: None,
        created_at: ctx.now,
        gender: None,
        invitation_id,
    };
    identity.write(ctx, &mut user)?;
    user::ActiveModel::from(user.clone()).reset_all().insert(ctx.tx).await?;
    ctx.record(Event::UserCreated((&user).into())).await?;
    Ok(user)
}

/// Attaches the invitation that an existing user signed up with.
pub async fn attach_invitation(
    ctx: &CommandContext<'_>,
    user_id: Uuid,
    invitation_id: Option<Uuid>,
) -> Result<user::Model> {
    clock::locked(ctx.tx, ctx.partner.id).await?;
    let found = user::Entity::find_by_id(user_id).one(ctx.tx).await?;
    let mut row: user::ActiveModel =
        found.ok_or_else(|| Error::broken("an invitation refers to a missing user"))?.into();
    row.invitation_id = Set(invitation_id);
    Ok(row.update(ctx.tx).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_the_family_name() {
        for (name, first, last) in [
            ("Test Testing", "Test", "Testing"),
            (" Anna Maria  Okafor ", "Anna Maria", "Okafor"),
            ("Cher", "Cher", ""),
            ("", "", ""),
        ] {
            assert_eq!(split_name(name), (first.to_owned(), last.to_owned()));
        }
    }
}
