//! `/v1/users/{id}/accounts`.

use super::{
    Caller, Id, KeyHeader, Problem, Result, Route, answer,
    body::Body,
    described::{Description, Field},
};
use crate::{
    app::App,
    domain::{
        self,
        accounts::{self, NewAccount, options},
        command, ids,
    },
};
use axum::{extract::State, response::Response, routing::on};
use entity::{
    Kind,
    account::{AccountKind, Ownership},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[Route::post("/v1/users/{id}/accounts", |filter| on(filter, create))
    .described(Description::new("Open an account of an approved person.").takes(FIELDS).answers::<Created>())];

const FIELDS: &[Field] = &[
    Field::choice("ownership", "Who owns it.", &["individual"]),
    Field::choice("account_type", "What it is for; an investment account needs every answer about investing.", &["cash", "investment"]),
    Field::choice("martial_status", "Marital status; `marital_status` is understood as well.", options::MARITAL_STATUS),
    Field::text("country_of_citizenship", "ISO 3166-1 code, three letters.", "USA"),
    Field::choice("employment_status", "Whether the owner works.", options::EMPLOYMENT),
    Field::text("employment_position", "What the owner works as.", "Engineer"),
    Field::text("employer_name", "Whom the owner works for.", "Example Inc"),
    Field::choice("annual_income", "Income in a year.", options::INCOME).optional(),
    Field::choice("investment_objective", "What the investment is for.", options::OBJECTIVE).optional(),
    Field::choice("investment_experience", "How much the owner has invested before.", options::EXPERIENCE).optional(),
    Field::choice("net_liquid_worth", "What could be had in cash.", options::LIQUID_WORTH).optional(),
    Field::choice("net_total_worth", "All that the owner has, less what is owed.", options::INCOME).optional(),
    Field::flag("is_director", "Whether the owner directs a company whose shares are traded.", false).optional(),
    Field::text("director_of", "Which company; needed of a director.", "Example Inc").optional(),
    Field::choice("risk_tolerance", "How much risk the owner takes.", options::RISK).optional(),
];

async fn create(State(app): State<App>, actor: Caller, KeyHeader(key): KeyHeader, Id(id): Id, body: Body) -> Result<Response> {
    let new = parse(ids::parse(Kind::User, &id), &body).map_err(|error| command::unreadable::<NewAccount>(&actor, error))?;
    let opened = accounts::open(&app, &actor, key, new).await.map_err(|error| Problem::calling(error, name))?;
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

fn name(path: &str) -> Option<&'static str> {
    match path {
        "type" => Some("account_type"),
        _ => None,
    }
}

fn parse(user_id: Uuid, body: &Body) -> domain::Result<NewAccount> {
    let marital_status = match body.optional_text("marital_status")? {
        Some(spelled_right) => spelled_right,
        None => body.text("martial_status")?,
    };
    Ok(NewAccount {
        user_id,
        ownership: body.text("ownership")?,
        kind: body.text("account_type")?,
        marital_status,
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
    })
}

/// The documented answer to an opened account.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountCreated)]
struct Created {
    /// Whose it is.
    user_id: Uuid,
    /// Opaque identifier.
    id: Uuid,
    /// What people call it by, four letters and five digits.
    account_number: String,
    /// Who owns it.
    #[schema(value_type = String, example = "individual")]
    ownership: Ownership,
    /// What it is for.
    #[schema(value_type = String, example = "cash")]
    account_type: AccountKind,
}
