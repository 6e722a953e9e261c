//! `/v1/users/{id}/accounts`.

use super::{Caller, Id, KeyHeader, Problem, Result, Route, answer, body::Body};
use crate::{
    app::App,
    domain::{
        self,
        accounts::{self, NewAccount},
        command, ids,
    },
};
use axum::{extract::State, response::Response, routing::on};
use entity::{
    Kind,
    account::{AccountKind, Ownership},
};
use serde::Serialize;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[Route::post("/v1/users/{id}/accounts", |filter| on(filter, create))];

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
#[derive(Serialize)]
struct Created {
    user_id: Uuid,
    id: Uuid,
    account_number: String,
    ownership: Ownership,
    account_type: AccountKind,
}
