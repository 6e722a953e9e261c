//! `/v1/deposits`.

use crate::rest::core::{
    answers::answer,
    bodies::{Body, RequestBody},
    described::{Description, Filter},
    errors::{Problem, Result},
    forms::{self, fields},
    lists::ListRequest,
    requests::{Caller, Id, KeyHeader},
    routes::Route,
};
use axum::{Json, extract::State, response::Response, routing::on};
use chrono::{DateTime, SecondsFormat, Utc};
use domain::{
    Refusal,
    app::App,
    funding::{
        bank_accounts,
        transfers::{self, CreateDeposit},
    },
    kernel::{ids, lists},
};
use entity::{
    Kind, Money,
    transfer::{self, Direction, Status},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashSet;
use utoipa::ToSchema;
use uuid::Uuid;

pub const ROUTES: &[Route] = &[
    Route::post("/v1/deposits", |filter| on(filter, create)).described(
        Description::new("Pull money from a bank account into a brokerage account.")
            .takes::<NewDeposit>()
            .answers::<Created>(),
    ),
    Route::get("/v1/deposits", |filter| on(filter, list))
        .described(Description::new("List deposits.").filtered(FILTERS).lists::<DepositBody>()),
    Route::get("/v1/deposits/{id}", |filter| on(filter, read))
        .described(Description::new("Get a deposit.").answers::<DepositBody>()),
];

fields! {
    /// Id of the brokerage account that receives the money.
    AccountId(Uuid) = forms::Id(Kind::Account), "0198d7a2-7c00-7000-8000-000000000005";
    /// Id of a bank account that belongs to an owner of the brokerage account.
    BankAccountId(Uuid) = forms::Id(Kind::BankAccount), "0198d7a2-7c00-7000-8000-000000000006";
    /// Amount in dollars and cents.
    Dollars(Money) = forms::DOLLARS, "1000.00";
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDeposit {
    account_id: AccountId,
    bank_account_id: BankAccountId,
    amount: Dollars,
}

impl RequestBody for NewDeposit {}

impl From<NewDeposit> for CreateDeposit {
    fn from(new: NewDeposit) -> Self {
        Self {
            account_id: new.account_id.into(),
            bank_account_id: new.bank_account_id.into(),
            amount: new.amount.into(),
        }
    }
}

const FILTERS: &[Filter] = &[
    Filter {
        name: "status",
        text: "Return only deposits with this status. Default: `all`.",
        options: &["all", "pending", "settled"],
    },
    Filter { name: "account_id", text: "Return only deposits into this account.", options: &[] },
];

async fn create(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    body: Body<NewDeposit>,
) -> Result<Response> {
    let deposited = body.execute(&app, &actor, key, CreateDeposit::from).await?;
    let deposit = &deposited.value;
    Ok(answer(
        &deposited,
        &Created { id: deposit.id, account_id: deposit.account_id, status: deposit.status },
    ))
}

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<DepositBody>> {
    let id = ids::parse(Kind::Transfer, &id);
    let deposit =
        transfers::find_deposit(&app.db.read, &actor, id).await?.ok_or_else(|| Refusal::not_found("id"))?;
    let visible = bank_accounts::visible(&app.db.read, &actor, [deposit.bank_account_id].into_iter()).await?;
    Ok(Json(DepositBody::of(&deposit, &visible)))
}

async fn list(State(app): State<App>, actor: Caller, request: ListRequest) -> Result<Json<Value>> {
    let status = request.parameter("status").unwrap_or("all");
    let mut filters =
        Vec::from_iter(lists::Filter::one_of(transfer::Column::Direction, [Direction::Deposit]));
    if status != "all" {
        let parsed = Status::parse(status).ok_or_else(|| {
            Problem::in_query(Refusal::invalid("status", "must be all, pending or settled"))
        })?;
        filters.extend(lists::Filter::one_of(transfer::Column::Status, [parsed]));
    }
    let account_id = request.parameter("account_id").map(Uuid::try_parse).transpose();
    let account_id = account_id
        .map_err(|_| Problem::in_query(Refusal::invalid("account_id", "must be an id")))?
        .map(|id| id.to_string());
    let mut own = vec![("status", status)];
    if let Some(id) = &account_id {
        filters.push(lists::Filter::is(transfer::Column::AccountId, ids::parse(Kind::Account, id)));
        own.push(("account_id", id));
    }
    let is_in_list = async |id| Ok(transfers::find_deposit(&app.db.read, &actor, id).await?.is_some());
    let page = request.page(Kind::Transfer, "deposit", is_in_list).await?;
    let slice = transfers::list(&app.db.read, &actor, &page.into(), &filters).await?;
    let visible = bank_accounts::visible(
        &app.db.read,
        &actor,
        slice.rows.iter().map(|deposit| deposit.bank_account_id),
    )
    .await?;
    let data = slice.rows.iter().map(|deposit| json!(DepositBody::of(deposit, &visible))).collect();
    Ok(Json(request.envelope(&own, &slice, |deposit| deposit.id, data)))
}

/// Response to a new deposit.
#[derive(Serialize, ToSchema)]
#[schema(as = DepositCreated)]
struct Created {
    /// Opaque identifier.
    id: Uuid,
    /// Id of the brokerage account.
    account_id: Uuid,
    /// `pending` or `settled`.
    #[schema(value_type = String, example = "pending")]
    status: Status,
}

/// Deposit into a brokerage account.
#[derive(Serialize, ToSchema)]
#[schema(as = Deposit)]
struct DepositBody {
    /// Opaque identifier.
    id: Uuid,
    /// Id of the brokerage account.
    account_id: Uuid,
    /// Id of the bank account, even if it has since been removed. Null for a signed-in user who does not
    /// own it.
    bank_account_id: Option<Uuid>,
    /// Amount in dollars and cents.
    #[schema(example = "1000.00")]
    amount: String,
    /// `pending` or `settled`.
    #[schema(value_type = String, example = "pending")]
    status: Status,
    /// Expected settlement date in New York.
    #[schema(format = "date", example = "2026-07-10")]
    expected_on: String,
    /// Time of the request.
    #[schema(format = "date-time", example = "2026-07-09T16:00:00Z")]
    created_at: String,
    /// Time of settlement; null until then.
    #[schema(format = "date-time", example = "2026-07-10T12:30:00Z")]
    settled_at: Option<String>,
}

impl DepositBody {
    fn of(deposit: &transfer::Model, visible: &HashSet<Uuid>) -> Self {
        let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        Self {
            id: deposit.id,
            account_id: deposit.account_id,
            bank_account_id: Some(deposit.bank_account_id).filter(|id| visible.contains(id)),
            amount: deposit.amount.to_string(),
            status: deposit.status,
            expected_on: deposit.expected_on.to_string(),
            created_at: instant(deposit.created_at),
            settled_at: deposit.settled_at.map(instant),
        }
    }
}
