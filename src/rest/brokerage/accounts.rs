//! `/v1/accounts` and `/v1/users/{id}/accounts`.

use super::people::users::{self as people, UserBody};
use crate::rest::core::{
    answers::answer,
    bodies::Body,
    described::{Description, Field},
    errors::{Problem, Result},
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
    Actor, Refusal,
    accounts::{
        self, AccountWithOwners, JointMember, OpenAccount, Profile, ProfilePatch, UpdateAccount, options,
    },
    app::App,
    compliance::registration,
    kernel::{command, ids},
    people::{user_changes::Change, users},
};
use entity::{
    Kind,
    account::{AccountKind, Ownership},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/v1/users/{id}/accounts", |filter| on(filter, create)).described(
        Description::new("Open an account for an approved user.")
            .takes(FIELDS)
            .ruled(rules)
            .answers::<Created>(),
    ),
    Route::get("/v1/users/{id}/accounts", |filter| on(filter, list)).described(
        Description::new("List the accounts that a user owns alone or jointly.").lists::<AccountBody>(),
    ),
    Route::get("/v1/accounts/{id}", |filter| on(filter, read))
        .described(Description::new("Get an account.").answers::<AccountBody>()),
    Route::put("/v1/accounts/{id}", |filter| on(filter, update)).described(
        Description::new("Update an account. Fields that are left out stay unchanged.")
            .takes(CHANGES)
            .ruled(rules_of_change)
            .answers::<Updated>(),
    ),
];

const OWNERSHIP: Field = Field::loose_choice_or(
    "ownership",
    "Ownership of the account. `single` is accepted for `individual`.",
    &["individual", "joint"],
    &["single"],
);
const JOINT_MEMBER: Field = Field::fields(
    "joint_member",
    "Second owner of a joint account, registered as a new user by the same request.",
    people::FIELDS,
    people::rules,
);
const TYPE: Field = Field::loose_choice(
    "account_type",
    "Account type. An investment account requires all fields about investing.",
    &["cash", "investment"],
);
const MARITAL_STATUS: Field = Field::loose_choice(
    "martial_status",
    "Marital status. The field may also be named `marital_status`.",
    options::MARITAL_STATUS,
);
const CITIZENSHIP: Field = Field::code(
    "country_of_citizenship",
    "Three-letter country code (ISO 3166-1 alpha-3).",
    "USA",
    forms::CITIZENSHIP,
);
const EMPLOYMENT: Field = Field::loose_choice("employment_status", "Employment status.", options::EMPLOYMENT);
const POSITION: Field = Field::text("employment_position", "Job title.", "Engineer", forms::WORDS);
const EMPLOYER: Field = Field::text("employer_name", "Name of the employer.", "Example Inc", forms::WORDS);
const INCOME: Field =
    Field::loose_choice("annual_income", "Annual income in dollars.", options::INCOME).optional();
const OBJECTIVE: Field =
    Field::loose_choice("investment_objective", "Investment objective.", options::OBJECTIVE).optional();
const EXPERIENCE: Field =
    Field::loose_choice("investment_experience", "Investment experience.", options::EXPERIENCE).optional();
const LIQUID_WORTH: Field =
    Field::loose_choice("net_liquid_worth", "Liquid net worth in dollars.", options::LIQUID_WORTH).optional();
const TOTAL_WORTH: Field =
    Field::loose_choice("net_total_worth", "Total net worth in dollars.", options::INCOME).optional();
const IS_DIRECTOR: Field =
    Field::flag("is_director", "Whether the owner is a director of a publicly traded company.", false)
        .optional();
const DIRECTOR_OF: Field =
    Field::text("director_of", "Name of that company. Required for a director.", "Example Inc", forms::WORDS)
        .optional();
const RISK: Field = Field::loose_choice("risk_tolerance", "Risk tolerance.", options::RISK).optional();

const FIELDS: &[Field] = &[
    OWNERSHIP,
    JOINT_MEMBER.optional(),
    TYPE,
    MARITAL_STATUS,
    CITIZENSHIP,
    EMPLOYMENT,
    POSITION,
    EMPLOYER,
    INCOME,
    OBJECTIVE,
    EXPERIENCE,
    LIQUID_WORTH,
    TOTAL_WORTH,
    IS_DIRECTOR,
    DIRECTOR_OF,
    RISK,
];

const CHANGES: &[Field] = &[
    OWNERSHIP.optional(),
    JOINT_MEMBER.optional(),
    TYPE.optional(),
    MARITAL_STATUS.optional(),
    CITIZENSHIP.optional(),
    EMPLOYMENT.optional(),
    POSITION.optional(),
    EMPLOYER.optional(),
    INCOME,
    OBJECTIVE,
    EXPERIENCE,
    LIQUID_WORTH,
    TOTAL_WORTH,
    IS_DIRECTOR,
    DIRECTOR_OF,
    RISK,
];

/// Schemas that the body of a new account must match.
fn rules() -> Value {
    let given = json!({ "type": "string", "pattern": r"\S" });
    let about_investing =
        [INCOME, OBJECTIVE, EXPERIENCE, LIQUID_WORTH, TOTAL_WORTH, RISK].map(|field| field.name);
    let mut answered: serde_json::Map<String, Value> =
        about_investing.iter().map(|name| ((*name).to_owned(), given.clone())).collect();
    answered.insert(IS_DIRECTOR.name.to_owned(), json!({ "type": ["boolean", "string"] }));
    let required: Vec<&str> = about_investing.into_iter().chain([IS_DIRECTOR.name]).collect();
    let investment = forms::in_any_case(["investment"].into_iter(), r"\s*");
    json!([
        {
            "if": { "properties": { "account_type": { "pattern": investment } } },
            "then": { "required": required, "properties": answered },
        },
        {
            "if": { "required": ["is_director"], "properties": { "is_director": { "enum": [true, "true"] } } },
            "then": { "required": ["director_of"], "properties": { "director_of": given } },
        },
        joint_member_of_joint_account(),
    ])
}

/// Schemas that the body of an update must match, without rules that depend on the stored account.
fn rules_of_change() -> Value {
    json!([joint_member_of_joint_account()])
}

fn joint_member_of_joint_account() -> Value {
    let joint = forms::in_any_case(["joint"].into_iter(), r"\s*");
    json!({
        "if": { "required": ["joint_member"], "properties": { "joint_member": { "type": "object" } } },
        "then": { "properties": { "ownership": { "pattern": format!(r"^\s*$|{joint}") } } },
    })
}

async fn create(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(id): Id,
    body: Body,
) -> Result<Response> {
    let new = parse(ids::parse(Kind::User, &id), &body)
        .map_err(|error| command::unreadable::<OpenAccount>(&actor, error))?;
    let opened = command::execute(&app, &actor, key, new)
        .await
        .map_err(|error| Problem::with_field_names(error, name))?;
    let account = &opened.value;
    let created = Created {
        user_id: account.user_id,
        id: account.id,
        account_number: account.number.clone(),
        ownership: account.ownership,
        account_type: account.kind,
    };
    Ok(answer(&opened, &created))
}

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<AccountBody>> {
    let id = ids::parse(Kind::Account, &id);
    let found = accounts::get_audited(&app, &actor, id).await?.ok_or_else(|| Refusal::not_found("id"))?;
    Ok(Json(AccountBody::of(&app, &actor, found)?))
}

async fn list(
    State(app): State<App>,
    actor: Caller,
    Id(id): Id,
    links: Links,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>> {
    let request = ListRequest::read(&actor, &parameters)?;
    let user = users::find(&app.db.read, &actor, ids::parse(Kind::User, &id))
        .await?
        .ok_or_else(|| Refusal::not_found("user_id"))?;
    let is_owned_by_user = async |id| {
        let found = accounts::find(&app.db.read, &actor, id).await?;
        Ok(found.is_some_and(|found| accounts::owners(&found).any(|owner| owner == user.id)))
    };
    let page = request.page(Kind::Account, "account", is_owned_by_user).await?;
    let slice = accounts::list_audited(&app, &actor, user.id, &page).await?;
    let mut data = Vec::with_capacity(slice.rows.len());
    for row in &slice.rows {
        data.push(json!(AccountBody::of(&app, &actor, row.clone())?));
    }
    Ok(Json(request.envelope(&links, &[], &slice, |row| row.account.id, data)))
}

async fn update(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(id): Id,
    body: Body,
) -> Result<Response> {
    let update = parse_update(ids::parse(Kind::Account, &id), &body)
        .map_err(|error| command::unreadable::<UpdateAccount>(&actor, error))?;
    let updated = command::execute(&app, &actor, key, update)
        .await
        .map_err(|error| Problem::with_field_names(error, name))?;
    let account = &updated.value;
    let body = Updated {
        id: account.id,
        user_id: account.user_id,
        account_number: account.number.clone(),
        ownership: account.ownership,
        account_type: account.kind,
    };
    Ok(answer(&updated, &body))
}

fn name(path: &str) -> Option<&'static str> {
    match path {
        "type" => Some("account_type"),
        _ => None,
    }
}

fn marital_status(body: &Body) -> domain::Result<Option<String>> {
    match body.optional_text("marital_status")? {
        Some(correct_spelling) => Ok(Some(correct_spelling)),
        None => body.optional_text("martial_status"),
    }
}

fn joint_member(body: &Body) -> domain::Result<Option<JointMember>> {
    let Some(person) = body.optional_object("joint_member")? else { return Ok(None) };
    let person = people::parse(&person).map_err(|error| error.inside("joint_member"))?;
    Ok(Some(JointMember::New(Box::new(person))))
}

fn parse(user_id: Uuid, body: &Body) -> domain::Result<OpenAccount> {
    body.fits(FIELDS)?;
    Ok(OpenAccount {
        user_id,
        ownership: body.text("ownership")?,
        kind: body.text("account_type")?,
        profile: Profile {
            marital_status: marital_status(body)?.ok_or_else(|| Refusal::required("martial_status"))?,
            country_of_citizenship: body.text("country_of_citizenship")?,
            employment_status: body.text("employment_status")?,
            employment_position: body.text("employment_position")?,
            employer_name: body.text("employer_name")?,
            annual_income: body.optional_text("annual_income")?,
            investment_objective: body.optional_text("investment_objective")?,
            investment_experience: body.optional_text("investment_experience")?,
            net_liquid_worth: body.optional_text("net_liquid_worth")?,
            net_total_worth: body.optional_text("net_total_worth")?,
            is_director: body.optional_flag("is_director")?,
            director_of: body.optional_text("director_of")?,
            risk_tolerance: body.optional_text("risk_tolerance")?,
        },
        joint_member: joint_member(body)?,
    })
}

fn parse_update(account_id: Uuid, body: &Body) -> domain::Result<UpdateAccount> {
    body.fits(CHANGES)?;
    Ok(UpdateAccount {
        account_id,
        ownership: body.optional_text("ownership")?,
        kind: body.optional_text("account_type")?,
        profile: ProfilePatch {
            marital_status: marital_status(body)?,
            country_of_citizenship: body.optional_text("country_of_citizenship")?,
            employment_status: body.optional_text("employment_status")?,
            employment_position: body.optional_text("employment_position")?,
            employer_name: body.optional_text("employer_name")?,
            annual_income: Change::set_if(body.optional_text("annual_income")?),
            investment_objective: Change::set_if(body.optional_text("investment_objective")?),
            investment_experience: Change::set_if(body.optional_text("investment_experience")?),
            net_liquid_worth: Change::set_if(body.optional_text("net_liquid_worth")?),
            net_total_worth: Change::set_if(body.optional_text("net_total_worth")?),
            is_director: Change::set_if(body.optional_flag("is_director")?),
            director_of: Change::set_if(body.optional_text("director_of")?),
            risk_tolerance: Change::set_if(body.optional_text("risk_tolerance")?),
        },
        joint_member: joint_member(body)?,
    })
}

/// Response to a new account.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountCreated)]
struct Created {
    /// Id of the owner.
    user_id: Uuid,
    /// Opaque identifier.
    id: Uuid,
    /// Human-readable account number, for example `ABCD12345`.
    account_number: String,
    /// `individual` or `joint`.
    #[schema(value_type = String, example = "individual")]
    ownership: Ownership,
    /// `cash` or `investment`.
    #[schema(value_type = String, example = "cash")]
    account_type: AccountKind,
}

/// Response to an account update.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountUpdated)]
struct Updated {
    /// Opaque identifier.
    id: Uuid,
    /// Id of the owner.
    user_id: Uuid,
    /// Human-readable account number, for example `ABCD12345`.
    account_number: String,
    /// `individual` or `joint`.
    #[schema(value_type = String, example = "individual")]
    ownership: Ownership,
    /// `cash` or `investment`.
    #[schema(value_type = String, example = "investment")]
    account_type: AccountKind,
}

/// Brokerage account. A signed-in user does not see the other owner or their profile.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
struct AccountBody {
    /// Opaque identifier.
    id: Uuid,
    /// Human-readable account number, for example `ABCD12345`.
    account_number: String,
    /// `individual` or `joint`.
    #[schema(value_type = String, example = "individual")]
    ownership: Ownership,
    /// `cash` or `investment`.
    #[schema(value_type = String, example = "cash")]
    account_type: AccountKind,
    /// Marital status.
    martial_status: Option<String>,
    /// Three-letter country code (ISO 3166-1 alpha-3).
    country_of_citizenship: Option<String>,
    /// Employment status.
    employment_status: Option<String>,
    /// Job title.
    employment_position: Option<String>,
    /// Name of the employer.
    employer_name: Option<String>,
    /// Primary owner. Null for a signed-in user who is the joint member.
    owner: Option<UserBody>,
    /// Second owner of a joint account. Null for an individual account, and until a second owner is added.
    joint_member: Option<UserBody>,
}

impl AccountBody {
    fn of(
        app: &App,
        actor: &Actor,
        AccountWithOwners { account, owner, joint_member }: AccountWithOwners,
    ) -> domain::Result<Self> {
        let profile = actor.may_see_personal_data_of(account.user_id).then(|| Profile::of(&account));
        let visible = |answer: fn(&Profile) -> &String| profile.as_ref().map(answer).cloned();
        let person = |person: Option<registration::Registered>| {
            person.map(|person| UserBody::of(app, person.user, person.kyc)).transpose()
        };
        Ok(Self {
            id: account.id,
            account_number: account.number.clone(),
            ownership: account.ownership,
            account_type: account.kind,
            martial_status: visible(|profile| &profile.marital_status),
            country_of_citizenship: visible(|profile| &profile.country_of_citizenship),
            employment_status: visible(|profile| &profile.employment_status),
            employment_position: visible(|profile| &profile.employment_position),
            employer_name: visible(|profile| &profile.employer_name),
            owner: person(owner)?,
            joint_member: person(joint_member)?,
        })
    }
}
