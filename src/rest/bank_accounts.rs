//! `/v1/users/{id}/bank_accounts`.

use super::{Caller, Id, KeyHeader, Result, Route, answer, body::Body};
use crate::{
    app::App,
    domain::{
        self,
        bank_accounts::{self, NewBankAccount},
        command, ids,
    },
};
use axum::{extract::State, response::Response, routing::on};
use entity::Kind;
use serde::Serialize;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[Route::post("/v1/users/{id}/bank_accounts", |filter| on(filter, create))];

async fn create(State(app): State<App>, actor: Caller, KeyHeader(key): KeyHeader, Id(id): Id, body: Body) -> Result<Response> {
    let new = parse(ids::parse(Kind::User, &id), &body).map_err(|error| command::unreadable::<NewBankAccount>(&actor, error))?;
    let linked = bank_accounts::link(&app, &actor, key, new).await?;
    let bank_account = &linked.value;
    let created = BankAccountBody {
        id: bank_account.id,
        user_id: bank_account.user_id,
        bank_account_number: bank_accounts::number(&app, bank_account)?.reveal().clone(),
        bank_routing_number: bank_account.routing_number.clone(),
        default: bank_account.is_default,
        bank_account_nickname: bank_account.nickname.clone(),
    };
    Ok(answer(&linked, &created))
}

fn parse(user_id: Uuid, body: &Body) -> domain::Result<NewBankAccount> {
    Ok(NewBankAccount {
        user_id,
        number: body.text("bank_account_number")?,
        routing_number: body.text("bank_routing_number")?,
        nickname: body.text("bank_account_nickname")?,
    })
}

/// A bank account as documented, its number in full.
#[derive(Serialize)]
struct BankAccountBody {
    id: Uuid,
    user_id: Uuid,
    bank_account_number: String,
    bank_routing_number: String,
    default: bool,
    bank_account_nickname: String,
}
