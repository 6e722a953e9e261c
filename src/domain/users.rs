//! People: registration, and the identity check that comes with it.

use super::{
    Actor, Error, Refusal, Result, Scope,
    actor::Whose,
    audit, clock,
    command::{self, Answer, Command, Desk},
    events::Happening,
    idempotency::Key,
    limits,
    page::{Page, Slice},
    people::{Country, Email, PersonName, Phone, PostalCode, UsState, age_on, check_words, parse_birth_date},
    secrets::{self, Place, Secret},
    ssn::Ssn,
};
use crate::{app::App, providers::identity::Evidence};
use chrono::NaiveDate;
use entity::{
    Kind, kyc,
    partner::Mode,
    user::{self, Status},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use uuid::Uuid;

/// Where a person lives, as she wrote it.
#[derive(Clone, Serialize)]
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

/// A person and her identity check, if there was one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub user: user::Model,
    pub kyc: Option<kyc::Model>,
}

/// Registers a person; scope `start`, which `manage` implies. With a complete address, a birth date and a social security number her identity is
/// checked at once (documented: users are created with an automatic check); else she stays `pending`.
///
/// E-mail and phone need not be unique.
pub async fn register(app: &App, actor: &Actor, key: Option<Key>, new: NewUser) -> Result<Answer<Registered>> {
    actor.caller(Scope::Start)?;
    limits::by_address(app, limits::SIGN_UP, actor.personal_address()).await?;
    command::execute(app, actor, key, new).await
}

struct Checked {
    phone: Option<Phone>,
    ssn: Option<Ssn>,
    birth_date: Option<NaiveDate>,
}

impl NewUser {
    fn checked(&self, mode: Mode) -> Result<Checked> {
        valid("firstName", PersonName::parse(&self.first_name))?;
        valid("lastName", PersonName::parse(&self.last_name))?;
        valid("email", Email::parse(&self.email))?;
        if self.phone.as_ref().is_some_and(|phone| phone.len() > 40) {
            return Err(Refusal::invalid("phone", "must have at most 40 characters").into());
        }
        let phone = self.phone.as_deref().map(|phone| valid("phone", Phone::parse(phone))).transpose()?;
        let birth_date = self.birth_date.as_deref().map(|day| valid("birthDate", parse_birth_date(day))).transpose()?;
        let sandbox = mode == Mode::Sandbox;
        let ssn = self.ssn.as_deref().map(|ssn| valid("ssn", Ssn::parse(ssn, sandbox))).transpose()?;
        if let Some(address) = &self.address {
            address.check()?;
        }
        Ok(Checked { phone, ssn, birth_date })
    }
}

impl NewAddress {
    fn check(&self) -> Result<()> {
        check_words("address.line1", &self.line1)?;
        if let Some(line2) = &self.line2 {
            check_words("address.line2", line2)?;
        }
        check_words("address.city", &self.city)?;
        let country = valid("address.countryCode", Country::from_alpha2(&self.country_code))?;
        if country.alpha2() == "US" {
            valid("address.state", UsState::parse(&self.state))?;
            valid("address.postalCode", PostalCode::parse(&self.postal_code))?;
        } else {
            check_words("address.state", &self.state)?;
            check_words("address.postalCode", &self.postal_code)?;
        }
        Ok(())
    }
}

/// The value, or a refusal that blames `field` with the error's own words.
pub fn valid<T, E: std::fmt::Display>(field: &str, value: std::result::Result<T, E>) -> Result<T> {
    value.map_err(|error| Refusal::invalid(field, error.to_string()).into())
}

impl Command for NewUser {
    const NAME: &'static str = "user.create";
    const SCOPE: Scope = Scope::Start;
    type Done = Registered;

    fn check(&self, mode: Mode) -> Result<()> {
        self.checked(mode).map(|_| ())
    }

    async fn carry_out(&self, desk: &Desk<'_>) -> Result<Registered> {
        let checked = self.checked(desk.partner.mode)?;
        if checked.birth_date.is_some_and(|born| age_on(born, desk.now.date_naive()).is_none()) {
            return Err(Refusal::invalid("birthDate", "lies in the future").into());
        }
        let partner_id = desk.partner.id;
        let id = desk.app.ids.next(Kind::User);
        let seal = |column, value: Option<String>| {
            value.map(|value| desk.app.vault.seal(Place { column, row: id, partner: partner_id }, value.as_bytes())).transpose()
        };
        let ssn = checked.ssn.as_ref().map(Ssn::reveal);
        let ssn_index = ssn.as_deref().map(|ssn| desk.app.vault.blind_index("users.ssn", partner_id, ssn));
        let address = self.address.as_ref();
        let text = |pick: fn(&NewAddress) -> &String| address.map(|address| pick(address).trim().to_owned());
        let mut user = user::Model {
            id,
            partner_id,
            status: Status::Pending,
            first_name: self.first_name.trim().to_owned(),
            last_name: self.last_name.trim().to_owned(),
            email: self.email.trim().to_owned(),
            phone: seal(PHONE, self.phone.clone())?,
            ssn: seal(SSN, ssn.clone())?,
            ssn_index: ssn_index.clone(),
            birth_date: seal(BIRTH_DATE, checked.birth_date.map(|day| day.to_string()))?,
            address_line_1: text(|address| &address.line1),
            address_line_2: address.and_then(|address| address.line2.as_deref()).map(|line| line.trim().to_owned()),
            address_city: text(|address| &address.city),
            address_state: text(|address| &address.state),
            address_postal_code: text(|address| &address.postal_code),
            address_country_code: text(|address| &address.country_code),
            created_at: desk.now,
            gender: None,
            invitation_id: None,
        };
        let kyc = match (ssn_index, checked.birth_date, address) {
            (Some(index), Some(born), Some(_)) => check_identity(desk, &user, index, born, checked.phone.is_some()).await?,
            _ => None,
        };
        if let Some(kyc) = &kyc {
            user.status = status_after(kyc.outcome);
        }
        user::ActiveModel::from(user.clone()).reset_all().insert(desk.tx).await?;
        if let Some(kyc) = &kyc {
            kyc::ActiveModel::from(kyc.clone()).reset_all().insert(desk.tx).await?;
        }
        desk.fact().record_first(desk.tx, Happening::UserCreated, user.id, json!({ "id": user.id, "status": user.status })).await?;
        Ok(Registered { user, kyc })
    }

    fn object(done: &Registered) -> Uuid {
        done.user.id
    }
}

/// The column of social security numbers.
pub const SSN: &str = "users.ssn";
const PHONE: &str = "users.phone";
/// The column of days of birth.
pub const BIRTH_DATE: &str = "users.birth_date";

/// Checks a person's identity; nothing where nobody is there to check it.
async fn check_identity(
    desk: &Desk<'_>,
    user: &user::Model,
    ssn_index: Vec<u8>,
    born: NaiveDate,
    has_phone: bool,
) -> Result<Option<kyc::Model>> {
    let provider = match desk.partner.mode {
        Mode::Sandbox => &desk.app.providers.sandbox_identity,
        Mode::Live => match &desk.app.providers.live_identity {
            Some(provider) => provider,
            None => return Ok(None),
        },
    };
    if desk.partner.mode == Mode::Live {
        // Two people with one number at the same moment must see each other.
        clock::locked(desk.tx, desk.partner.id).await?;
    }
    let twin = user::Entity::find()
        .filter(user::Column::PartnerId.eq(user.partner_id))
        .filter(user::Column::SsnIndex.eq(ssn_index))
        .filter(user::Column::Id.ne(user.id))
        .one(desk.tx)
        .await?;
    let evidence = Evidence {
        last_name: &user.last_name,
        age: age_on(born, desk.now.date_naive()).unwrap_or(0),
        has_phone,
        ssn_seen_before: twin.is_some(),
        personas: desk.partner.mode == Mode::Sandbox,
    };
    let verdict = provider.check(evidence).await;
    Ok(Some(kyc::Model {
        id: desk.app.ids.next(Kind::Kyc),
        partner_id: user.partner_id,
        user_id: user.id,
        token: format!("S-{}", secrets::random_base62(20)?),
        score: verdict.score,
        outcome: outcome_of(verdict.score),
        tags: verdict.tags.join("\n"),
        decided_at: desk.now,
    }))
}

/// A score's outcome: 0.90 and more is approved, 0.60 and more asks questions, 0.30 and more goes to a person.
const fn outcome_of(score: i32) -> kyc::Outcome {
    match score {
        90.. => kyc::Outcome::Approved,
        60..90 => kyc::Outcome::QuestionsRequired,
        30..60 => kyc::Outcome::ManualReview,
        _ => kyc::Outcome::Denied,
    }
}

const fn status_after(outcome: kyc::Outcome) -> Status {
    match outcome {
        kyc::Outcome::Approved => Status::Approved,
        kyc::Outcome::QuestionsRequired => Status::ActionRequired,
        kyc::Outcome::ManualReview => Status::DocumentationRequired,
        kyc::Outcome::Denied => Status::Denied,
    }
}

/// Sealed columns of a person, for whoever writes them anew.
pub fn sealed(desk: &Desk<'_>, user_id: Uuid, column: &'static str, value: Option<&str>) -> Result<Option<Vec<u8>>> {
    let place = Place { column, row: user_id, partner: desk.partner.id };
    value.map(|value| desk.app.vault.seal(place, value.as_bytes())).transpose()
}

/// Checks the identity of a person again after a change, once everything for it is known, and moves her status.
pub async fn check_again(desk: &Desk<'_>, user: user::Model) -> Result<user::Model> {
    // Who was refused cannot try another name or number by herself, nor come back once she has gone.
    let by_herself = desk.whose.user_id.is_some();
    if user.status == Status::Closed || (by_herself && user.status == Status::Denied) {
        return Ok(user);
    }
    let born = birth_date(desk.app, &user)?;
    let (Some(index), Some(born), Some(_)) = (user.ssn_index.clone(), born, user.address_line_1.as_ref()) else { return Ok(user) };
    let Some(found) = check_identity(desk, &user, index, born, user.phone.is_some()).await? else { return Ok(user) };
    let status = status_after(found.outcome);
    match kyc_of(desk.tx, user.id).await? {
        Some(earlier) => {
            let found = kyc::Model { id: earlier.id, token: earlier.token, ..found };
            kyc::ActiveModel::from(found).reset_all().update(desk.tx).await?;
        }
        None => {
            kyc::ActiveModel::from(found).reset_all().insert(desk.tx).await?;
        }
    }
    let mut row: user::ActiveModel = user.into();
    row.status = Set(status);
    Ok(row.update(desk.tx).await?)
}

/// A person's day of birth, where it is known.
pub fn birth_date(app: &App, user: &user::Model) -> Result<Option<NaiveDate>> {
    let place = Place { column: BIRTH_DATE, row: user.id, partner: user.partner_id };
    let Some(sealed) = user.birth_date.as_deref() else { return Ok(None) };
    let day = app.vault.open_text(place, sealed)?;
    parse_birth_date(day.reveal()).map(Some).map_err(|_| Error::broken("a kept day of birth is none"))
}

/// The person with this id among the partner's; scope `read`.
pub async fn find(connection: &impl ConnectionTrait, actor: &Actor, id: Uuid) -> Result<Option<user::Model>> {
    let whose = actor.whose(Scope::Read)?;
    within(connection, whose, id).await
}

/// The person with this id within reach.
pub async fn within(connection: &impl ConnectionTrait, whose: Whose, id: Uuid) -> Result<Option<user::Model>> {
    let found = user::Entity::find_by_id(id).filter(user::Column::PartnerId.eq(whose.partner_id)).one(connection).await?;
    Ok(found.filter(|user| whose.covers(user.id)))
}

/// The partner's people, newest first; scope `read`.
pub async fn list(connection: &impl ConnectionTrait, actor: &Actor, page: &Page) -> Result<Slice<user::Model>> {
    let whose = actor.whose(Scope::Read)?;
    let mut select = user::Entity::find().filter(user::Column::PartnerId.eq(whose.partner_id));
    if let Some(only) = whose.user_id {
        select = select.filter(user::Column::Id.eq(only));
    }
    page.of(connection, select, user::Column::Id).await
}

/// The person with this id with what the house knows about her; scope `read`. Who looked is written down.
pub async fn look_up(app: &App, actor: &Actor, id: Uuid) -> Result<Option<Registered>> {
    let caller = actor.self_or_caller(Scope::Read)?;
    let Some(user) = within(&app.db.read, caller.whose, id).await? else { return Ok(None) };
    let kyc = kyc_of(&app.db.read, user.id).await?;
    audit::looked(app, &caller, actor.request_id, "user.look_up", Some(user.id)).await?;
    Ok(Some(Registered { user, kyc }))
}

/// A page of the partner's people with what the house knows about them; scope `read`. Who looked is written down, once for
/// the page.
pub async fn look_through(app: &App, actor: &Actor, page: &Page) -> Result<Slice<Registered>> {
    let caller = actor.self_or_caller(Scope::Read)?;
    let Slice { rows, has_previous, has_next } = list(&app.db.read, actor, page).await?;
    let mut checks = kycs_of(&app.db.read, &rows).await?;
    audit::looked(app, &caller, actor.request_id, "user.list", None).await?;
    let with_check = |user: user::Model| Registered { kyc: checks.remove(&user.id), user };
    Ok(Slice { rows: rows.into_iter().map(with_check).collect(), has_previous, has_next })
}

/// Several people's identity checks, by whose they are.
async fn kycs_of(connection: &impl ConnectionTrait, users: &[user::Model]) -> Result<HashMap<Uuid, kyc::Model>> {
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let select = kyc::Entity::find().filter(kyc::Column::UserId.is_in(users.iter().map(|user| user.id)));
    Ok(select.all(connection).await?.into_iter().map(|kyc| (kyc.user_id, kyc)).collect())
}

/// A person's identity check.
async fn kyc_of(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<Option<kyc::Model>> {
    Ok(kyc::Entity::find().filter(kyc::Column::UserId.eq(user_id)).one(connection).await?)
}

/// The phone number as the person wrote it.
pub fn phone(app: &App, user: &user::Model) -> Result<Option<Secret<String>>> {
    let place = Place { column: PHONE, row: user.id, partner: user.partner_id };
    user.phone.as_deref().map(|sealed| app.vault.open_text(place, sealed)).transpose()
}

/// The person named by `field`, once her identity is approved; refused otherwise.
pub async fn approved(connection: &impl ConnectionTrait, whose: Whose, id: Uuid, field: &str) -> Result<user::Model> {
    let user = within(connection, whose, id).await?.ok_or_else(|| Refusal::not_found(field))?;
    require_approved(&user)?;
    Ok(user)
}

/// Refuses whatever needs an approved identity (documented: nothing else until the user is approved).
pub fn require_approved(user: &user::Model) -> Result<()> {
    if user.status == Status::Approved {
        return Ok(());
    }
    Err(Refusal::new(super::Code::KycNotApproved, "", "The user's identity has not been approved.").into())
}
