//! `/v1/deposits`.

use super::{Caller, KeyHeader, Result, Route, answer, body::Body};
use crate::{
    app::App,
    domain::{
        self, command, ids,
        transfers::{self, NewDeposit},
    },
};
use axum::{extract::State, response::Response, routing::on};
use entity::{Kind, transfer::Status};
use serde::Serialize;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[Route::post("/v1/deposits", |filter| on(filter, create))];

async fn create(State(app): State<App>, actor: Caller, KeyHeader(key): KeyHeader, body: Body) -> Result<Response> {
    let new = parse(&body).map_err(|error| command::unreadable::<NewDeposit>(&actor, error))?;
    let deposited = transfers::deposit(&app, &actor, key, new).await?;
    let deposit = &deposited.value;
    Ok(answer(&deposited, &Created { id: deposit.id, account_id: deposit.account_id, status: deposit.status }))
}

fn parse(body: &Body) -> domain::Result<NewDeposit> {
    Ok(NewDeposit {
        account_id: ids::parse(Kind::Account, &body.text("account_id")?),
        bank_account_id: ids::parse(Kind::BankAccount, &body.text("bank_account_id")?),
        amount: body.amount("amount")?,
    })
}

/// The documented answer to a deposit.
#[derive(Serialize)]
struct Created {
    id: Uuid,
    account_id: Uuid,
    status: Status,
}
