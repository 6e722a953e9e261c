//! `/v1/deposits`.

use super::{
    Caller, KeyHeader, Result, Route, answer,
    body::Body,
    described::{Description, Field},
};
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
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[Route::post("/v1/deposits", |filter| on(filter, create))
    .described(Description::new("Pull money from a bank account into a brokerage account.").takes(FIELDS).answers::<Created>())];

const FIELDS: &[Field] = &[
    Field::text("account_id", "The brokerage account.", "0198d7a2-7c00-7000-8000-000000000005"),
    Field::text("bank_account_id", "Its owner's bank account.", "0198d7a2-7c00-7000-8000-000000000006"),
    Field::amount("amount", "Dollars and cents.", "1000.00"),
];

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
#[derive(Serialize, ToSchema)]
#[schema(as = DepositCreated)]
struct Created {
    /// Opaque identifier.
    id: Uuid,
    /// The brokerage account.
    account_id: Uuid,
    /// How far it has come.
    #[schema(value_type = String, example = "pending")]
    status: Status,
}
