//! `/v1/users`.

use crate::rest::core::{
    answers::answer,
    bodies::{Body, Names, RequestBody},
    described::Description,
    errors::Result,
    forms::{self, fields},
    lists::ListRequest,
    requests::{Caller, Id, KeyHeader},
    routes::Route,
};
use axum::{Json, extract::State, response::Response, routing::on};
use domain::{
    Refusal,
    app::App,
    compliance::registration::{self, Registered},
    kernel::ids,
    people::{
        applicants::{self, NewAddress, NewUser},
        user_changes::{AddressChange, Change, PersonPatch, UpdateUser},
        users,
    },
};
use entity::{
    Kind, kyc,
    user::{self, Status},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/v1/users", |filter| on(filter, create)).described(
        Description::new("Register a user and check their identity.")
            .takes::<NewPerson>()
            .answers::<Created>(),
    ),
    Route::get("/v1/users", |filter| on(filter, list))
        .described(Description::new("List users.").lists::<UserBody>()),
    Route::put("/v1/users/{id}", |filter| on(filter, update)).described(
        Description::new(
            "Update a user. A new name, social security number, birth date or address repeats the identity \
                check.",
        )
        .takes::<PersonChanges>()
        .answers::<UserBody>(),
    ),
    Route::get("/v1/users/{id}", |filter| on(filter, read))
        .described(Description::new("Get a user.").answers::<UserBody>()),
];

fields! {
    /// Given name.
    pub FirstName(String) = forms::NAME, "Ada";
    /// Family name.
    pub LastName(String) = forms::NAME, "Carter";
    /// E-mail address.
    pub Email(String) = forms::EMAIL, "ada.carter@example.com";
    /// US phone number.
    pub Phone(String) = forms::PHONE, "2025550107";
    /// Date of birth. Never returned.
    pub BirthDate(String) = forms::DATE, "1985-01-23";
    /// Social security number. Never returned.
    pub Ssn(String) = forms::SSN, "123456789";
    /// Street and number.
    pub Street(String) = forms::WORDS, "123 Test St";
    /// Apartment or unit.
    pub Unit(String) = forms::WORDS, "Apt 2";
    /// City.
    pub City(String) = forms::WORDS, "Richmond";
    /// State or province. Two-letter code in the United States.
    pub StateOrProvince(String) = forms::WORDS, "VA";
    /// Postal code.
    pub PostalCode(String) = forms::WORDS, "23220";
    /// Two-letter country code (ISO 3166-1 alpha-2).
    pub Country(String) = forms::Code(forms::COUNTRY), "US";
}

/// Names of a person's fields that are not the snake case of the domain's names.
pub const NAMES: Names = &[
    ("email", "email_address"),
    ("phone", "phone_number"),
    ("ssn", "ssn_number"),
    ("address.line1", "address_line_1"),
    ("address.line2", "address_line_2"),
];

/// Personal data of a new user.
#[derive(Deserialize, ToSchema)]
pub struct NewPerson {
    first_name: FirstName,
    last_name: LastName,
    email_address: Email,
    phone_number: Option<Phone>,
    birth_date: BirthDate,
    ssn_number: Ssn,
    address_line_1: Street,
    address_line_2: Option<Unit>,
    address_city: City,
    address_state: StateOrProvince,
    address_postal_code: PostalCode,
    address_country_code: Country,
}

impl RequestBody for NewPerson {
    const NAMES: Names = NAMES;

    fn rules() -> Vec<Value> {
        vec![rule_of_address()]
    }
}

impl From<NewPerson> for NewUser {
    fn from(new: NewPerson) -> Self {
        Self(PersonPatch {
            first_name: Some(new.first_name.into()),
            last_name: Some(new.last_name.into()),
            email: Some(new.email_address.into()),
            phone: Change::set_if(new.phone_number.map(Into::into)),
            birth_date: Some(new.birth_date.into()),
            ssn: Some(new.ssn_number.into()),
            address: AddressChange::from(NewAddress {
                line1: new.address_line_1.into(),
                line2: new.address_line_2.map(Into::into),
                city: new.address_city.into(),
                state: new.address_state.into(),
                postal_code: new.address_postal_code.into(),
                country_code: new.address_country_code.into(),
            }),
            ..PersonPatch::default()
        })
    }
}

#[derive(Deserialize, ToSchema)]
struct PersonChanges {
    first_name: Option<FirstName>,
    last_name: Option<LastName>,
    email_address: Option<Email>,
    phone_number: Option<Phone>,
    birth_date: Option<BirthDate>,
    ssn_number: Option<Ssn>,
    address_line_1: Option<Street>,
    address_line_2: Option<Unit>,
    address_city: Option<City>,
    address_state: Option<StateOrProvince>,
    address_postal_code: Option<PostalCode>,
    address_country_code: Option<Country>,
}

impl RequestBody for PersonChanges {
    const NAMES: Names = NAMES;

    fn rules() -> Vec<Value> {
        vec![rule_of_address()]
    }
}

impl PersonChanges {
    fn of(self, user_id: Uuid) -> UpdateUser {
        let patch = PersonPatch {
            first_name: self.first_name.map(Into::into),
            last_name: self.last_name.map(Into::into),
            email: self.email_address.map(Into::into),
            phone: Change::set_if(self.phone_number.map(Into::into)),
            ssn: self.ssn_number.map(Into::into),
            birth_date: self.birth_date.map(Into::into),
            address: AddressChange {
                line1: self.address_line_1.map(Into::into),
                line2: Change::set_if(self.address_line_2.map(Into::into)),
                city: self.address_city.map(Into::into),
                state: self.address_state.map(Into::into),
                postal_code: self.address_postal_code.map(Into::into),
                country_code: self.address_country_code.map(Into::into),
                first_country_code: None,
            },
            ..PersonPatch::default()
        };
        UpdateUser { user_id, patch }
    }
}

/// Returns the schema that an address must match: in the United States, a known state and a ZIP code.
pub fn rule_of_address() -> Value {
    json!({
        "if": { "required": ["address_country_code"],
            "properties": { "address_country_code": { "type": "string", "pattern": "^[uU][sS]$" } } },
        "then": { "properties": {
            "address_state": { "anyOf": [
                { "$ref": format!("#/components/schemas/{}", forms::STATE) },
                { "type": ["string", "null"], "pattern": r"^\s*$" },
            ] },
            "address_postal_code": { "pattern": r"^\s*$|^[0-9]{5}(?:-?[0-9]{4})?$" },
        } },
    })
}

async fn create(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    body: Body<NewPerson>,
) -> Result<Response> {
    let registered = body.execute(&app, &actor, key, NewUser::from).await?;
    let created = Created {
        id: registered.value.user.id,
        status: if actor.may_see_results() { registered.value.user.status } else { Status::Pending },
        kyc_token: registered.value.kyc.as_ref().map(|kyc| kyc.token.clone()),
    };
    Ok(answer(&registered, &created))
}

async fn update(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(id): Id,
    body: Body<PersonChanges>,
) -> Result<Response> {
    let id = ids::parse(Kind::User, &id);
    let updated = body.execute(&app, &actor, key, |changes| changes.of(id)).await?;
    let Registered { user, kyc } = updated.value.clone();
    let body = UserBody::of(&app, user, kyc)?;
    Ok(answer(&updated, &body))
}

/// Response to the registration of a user. The status is that of the identity check.
#[derive(Serialize, ToSchema)]
#[schema(as = UserCreated)]
struct Created {
    /// Opaque identifier.
    id: Uuid,
    /// Identity verification status. Always `pending` for a publishable API key.
    #[schema(value_type = String, example = "approved")]
    status: Status,
    /// Token of the identity check; null if the user was not checked.
    kyc_token: Option<String>,
}

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<UserBody>> {
    let id = ids::parse(Kind::User, &id);
    let found = registration::get_audited(&app, &actor, id).await?.ok_or_else(|| Refusal::not_found("id"))?;
    Ok(Json(UserBody::of(&app, found.user, found.kyc)?))
}

async fn list(State(app): State<App>, actor: Caller, request: ListRequest) -> Result<Json<Value>> {
    let page = request
        .page(Kind::User, "user", async |id| Ok(users::find(&app.db.read, &actor, id).await?.is_some()))
        .await?;
    let slice = registration::list_audited(&app, &actor, &page).await?;
    let mut data = Vec::with_capacity(slice.rows.len());
    for Registered { user, kyc } in &slice.rows {
        data.push(json!(UserBody::of(&app, user.clone(), kyc.clone())?));
    }
    Ok(Json(request.envelope(&[], &slice, |registered| registered.user.id, data)))
}

/// User, without social security number and birth date.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserBody {
    /// Opaque identifier.
    id: Uuid,
    /// Identity verification status: `pending`, `action_required`, `documentation_required`, `active`,
    /// `denied` or `closed`.
    status: &'static str,
    /// Token of the identity check; null if the user was not checked.
    kyc_token: Option<String>,
    /// Given name.
    first_name: String,
    /// Family name.
    last_name: String,
    /// Phone number as entered.
    phone_number: Option<String>,
    /// E-mail address.
    email_address: String,
    /// Street and number.
    address_line_1: Option<String>,
    /// Apartment or unit.
    address_line_2: Option<String>,
    /// City.
    address_city: Option<String>,
    /// State or province.
    address_state: Option<String>,
    /// Postal code.
    address_postal_code: Option<String>,
    /// Two-letter country code (ISO 3166-1 alpha-2).
    address_country_code: Option<String>,
}

impl UserBody {
    pub fn of(app: &App, user: user::Model, kyc: Option<kyc::Model>) -> domain::Result<Self> {
        let phone = applicants::phone(app, &user)?;
        Ok(Self {
            id: user.id,
            status: word(user.status),
            kyc_token: kyc.map(|kyc| kyc.token),
            first_name: user.first_name,
            last_name: user.last_name,
            phone_number: phone.map(|phone| phone.reveal().clone()),
            email_address: user.email,
            address_line_1: user.address_line_1,
            address_line_2: user.address_line_2,
            address_city: user.address_city,
            address_state: user.address_state,
            address_postal_code: user.address_postal_code,
            address_country_code: user.address_country_code,
        })
    }
}

/// Returns the documented status. An approved user is called `active`.
const fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::ActionRequired => "action_required",
        Status::DocumentationRequired => "documentation_required",
        Status::Approved => "active",
        Status::Denied => "denied",
        Status::Closed => "closed",
    }
}
