//! `/v1/bank_accounts` and `/v1/users/{id}/bank_accounts`.

use crate::rest::core::{
    answers::answer,
    bodies::Shows,
    described::Description,
    errors::Result,
    forms::{self, fields},
    lists::ListRequest,
    requests::{Caller, Id, KeyHeader},
    routes::Route,
};
use axum::{Json, extract::State, response::Response, routing::on};
use domain::{
    Refusal,
    app::App,
    funding::bank_accounts::{self, LinkBankAccount, RemoveBankAccount, UpdateBankAccount},
    kernel::{command, ids},
    people::users,
};
use entity::{Kind, bank_account};
use macros::RequestBody;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post_running::<NewBankAccount>(
        "/v1/users/{id}/bank_accounts",
        "Link a bank account of an approved user.",
    ),
    Route::get("/v1/users/{id}/bank_accounts", |filter| on(filter, list))
        .described(Description::new("List the bank accounts of a user.").lists::<BankAccountBody>()),
    Route::get("/v1/bank_accounts/{id}", |filter| on(filter, read))
        .described(Description::new("Get a bank account.").answers::<BankAccountBody>()),
    Route::put_running::<BankAccountChanges>(
        "/v1/bank_accounts/{id}",
        "Rename a bank account or make it the default. Fields that are left out stay unchanged.",
    ),
    Route::delete("/v1/bank_accounts/{id}", |filter| on(filter, remove)).described(
        Description::new("Remove a bank account that has no pending transfers.").answers::<Removed>(),
    ),
];

fields! {
    /// Account number, 4 to 17 letters and digits.
    AccountNumber(String) = forms::BANK_ACCOUNT_NUMBER, "4327843043";
    /// Routing number, nine digits.
    RoutingNumber(String) = forms::ROUTING_NUMBER, "121042882";
    /// Name that the user gives the bank account.
    Nickname(String) = forms::WORDS.whole(), "Joe checking";
    /// Name that the user gives the bank account.
    NewNickname(String) = forms::WORDS, "Joe WF Checking";
    /// Whether this is the user's default bank account.
    IsDefault(bool) = forms::Flag, true;
}

#[derive(Deserialize, ToSchema, RequestBody)]
#[runs(LinkBankAccount { user_id: User } -> BankAccountBody)]
struct NewBankAccount {
    #[serde(rename = "bank_account_number")]
    number: AccountNumber,
    #[serde(rename = "bank_routing_number")]
    routing_number: RoutingNumber,
    #[serde(rename = "bank_account_nickname")]
    nickname: Nickname,
}

#[derive(Deserialize, ToSchema, RequestBody)]
#[runs(UpdateBankAccount { bank_account_id: BankAccount } -> Updated)]
struct BankAccountChanges {
    #[serde(rename = "default")]
    is_default: Option<IsDefault>,
    #[serde(rename = "bank_account_nickname")]
    nickname: Option<NewNickname>,
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
    Ok(Json(request.envelope(&[], &slice, |bank_account| bank_account.id, data)))
}

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<BankAccountBody>> {
    let id = ids::parse(Kind::BankAccount, &id);
    let found =
        bank_accounts::get_audited(&app, &actor, id).await?.ok_or_else(|| Refusal::not_found("id"))?;
    Ok(Json(BankAccountBody::of(&app, &found)?))
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

impl Shows<bank_account::Model> for BankAccountBody {
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

impl Shows<bank_account::Model> for Updated {
    fn of(_: &App, bank_account: &bank_account::Model) -> domain::Result<Self> {
        Ok(Self {
            id: bank_account.id,
            user_id: bank_account.user_id,
            default: bank_account.is_default,
            bank_account_nickname: bank_account.nickname.clone(),
        })
    }
}
