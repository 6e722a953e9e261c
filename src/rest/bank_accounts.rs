//! `/v1/users/{id}/bank_accounts`.

use super::{
    Caller, Id, KeyHeader, Result, Route, Scheme, answer,
    body::Body,
    described::{Description, Field},
    list::{Asked, Parameters, Place},
};
use crate::{
    app::App,
    domain::{
        self, Refusal,
        bank_accounts::{self, NewBankAccount},
        command, ids, users,
    },
};
use axum::{
    Extension, Json,
    extract::{OriginalUri, Query, State},
    http::HeaderMap,
    response::Response,
    routing::on,
};
use entity::{Kind, bank_account};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/v1/users/{id}/bank_accounts", |filter| on(filter, create))
        .described(Description::new("Link a bank account of an approved person.").takes(FIELDS).answers::<BankAccountBody>()),
    Route::get("/v1/users/{id}/bank_accounts", |filter| on(filter, list))
        .described(Description::new("List a person's bank accounts.").lists::<BankAccountBody>()),
];

const FIELDS: &[Field] = &[
    Field::text("bank_account_number", "Account number, 4 to 17 letters and digits.", "4327843043"),
    Field::text("bank_routing_number", "Routing number, nine digits.", "121042882"),
    Field::text("bank_account_nickname", "What its owner calls it.", "Joe checking"),
];

async fn create(State(app): State<App>, actor: Caller, KeyHeader(key): KeyHeader, Id(id): Id, body: Body) -> Result<Response> {
    let new = parse(ids::parse(Kind::User, &id), &body).map_err(|error| command::unreadable::<NewBankAccount>(&actor, error))?;
    let linked = bank_accounts::link(&app, &actor, key, new).await?;
    let created = BankAccountBody::of(&app, &linked.value)?;
    Ok(answer(&linked, &created))
}

async fn list(
    State(app): State<App>,
    actor: Caller,
    Id(id): Id,
    Extension(scheme): Extension<Scheme>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>> {
    let asked = Asked::read(&actor, &parameters)?;
    let user = users::find(&app.db.read, &actor, ids::parse(Kind::User, &id)).await?.ok_or_else(|| Refusal::not_found("user_id"))?;
    let of_hers = async |id| {
        let found = bank_accounts::find(&app.db.read, &actor, id).await?;
        Ok(found.is_some_and(|found| found.user_id == user.id))
    };
    let page = asked.page(Kind::BankAccount, "bank account", of_hers).await?;
    let slice = bank_accounts::look_through(&app, &actor, user.id, &page).await?;
    let mut data = Vec::with_capacity(slice.rows.len());
    for bank_account in &slice.rows {
        data.push(json!(BankAccountBody::of(&app, bank_account)?));
    }
    Ok(Json(asked.envelope(&Place::of(scheme, &uri, &headers), &[], &slice, |bank_account| bank_account.id, data)))
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
#[derive(Serialize, ToSchema)]
#[schema(as = BankAccount)]
struct BankAccountBody {
    /// Opaque identifier.
    id: Uuid,
    /// Whose it is.
    user_id: Uuid,
    /// Account number in full.
    bank_account_number: String,
    /// Routing number of the bank.
    bank_routing_number: String,
    /// Whether money moves here when nothing else is said.
    default: bool,
    /// What its owner calls it.
    bank_account_nickname: String,
}

impl BankAccountBody {
    fn of(app: &App, bank_account: &bank_account::Model) -> domain::Result<Self> {
        Ok(Self {
            id: bank_account.id,
            user_id: bank_account.user_id,
            bank_account_number: bank_accounts::number(app, bank_account)?.reveal().clone(),
            bank_routing_number: bank_account.routing_number.clone(),
            default: bank_account.is_default,
            bank_account_nickname: bank_account.nickname.clone(),
        })
    }
}
