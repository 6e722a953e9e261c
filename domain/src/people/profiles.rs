//! What a person says of herself, and who her employer is.

use super::{
    applicants,
    person::{Email, check_characters, check_words, parse_birth_date, person_name, tidy},
    ssn::Ssn,
    users::{
        self,
        changes::{UserChange, write_changes},
    },
};
use crate::{
    Actor, Checks, Error, Refusal, Result, Scope,
    access::invitations,
    app::App,
    delivery::messages::{self, NewMessage},
    kernel::{
        clock,
        command::{self, Command, Desk},
        events::Happening,
        secrets::Secret,
    },
};
use chrono::{Duration, NaiveDate};
use entity::{
    Kind, invitation,
    message::{Channel, Purpose},
    partner::Mode,
    user::{self, Status},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

/// What a person says of herself; nothing in it has been checked. What is absent stays as it is.
#[derive(Clone, Default, Serialize)]
pub struct Identity {
    pub full_name: Option<String>,
    pub birth_date: Option<String>,
    pub ssn: Option<String>,
    pub gender: Option<String>,
}

/// The longest name that is not cut into two: two of the longest and the blank between them.
const LONGEST_NAME: usize = 201;

fn check_full_name(name: &str) -> Result<()> {
    if [name, &tidy(name)].iter().any(|name| name.chars().count() > LONGEST_NAME) {
        return Err(Refusal::invalid("fullName", format!("must have at most {LONGEST_NAME} characters")).into());
    }
    check_characters("fullName", name)?;
    let (first, last) = halves(name);
    person_name("fullName", &first)?;
    if last.is_empty() { Ok(()) } else { person_name("fullName", &last).map(drop) }
}

impl Identity {
    /// Refuses what cannot be.
    pub fn check(&self, mode: Mode) -> Result<()> {
        let mut checks = Checks::default();
        if let Some(name) = &self.full_name {
            checks.note(check_full_name(name));
        }
        if let Some(day) = &self.birth_date {
            checks.note(applicants::valid("birthDate", parse_birth_date(day)));
        }
        if let Some(ssn) = &self.ssn {
            checks.note(applicants::valid("ssn", Ssn::parse(ssn, mode == Mode::Sandbox)));
        }
        if let Some(gender) = &self.gender {
            checks.note(check_words("gender", gender));
        }
        checks.done()
    }

    /// Writes what is said into a person's row.
    fn write(&self, desk: &Desk<'_>, user: &mut user::Model) -> Result<()> {
        if let Some(name) = &self.full_name {
            let (first, last) = halves(name);
            (user.first_name, user.last_name) = (first, last);
        }
        let Self { birth_date, ssn, .. } = self.clone();
        UserChange { ssn, birth_date, ..UserChange::default() }.write(desk, user)?;
        if let Some(gender) = &self.gender {
            user.gender = Some(tidy(gender));
        }
        Ok(())
    }
}

/// A name as given names and family name: the last word is the family name.
fn halves(name: &str) -> (String, String) {
    let name = tidy(name);
    match name.rsplit_once(' ') {
        Some((first, last)) => (first.to_owned(), last.to_owned()),
        None => (name, String::new()),
    }
}

/// A person's whole name; none until it is known.
pub fn full_name(user: &user::Model) -> Option<String> {
    let name = format!("{} {}", user.first_name, user.last_name).trim().to_owned();
    Some(name).filter(|name| !name.is_empty())
}

/// Begins a person who signs up by herself: `pending` until all is known that an identity check needs.
pub async fn begin(desk: &Desk<'_>, email: &Email, identity: &Identity, invitation_id: Option<Uuid>) -> Result<user::Model> {
    let mut user = user::Model {
        id: desk.app.ids.next(Kind::User),
        partner_id: desk.partner.id,
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
        created_at: desk.now,
        gender: None,
        invitation_id,
    };
    identity.write(desk, &mut user)?;
    user::ActiveModel::from(user.clone()).reset_all().insert(desk.tx).await?;
    desk.fact().record_first(desk.tx, Happening::UserCreated, user.id, json!({ "id": user.id, "status": user.status })).await?;
    Ok(user)
}

/// Notes by which invitation a person whom the partner serves already came to sign in.
pub async fn came_by(desk: &Desk<'_>, user_id: Uuid, invitation_id: Option<Uuid>) -> Result<user::Model> {
    clock::locked(desk.tx, desk.partner.id).await?;
    let found = user::Entity::find_by_id(user_id).one(desk.tx).await?;
    let mut row: user::ActiveModel = found.ok_or_else(|| Error::broken("an invitation names no person"))?.into();
    row.invitation_id = Set(invitation_id);
    Ok(row.update(desk.tx).await?)
}

/// What a person's profile shows.
#[derive(Clone, Debug)]
pub struct Profile {
    pub user: user::Model,
    pub birth_date: Option<Secret<NaiveDate>>,
    /// The invitation she came by, which names her employer.
    pub employer: Option<invitation::Model>,
}

/// A person's profile; scope `read`, or the person herself. Who looked is written down.
pub async fn find(app: &App, actor: &Actor, user_id: Uuid) -> Result<Profile> {
    let found = users::look_up(app, actor, user_id).await?.ok_or_else(|| Refusal::not_found("userId"))?;
    let employer = invitations::of_user(&app.db.read, found.user.invitation_id).await?;
    let birth_date = applicants::birth_date(app, &found.user)?.map(Secret::new);
    Ok(Profile { user: found.user, birth_date, employer })
}

/// A person's own words about herself, changed.
#[derive(Clone, Serialize)]
pub struct Amendment {
    pub user_id: Uuid,
    pub identity: Identity,
}

/// Changes what a person says of herself; scope `manage`, or the person herself. A change of what her identity was checked
/// by has it checked again.
pub async fn amend(app: &App, actor: &Actor, amendment: Amendment) -> Result<user::Model> {
    Ok(command::execute(app, actor, None, amendment).await?.value)
}

impl Command for Amendment {
    const NAME: &'static str = "user.amend";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Done = user::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        self.identity.check(mode).map_err(|error| error.inside("patch"))
    }

    async fn carry_out(&self, desk: &Desk<'_>) -> Result<user::Model> {
        clock::locked(desk.tx, desk.partner.id).await?;
        let mut user = users::within(desk.tx, desk.whose, self.user_id).await?.ok_or_else(|| Refusal::not_found("userId"))?;
        let before = user.clone();
        self.identity.write(desk, &mut user).map_err(|error| error.inside("patch"))?;
        write_changes(desk, before, user).await
    }

    fn object(done: &user::Model) -> Uuid {
        done.id
    }
}

#[derive(Serialize)]
struct DataMail {
    user_id: Uuid,
}

/// How often one person's data may be mailed.
const PAUSE: Duration = Duration::minutes(1);

/// Mails what a person has entered to her advisors, once a minute at most; scope `manage`, or the person herself. Neither
/// her social security number nor her day of birth is in it.
pub async fn mail_data(app: &App, actor: &Actor, user_id: Uuid) -> Result<user::Model> {
    Ok(command::execute(app, actor, None, DataMail { user_id }).await?.value)
}

impl Command for DataMail {
    const NAME: &'static str = "user.mail_data";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Done = user::Model;

    fn check(&self, _: Mode) -> Result<()> {
        Ok(())
    }

    async fn carry_out(&self, desk: &Desk<'_>) -> Result<user::Model> {
        clock::locked(desk.tx, desk.partner.id).await?;
        let user = users::within(desk.tx, desk.whose, self.user_id).await?.ok_or_else(|| Refusal::not_found("userId"))?;
        if messages::posted_since(desk.tx, user.id, Purpose::AdvisorData, clock::system_now() - PAUSE).await? {
            return Err(Error::TooMany { retry_after: 60 });
        }
        let advisors = match (&desk.app.advisors, desk.partner.mode) {
            (Some(advisors), _) => advisors.clone(),
            (None, Mode::Sandbox) => "advisors@example.com".to_owned(),
            (None, Mode::Live) => return Err(Error::Unavailable("No address of advisors is configured.")),
        };
        let employer = invitations::of_user(desk.tx, user.invitation_id).await?.and_then(|invitation| invitation.company_name);
        let answers = [
            ("Name", full_name(&user)),
            ("E-mail", Some(user.email.clone())),
            ("Gender", user.gender.clone()),
            ("City", user.address_city.clone()),
            ("State", user.address_state.clone()),
            ("Employer", employer),
        ];
        let lines: Vec<String> = answers.into_iter().filter_map(|(name, answer)| Some(format!("{name}: {}", answer?))).collect();
        let mail = NewMessage {
            user_id: Some(user.id),
            channel: Channel::Mail,
            purpose: Purpose::AdvisorData,
            to: advisors,
            subject: "A customer's data".to_owned(),
            text: lines.join("\n"),
            send_by: None,
        };
        messages::post(desk.app, desk.tx, desk.partner, mail).await?;
        Ok(user)
    }

    fn object(done: &user::Model) -> Uuid {
        done.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_the_family_name() {
        for (name, first, last) in
            [("Test Testing", "Test", "Testing"), (" Anna Maria  Okafor ", "Anna Maria", "Okafor"), ("Cher", "Cher", ""), ("", "", "")]
        {
            assert_eq!(halves(name), (first.to_owned(), last.to_owned()));
        }
    }
}
