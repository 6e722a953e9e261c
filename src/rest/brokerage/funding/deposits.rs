//! `/v1/deposits`.

use super::transfers::{self, ACCOUNT_FILTER, Created, DEPOSIT_STATUSES, ReturnBody, instant, status_filter};
use crate::rest::core::{
    answers::answer,
    bodies::{Body, RequestBody},
    described::{Description, Filter},
    errors::Result,
    forms::{self, fields},
    lists::ListRequest,
    requests::{Caller, Id, KeyHeader},
    routes::Route,
};
use axum::{Json, extract::State, response::Response, routing::on};
use domain::{app::App, funding::deposits::CreateDeposit};
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
    /// Whether the money is not to be invested before it has settled. Default: `false`.
    InvestWhenSettled(bool) = forms::Flag, false;
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDeposit {
    account_id: AccountId,
    bank_account_id: BankAccountId,
    amount: Dollars,
    invest_when_settled: Option<InvestWhenSettled>,
}

impl RequestBody for NewDeposit {}

impl From<NewDeposit> for CreateDeposit {
    fn from(new: NewDeposit) -> Self {
        Self {
            account_id: new.account_id.into(),
            bank_account_id: new.bank_account_id.into(),
            amount: new.amount.into(),
            invest_when_settled: new.invest_when_settled.is_some_and(bool::from),
        }
    }
}

const FILTERS: &[Filter] = &[status_filter(DEPOSIT_STATUSES), ACCOUNT_FILTER];

async fn create(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    body: Body<NewDeposit>,
) -> Result<Response> {
    let deposited = body.execute(&app, &actor, key, CreateDeposit::from).await?;
    Ok(answer(&deposited, &Created::from(&deposited.value)))
}

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<DepositBody>> {
    let (deposit, visible) = transfers::read(&app, &actor, Direction::Deposit, &id).await?;
    Ok(Json(DepositBody::of(&deposit, &visible)))
}

async fn list(State(app): State<App>, actor: Caller, request: ListRequest) -> Result<Json<Value>> {
    let body = |row: &transfer::Model, visible: &HashSet<Uuid>| json!(DepositBody::of(row, visible));
    Ok(Json(transfers::list(&app, &actor, &request, Direction::Deposit, DEPOSIT_STATUSES, body).await?))
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
    /// `pending`, `submitted`, `settled`, `returned`, `canceled` or `failed`.
    #[schema(value_type = String, example = "pending")]
    status: Status,
    /// Part that can, or could, buy shares before it has settled.
    #[schema(example = "0.00")]
    instant_amount: String,
    /// Whether the money is not to be invested before it has settled.
    #[schema(example = false)]
    invest_when_settled: bool,
    /// Expected settlement date in New York.
    #[schema(format = "date", example = "2026-07-10")]
    expected_on: String,
    /// Time of the request.
    #[schema(format = "date-time", example = "2026-07-09T16:00:00Z")]
    created_at: String,
    /// Time of settlement; null until then.
    #[schema(format = "date-time", example = "2026-07-10T12:30:00Z")]
    settled_at: Option<String>,
    /// Last return by the bank; null if there was none.
    last_return: Option<ReturnBody>,
}

impl DepositBody {
    fn of(deposit: &transfer::Model, visible: &HashSet<Uuid>) -> Self {
        Self {
            id: deposit.id,
            account_id: deposit.account_id,
            bank_account_id: Some(deposit.bank_account_id).filter(|id| visible.contains(id)),
            amount: deposit.amount.to_string(),
            status: deposit.status,
            instant_amount: deposit.instant_amount.to_string(),
            invest_when_settled: deposit.invest_when_settled,
            expected_on: deposit.expected_on.to_string(),
            created_at: instant(deposit.created_at),
            settled_at: deposit.settled_at.map(instant),
            last_return: ReturnBody::of(deposit),
        }
    }
}
