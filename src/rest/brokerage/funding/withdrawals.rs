//! `/v1/withdrawals`, and `/v1/withdrawal` (documented).

use super::transfers::{
    self, ACCOUNT_FILTER, Created, ReturnBody, WITHDRAWAL_STATUSES, instant, status_filter,
};
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
use domain::{app::App, funding::withdrawals::CreateWithdrawal};
use entity::{
    Kind, Money,
    transfer::{self, Direction, Status},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashSet;
use utoipa::ToSchema;
use uuid::Uuid;

const CREATES: Description =
    Description::new("Withdraw money from a brokerage account to a bank account, selling shares if needed.")
        .takes::<NewWithdrawal>()
        .answers::<Created>();

pub const ROUTES: &[Route] = &[
    Route::post("/v1/withdrawal", |filter| on(filter, create)).described(CREATES),
    Route::post("/v1/withdrawals", |filter| on(filter, create)).described(CREATES),
    Route::get("/v1/withdrawals", |filter| on(filter, list))
        .described(Description::new("List withdrawals.").filtered(FILTERS).lists::<WithdrawalBody>()),
    Route::get("/v1/withdrawals/{id}", |filter| on(filter, read))
        .described(Description::new("Get a withdrawal.").answers::<WithdrawalBody>()),
];

fields! {
    /// Id of the brokerage account that pays the money.
    AccountId(Uuid) = forms::Id(Kind::Account), "0198d7a2-7c00-7000-8000-000000000005";
    /// Id of a bank account that belongs to an owner of the brokerage account.
    BankAccountId(Uuid) = forms::Id(Kind::BankAccount), "0198d7a2-7c00-7000-8000-000000000006";
    /// Amount in dollars and cents.
    Dollars(Money) = forms::DOLLARS, "202.00";
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWithdrawal {
    account_id: AccountId,
    bank_account_id: BankAccountId,
    amount: Dollars,
}

impl RequestBody for NewWithdrawal {}

impl From<NewWithdrawal> for CreateWithdrawal {
    fn from(new: NewWithdrawal) -> Self {
        Self {
            account_id: new.account_id.into(),
            bank_account_id: new.bank_account_id.into(),
            amount: new.amount.into(),
        }
    }
}

const FILTERS: &[Filter] = &[status_filter(WITHDRAWAL_STATUSES), ACCOUNT_FILTER];

async fn create(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    body: Body<NewWithdrawal>,
) -> Result<Response> {
    let withdrawn = body.execute(&app, &actor, key, CreateWithdrawal::from).await?;
    Ok(answer(&withdrawn, &Created::from(&withdrawn.value)))
}

async fn read(State(app): State<App>, actor: Caller, Id(id): Id) -> Result<Json<WithdrawalBody>> {
    let (withdrawal, visible) = transfers::read(&app, &actor, Direction::Withdrawal, &id).await?;
    Ok(Json(WithdrawalBody::of(&withdrawal, &visible)))
}

async fn list(State(app): State<App>, actor: Caller, request: ListRequest) -> Result<Json<Value>> {
    let body = |row: &transfer::Model, visible: &HashSet<Uuid>| json!(WithdrawalBody::of(row, visible));
    Ok(Json(transfers::list(&app, &actor, &request, Direction::Withdrawal, WITHDRAWAL_STATUSES, body).await?))
}

/// Withdrawal from a brokerage account.
#[derive(Serialize, ToSchema)]
#[schema(as = Withdrawal)]
struct WithdrawalBody {
    /// Opaque identifier.
    id: Uuid,
    /// Id of the brokerage account.
    account_id: Uuid,
    /// Id of the bank account, even if it has since been removed. Null for a signed-in user who does not
    /// own it.
    bank_account_id: Option<Uuid>,
    /// Requested amount in dollars and cents.
    #[schema(example = "202.00")]
    amount: String,
    /// What is paid, once it is sent to the bank; null until then.
    #[schema(example = "202.00")]
    paid_amount: Option<String>,
    /// `pending`, `selling`, `awaiting_settlement`, `submitted`, `completed`, `returned`, `canceled` or `failed`.
    #[schema(value_type = String, example = "pending")]
    status: Status,
    /// Date in New York on which the money is expected to be in the bank account.
    #[schema(format = "date", example = "2026-07-14")]
    expected_on: String,
    /// Time of the request.
    #[schema(format = "date-time", example = "2026-07-09T16:00:00Z")]
    created_at: String,
    /// Time when the money was in the bank account, even if it was returned since; null until then.
    #[schema(format = "date-time", example = "2026-07-14T12:30:00Z")]
    completed_at: Option<String>,
    /// Last return by the bank; null if there was none.
    last_return: Option<ReturnBody>,
}

impl WithdrawalBody {
    fn of(withdrawal: &transfer::Model, visible: &HashSet<Uuid>) -> Self {
        Self {
            id: withdrawal.id,
            account_id: withdrawal.account_id,
            bank_account_id: Some(withdrawal.bank_account_id).filter(|id| visible.contains(id)),
            amount: withdrawal.amount.to_string(),
            paid_amount: withdrawal.paid().map(|paid| paid.to_string()),
            status: withdrawal.status,
            expected_on: withdrawal.expected_on.to_string(),
            created_at: instant(withdrawal.created_at),
            completed_at: withdrawal.settled_at.map(instant),
            last_return: ReturnBody::of(withdrawal),
        }
    }
}
