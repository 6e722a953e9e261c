//! `/v1/bank_accounts` and `/v1/users/{id}/bank_accounts`.

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
    funding::bank_accounts::{self, LinkBankAccount, RemoveBankAccount, UpdateBankAccount},
    kernel::{command, ids},
    people::users,
};
use entity::{Kind, bank_account};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/v1/users/{id}/bank_accounts", |filter| on(filter, create)).described(
        Description::new("Link a bank account of an approved user.")
            .takes(FIELDS)
            .answers::<BankAccountBody>(),
    ),
    Route::get("/v1/users/{id}/bank_accounts", |filter| on(filter, list))
        .described(Description::new("List the bank accounts of a user.").lists::<BankAccountBody>()),
    Route::get("/v1/bank_accounts/{id}", |filter| on(filter, read))
        .described(Description::new("Get a bank account.").answers::<BankAccountBody>()),
    Route::put("/v1/bank_accounts/{id}", |filter| on(filter, update)).described(
        Description::new(
            "Rename a bank account or make it the default. Fields that are left out stay unchanged.",
        )
        .takes(CHANGES)
        .answers::<Updated>(),
    ),
    Route::delete("/v1/bank_accounts/{id}", |filter| on(filter, remove)).described(
        Description::new("Remove a bank account that has no pending transfers.").answers::<Removed>(),
    ),
];

const CHANGES: &[Field] = &[
    Field::flag("default", "Whether this is the user's default bank account.", true).optional(),
    Field::text(
        "bank_account_nickname",
        "Name that the user gives the bank account.",
        "Joe WF Checking",
        forms::WORDS,
    )
    .optional(),
];

const FIELDS: &[Field] = &[
    Field::text(
        "bank_account_number",
        "Account number, 4 to 17 letters and digits.",
        "4327843043",
        forms::BANK_ACCOUNT_NUMBER,
    ),
    Field::text("bank_routing_number", "Routing number, nine digits.", "121042882", forms::ROUTING_NUMBER),
    Field::text(
        "bank_account_nickname",
        "Name that the user gives the bank account.",
        "Joe checking",
        forms::WORDS,
    ),
];

async fn create(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(id): Id,
    body: Body,
) -> Result<Response> {
    let new = parse(ids::parse(Kind::User, &id), &body)
        .map_err(|error| command::unreadable::<LinkBankAccount>(&actor, error))?;
    let linked = command::execute(&app, &actor, key, new).await?;
    let created = BankAccountBody::of(&app, &linked.value)?;
    Ok(answer(&linked, &created))
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
    let page = request
        .page(Kind::BankAccount, "bank account", async |id| {
            bank_accounts::was_ever_linked(&app.db.read, &user, id).await
        })
        .await?;
    let slice = bank_accounts::list_audited(&app, &actor, user.id, &page).await?;
    let mut data = Vec::with_capacity(slice.rows.len());
    for bank_account in &slice.rows {
        data.push(json!(BankAccountBody::of(&app, bank_account)?));
    }
    Ok(Json(request.envelope(&links, &[], &slice, |bank_account| bank_account.id, data)))
}

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<BankAccountBody>> {
    let id = ids::parse(Kind::BankAccount, &id);
    let found =
        bank_accounts::get_audited(&app, &actor, id).await?.ok_or_else(|| Refusal::not_found("id"))?;
    Ok(Json(BankAccountBody::of(&app, &found)?))
}

async fn update(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(id): Id,
    body: Body,
) -> Result<Response> {
    let update = parse_update(ids::parse(Kind::BankAccount, &id), &body)
        .map_err(|error| command::unreadable::<UpdateBankAccount>(&actor, error))?;
    let updated = command::execute(&app, &actor, key, update).await?;
    let bank_account = &updated.value;
    let body = Updated {
        id: bank_account.id,
        user_id: bank_account.user_id,
        default: bank_account.is_default,
        bank_account_nickname: bank_account.nickname.clone(),
    };
    Ok(answer(&updated, &body))
}

async fn remove(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(id): Id,
) -> Result<Response> {
    let removal = RemoveBankAccount { bank_account_id: ids::parse(Kind::BankAccount, &id) };
    let removed = command::execute(&app, &actor, key, removal).await?;
    Ok(answer(&removed, &Removed { id: removed.value.id, object: "bank_account", deleted: true }))
}

fn parse_update(bank_account_id: Uuid, body: &Body) -> domain::Result<UpdateBankAccount> {
    body.fits(CHANGES)?;
    Ok(UpdateBankAccount {
        bank_account_id,
        nickname: body.optional_text("bank_account_nickname")?,
        is_default: body.optional_flag("default")?,
    })
}

fn parse(user_id: Uuid, body: &Body) -> domain::Result<LinkBankAccount> {
    Ok(LinkBankAccount {
        user_id,
        number: body.text("bank_account_number")?,
        routing_number: body.text("bank_routing_number")?,
        nickname: body.text("bank_account_nickname")?,
    })
}

/// External bank account with its full number.
#[derive(Serialize, ToSchema)]
#[schema(as = BankAccount)]
struct BankAccountBody {
    /// Opaque identifier.
    id: Uuid,
    /// Id of the owner.
    user_id: Uuid,
    /// Full account number.
    bank_account_number: String,
    /// Routing number of the bank.
    bank_routing_number: String,
    /// Whether this is the user's default bank account.
    default: bool,
    /// Name that the user gives the bank account.
    bank_account_nickname: String,
}

/// Response to a bank account update.
#[derive(Serialize, ToSchema)]
#[schema(as = BankAccountUpdated)]
struct Updated {
    /// Opaque identifier.
    id: Uuid,
    /// Id of the owner.
    user_id: Uuid,
    /// Whether this is the user's default bank account.
    default: bool,
    /// Name that the user gives the bank account.
    bank_account_nickname: String,
}

/// Response to the removal of a bank account.
#[derive(Serialize, ToSchema)]
#[schema(as = BankAccountRemoved)]
struct Removed {
    /// Opaque identifier of the removed bank account.
    id: Uuid,
    /// Always `bank_account`.
    object: &'static str,
    /// Always true.
    deleted: bool,
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
