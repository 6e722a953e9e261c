//! `/v1/accounts` and `/v1/users/{id}/accounts`.

use super::people::users::{NewPerson, UserBody};
use crate::rest::core::{
    answers::answer,
    bodies::{Body, RequestBody},
    described::Description,
    errors::{Result, documented_name},
    forms::{self, choice, fields},
    lists::ListRequest,
    requests::{Caller, Id, KeyHeader},
    routes::Route,
};
use axum::{Json, extract::State, response::Response, routing::on};
use domain::{
    Actor, Refusal,
    accounts::{
        self, AccountWithOwners, JointMember, OpenAccount, Profile, ProfilePatch, UpdateAccount, options,
    },
    app::App,
    compliance::registration,
    kernel::ids,
    people::{user_changes::Change, users},
};
use entity::{
    Kind,
    account::{AccountKind, Ownership, TaxTreatment},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/v1/users/{id}/accounts", |filter| on(filter, create)).described(
        Description::new("Open an account for an approved user.").takes::<NewAccount>().answers::<Created>(),
    ),
    Route::get("/v1/users/{id}/accounts", |filter| on(filter, list)).described(
        Description::new("List the accounts that a user owns alone or jointly.").lists::<AccountBody>(),
    ),
    Route::get("/v1/accounts/{id}", |filter| on(filter, read))
        .described(Description::new("Get an account.").answers::<AccountBody>()),
    Route::put("/v1/accounts/{id}", |filter| on(filter, update)).described(
        Description::new("Update an account. Fields that are left out stay unchanged.")
            .takes::<AccountChanges>()
            .answers::<Updated>(),
    ),
];

fields! {
    /// Ownership of the account. `single` is accepted for `individual`.
    OwnershipWord(String) = choice(&["individual", "joint"]).or(&["single"]), "individual";
    /// Account type. An investment account requires all fields about investing.
    AccountType(String) = choice(&["cash", "investment"]), "cash";
    /// Marital status. The field may also be named `marital_status`.
    MaritalStatus(String) = choice(options::MARITAL_STATUS), "single";
    /// Three-letter country code (ISO 3166-1 alpha-3).
    Citizenship(String) = forms::Code(forms::CITIZENSHIP), "USA";
    /// Employment status.
    EmploymentStatus(String) = choice(options::EMPLOYMENT), "employed / self-employed";
    /// Job title.
    Position(String) = forms::WORDS, "Engineer";
    /// Name of the employer.
    Employer(String) = forms::WORDS, "Example Inc";
    /// Annual income in dollars.
    Income(String) = choice(options::INCOME), "$0 - $24,999";
    /// Investment objective.
    Objective(String) = choice(options::OBJECTIVE), "capital preservation";
    /// Investment experience.
    Experience(String) = choice(options::EXPERIENCE), "none";
    /// Liquid net worth in dollars.
    LiquidWorth(String) = choice(options::LIQUID_WORTH), "$0 - $4,999";
    /// Total net worth in dollars.
    TotalWorth(String) = choice(options::INCOME), "$0 - $24,999";
    /// Whether the owner is a director of a publicly traded company.
    IsDirector(bool) = forms::Flag, false;
    /// Name of that company. Required for a director.
    Company(String) = forms::WORDS, "Example Inc";
    /// Risk tolerance.
    RiskTolerance(String) = choice(options::RISK), "conservative";
}

#[derive(Deserialize, ToSchema)]
struct NewAccount {
    ownership: OwnershipWord,
    account_type: AccountType,
    #[schema(ignore)]
    marital_status: Option<MaritalStatus>,
    #[schema(value_type = MaritalStatus)]
    martial_status: Option<MaritalStatus>,
    country_of_citizenship: Citizenship,
    employment_status: EmploymentStatus,
    employment_position: Position,
    employer_name: Employer,
    annual_income: Option<Income>,
    investment_objective: Option<Objective>,
    investment_experience: Option<Experience>,
    net_liquid_worth: Option<LiquidWorth>,
    net_total_worth: Option<TotalWorth>,
    is_director: Option<IsDirector>,
    director_of: Option<Company>,
    risk_tolerance: Option<RiskTolerance>,
    /// Second owner of a joint account, registered as a new user by the same request.
    joint_member: Option<NewPerson>,
}

#[derive(Deserialize, ToSchema)]
struct AccountChanges {
    ownership: Option<OwnershipWord>,
    account_type: Option<AccountType>,
    #[schema(ignore)]
    marital_status: Option<MaritalStatus>,
    martial_status: Option<MaritalStatus>,
    country_of_citizenship: Option<Citizenship>,
    employment_status: Option<EmploymentStatus>,
    employment_position: Option<Position>,
    employer_name: Option<Employer>,
    annual_income: Option<Income>,
    investment_objective: Option<Objective>,
    investment_experience: Option<Experience>,
    net_liquid_worth: Option<LiquidWorth>,
    net_total_worth: Option<TotalWorth>,
    is_director: Option<IsDirector>,
    director_of: Option<Company>,
    risk_tolerance: Option<RiskTolerance>,
    /// Second owner of a joint account, registered as a new user by the same request.
    joint_member: Option<NewPerson>,
}

impl RequestBody for NewAccount {
    fn field_name(path: &str) -> String {
        field_name(path)
    }

    fn rules() -> Vec<Value> {
        let about_investing = [
            "annual_income",
            "investment_objective",
            "investment_experience",
            "net_liquid_worth",
            "net_total_worth",
            "risk_tolerance",
        ];
        let given = json!({ "type": "string", "pattern": r"\S" });
        let mut answered: serde_json::Map<String, Value> =
            about_investing.iter().map(|name| ((*name).to_owned(), given.clone())).collect();
        answered.insert("is_director".to_owned(), json!({ "type": ["boolean", "string"] }));
        let required: Vec<&str> = about_investing.into_iter().chain(["is_director"]).collect();
        let investment = forms::in_any_case(["investment"].into_iter(), r"\s*");
        let is_director = json!({ "is_director": { "enum": [true, "true"] } });
        let mut rules = rules();
        rules.extend([
            json!({
                "if": { "properties": { "account_type": { "pattern": investment } } },
                "then": { "required": required, "properties": answered },
            }),
            json!({
                "if": { "required": ["is_director"], "properties": is_director },
                "then": { "required": ["director_of"], "properties": { "director_of": given } },
            }),
        ]);
        rules
    }
}

impl RequestBody for AccountChanges {
    fn field_name(path: &str) -> String {
        field_name(path)
    }

    /// Rules that depend on the stored account are not documented.
    fn rules() -> Vec<Value> {
        rules()
    }
}

/// Returns the name of a field of either body.
fn field_name(path: &str) -> String {
    if let Some(field) = path.strip_prefix("jointMember.") {
        let field = field.strip_prefix("person.").unwrap_or(field);
        return format!("joint_member.{}", NewPerson::field_name(field));
    }
    match path {
        "type" => "account_type".to_owned(),
        "maritalStatus" => "martial_status".to_owned(),
        _ => documented_name(path),
    }
}

/// Returns the schemas that either body must match.
fn rules() -> Vec<Value> {
    let joint = forms::in_any_case(["joint"].into_iter(), r"\s*");
    vec![
        json!({
            "if": { "required": ["joint_member"], "properties": { "joint_member": { "type": "object" } } },
            "then": { "properties": { "ownership": { "pattern": format!(r"^\s*$|{joint}") } } },
        }),
        json!({ "properties": { "joint_member": { "allOf": NewPerson::rules() } } }),
    ]
}

fn joint_member(person: Option<NewPerson>) -> Option<JointMember> {
    person.map(|person| JointMember::New(Box::new(person.into())))
}

impl NewAccount {
    fn open(self, user_id: Uuid) -> domain::Result<OpenAccount> {
        let marital_status = self.marital_status.or(self.martial_status);
        Ok(OpenAccount {
            user_id,
            ownership: self.ownership.into(),
            kind: self.account_type.into(),
            tax_treatment: TaxTreatment::Taxable,
            profile: Profile {
                marital_status: marital_status.ok_or_else(|| Refusal::required("martial_status"))?.into(),
                country_of_citizenship: self.country_of_citizenship.into(),
                employment_status: self.employment_status.into(),
                employment_position: self.employment_position.into(),
                employer_name: self.employer_name.into(),
                annual_income: self.annual_income.map(Into::into),
                investment_objective: self.investment_objective.map(Into::into),
                investment_experience: self.investment_experience.map(Into::into),
                net_liquid_worth: self.net_liquid_worth.map(Into::into),
                net_total_worth: self.net_total_worth.map(Into::into),
                is_director: self.is_director.map(Into::into),
                director_of: self.director_of.map(Into::into),
                risk_tolerance: self.risk_tolerance.map(Into::into),
            },
            joint_member: joint_member(self.joint_member),
        })
    }
}

impl AccountChanges {
    fn of(self, account_id: Uuid) -> UpdateAccount {
        UpdateAccount {
            account_id,
            ownership: self.ownership.map(Into::into),
            kind: self.account_type.map(Into::into),
            lot_method: None,
            dividend_option: None,
            profile: ProfilePatch {
                marital_status: self.marital_status.or(self.martial_status).map(Into::into),
                country_of_citizenship: self.country_of_citizenship.map(Into::into),
                employment_status: self.employment_status.map(Into::into),
                employment_position: self.employment_position.map(Into::into),
                employer_name: self.employer_name.map(Into::into),
                annual_income: Change::set_if(self.annual_income.map(Into::into)),
                investment_objective: Change::set_if(self.investment_objective.map(Into::into)),
                investment_experience: Change::set_if(self.investment_experience.map(Into::into)),
                net_liquid_worth: Change::set_if(self.net_liquid_worth.map(Into::into)),
                net_total_worth: Change::set_if(self.net_total_worth.map(Into::into)),
                is_director: Change::set_if(self.is_director.map(Into::into)),
                director_of: Change::set_if(self.director_of.map(Into::into)),
                risk_tolerance: Change::set_if(self.risk_tolerance.map(Into::into)),
            },
            joint_member: joint_member(self.joint_member),
        }
    }
}

async fn create(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(id): Id,
    body: Body<NewAccount>,
) -> Result<Response> {
    let user_id = ids::parse(Kind::User, &id);
    let opened = body.try_execute(&app, &actor, key, |new| new.open(user_id)).await?;
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
    request: ListRequest,
) -> Result<Json<Value>> {
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
    Ok(Json(request.envelope(&[], &slice, |row| row.account.id, data)))
}

async fn update(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(id): Id,
    body: Body<AccountChanges>,
) -> Result<Response> {
    let id = ids::parse(Kind::Account, &id);
    let updated = body.execute(&app, &actor, key, |changes| changes.of(id)).await?;
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
