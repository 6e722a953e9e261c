//! `/v1/users`.

use crate::rest::core::{
    answers::answer,
    bodies::Body,
    described::{Description, Field},
    errors::Result,
    forms,
    lists::{Links, ListRequest, Parameters},
    requests::{Caller, Id, KeyHeader},
    routes::Route,
};
use axum::{
    Json,
    extract::{Query, State},
    response::Response,
    routing::on,
};
use domain::{
    Refusal,
    app::App,
    compliance::registration::{self, Registered},
    kernel::{command, ids},
    people::{
        applicants::{self, NewAddress, NewUser},
        user_changes::{AddressChange, Change, UpdateUser},
        users,
    },
};
use entity::{
    Kind, kyc,
    user::{self, Status},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/v1/users", |filter| on(filter, create)).described(
        Description::new("Register a user and check their identity.")
            .takes(FIELDS)
            .ruled(rules)
            .answers::<Created>(),
    ),
    Route::get("/v1/users", |filter| on(filter, list))
        .described(Description::new("List users.").lists::<UserBody>()),
    Route::put("/v1/users/{id}", |filter| on(filter, update)).described(
        Description::new(
            "Update a user. A new name, social security number, birth date or address repeats the identity \
                check.",
        )
        .takes(CHANGES)
        .ruled(rules)
        .answers::<UserBody>(),
    ),
    Route::get("/v1/users/{id}", |filter| on(filter, read))
        .described(Description::new("Get a user.").answers::<UserBody>()),
];

/// Personal data of a new user.
pub const FIELDS: &[Field] = &[
    Field::text("first_name", "Given name.", "Ada", forms::NAME),
    Field::text("last_name", "Family name.", "Carter", forms::NAME),
    Field::text("email_address", "E-mail address.", "ada.carter@example.com", forms::EMAIL),
    Field::text("phone_number", "US phone number.", "2025550107", forms::PHONE).optional(),
    Field::text("birth_date", "Date of birth. Never returned.", "1985-01-23", forms::DATE),
    Field::text("ssn_number", "Social security number. Never returned.", "123456789", forms::SSN),
    Field::text("address_line_1", "Street and number.", "123 Test St", forms::WORDS),
    Field::text("address_line_2", "Apartment or unit.", "Apt 2", forms::WORDS).optional(),
    Field::text("address_city", "City.", "Richmond", forms::WORDS),
    Field::text(
        "address_state",
        "State or province. Two-letter code in the United States.",
        "VA",
        forms::WORDS,
    ),
    Field::text("address_postal_code", "Postal code.", "23220", forms::WORDS),
    Field::code(
        "address_country_code",
        "Two-letter country code (ISO 3166-1 alpha-2).",
        "US",
        forms::COUNTRY,
    ),
];

const CHANGES: &[Field] = &[
    Field::text("first_name", "Given name.", "Ada", forms::NAME).optional(),
    Field::text("last_name", "Family name.", "Carter", forms::NAME).optional(),
    Field::text("email_address", "E-mail address.", "ada.carter@example.com", forms::EMAIL).optional(),
    Field::text("phone_number", "US phone number.", "6742562188", forms::PHONE).optional(),
    Field::text("birth_date", "Date of birth. Never returned.", "1985-01-23", forms::DATE).optional(),
    Field::text("ssn_number", "Social security number. Never returned.", "123456789", forms::SSN).optional(),
    Field::text("address_line_1", "Street and number.", "123 Test St", forms::WORDS).optional(),
    Field::text("address_line_2", "Apartment or unit.", "Apt 2", forms::WORDS).optional(),
    Field::text("address_city", "City.", "Richmond", forms::WORDS).optional(),
    Field::text(
        "address_state",
        "State or province. Two-letter code in the United States.",
        "VA",
        forms::WORDS,
    )
    .optional(),
    Field::text("address_postal_code", "Postal code.", "23220", forms::WORDS).optional(),
    Field::code(
        "address_country_code",
        "Two-letter country code (ISO 3166-1 alpha-2).",
        "US",
        forms::COUNTRY,
    )
    .optional(),
];

/// Schemas that an address must match: in the United States, a known state and a ZIP code.
pub fn rules() -> Value {
    json!([{
        "if": { "required": ["address_country_code"],
            "properties": { "address_country_code": { "type": "string", "pattern": "^[uU][sS]$" } } },
        "then": { "properties": {
            "address_state": { "anyOf": [
                { "$ref": format!("#/components/schemas/{}", forms::STATE) },
                { "type": ["string", "null"], "pattern": r"^\s*$" },
            ] },
            "address_postal_code": { "pattern": r"^\s*$|^[0-9]{5}(?:-?[0-9]{4})?$" },
        } },
    }])
}

async fn create(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    body: Body,
) -> Result<Response> {
    let new = parse(&body).map_err(|error| command::unreadable::<NewUser>(&actor, error))?;
    let registered = command::execute(&app, &actor, key, new).await?;
    let created = Created {
        id: registered.value.user.id,
        status: if actor.may_see_results() { registered.value.user.status } else { Status::Pending },
        kyc_token: registered.value.kyc.as_ref().map(|kyc| kyc.token.clone()),
    };
    Ok(answer(&registered, &created))
}

/// Reads the personal data of a new user. Only phone number and second address line are optional.
pub fn parse(body: &Body) -> domain::Result<NewUser> {
    body.fits(FIELDS)?;
    Ok(NewUser {
        phone: body.optional_text("phone_number")?,
        first_name: body.text("first_name")?,
        last_name: body.text("last_name")?,
        email: body.text("email_address")?,
        birth_date: Some(body.text("birth_date")?),
        ssn: Some(body.text("ssn_number")?),
        address: Some(NewAddress {
            line1: body.text("address_line_1")?,
            line2: body.optional_text("address_line_2")?,
            city: body.text("address_city")?,
            state: body.text("address_state")?,
            postal_code: body.text("address_postal_code")?,
            country_code: body.text("address_country_code")?,
        }),
    })
}

async fn update(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(id): Id,
    body: Body,
) -> Result<Response> {
    let change = parse_change(ids::parse(Kind::User, &id), &body)
        .map_err(|error| command::unreadable::<UpdateUser>(&actor, error))?;
    let updated = command::execute(&app, &actor, key, change).await?;
    let Registered { user, kyc } = updated.value.clone();
    let body = UserBody::of(&app, user, kyc)?;
    Ok(answer(&updated, &body))
}

fn parse_change(user_id: Uuid, body: &Body) -> domain::Result<UpdateUser> {
    body.fits(CHANGES)?;
    Ok(UpdateUser {
        user_id,
        first_name: body.optional_text("first_name")?,
        last_name: body.optional_text("last_name")?,
        email: body.optional_text("email_address")?,
        phone: Change::set_if(body.optional_text("phone_number")?),
        ssn: body.optional_text("ssn_number")?,
        birth_date: body.optional_text("birth_date")?,
        address: AddressChange {
            line1: body.optional_text("address_line_1")?,
            line2: Change::set_if(body.optional_text("address_line_2")?),
            city: body.optional_text("address_city")?,
            state: body.optional_text("address_state")?,
            postal_code: body.optional_text("address_postal_code")?,
            country_code: body.optional_text("address_country_code")?,
            first_country_code: None,
        },
    })
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

async fn list(
    State(app): State<App>,
    actor: Caller,
    links: Links,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>> {
    let request = ListRequest::read(&actor, &parameters)?;
    let page = request
        .page(Kind::User, "user", async |id| Ok(users::find(&app.db.read, &actor, id).await?.is_some()))
        .await?;
    let slice = registration::list_audited(&app, &actor, &page).await?;
    let mut data = Vec::with_capacity(slice.rows.len());
    for Registered { user, kyc } in &slice.rows {
        data.push(json!(UserBody::of(&app, user.clone(), kyc.clone())?));
    }
    Ok(Json(request.envelope(&links, &[], &slice, |registered| registered.user.id, data)))
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
