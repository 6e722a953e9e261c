//! What `/v1/deposits` and `/v1/withdrawals` have in common: lists, finding and bodies.

use crate::rest::core::{
    described::Filter,
    errors::{Problem, Result},
    lists::ListRequest,
    requests::Caller,
};
use chrono::{DateTime, SecondsFormat, Utc};
use domain::{
    Refusal,
    app::App,
    funding::{bank_accounts, return_codes, transfers},
    kernel::{ids, lists},
};
use entity::{
    Kind,
    transfer::{self, Direction, Status},
};
use serde::Serialize;
use serde_json::Value;
use std::collections::HashSet;
use utoipa::ToSchema;
use uuid::Uuid;

/// Statuses that deposits and withdrawals can have, and `all`.
pub const DEPOSIT_STATUSES: &[&str] =
    &["all", "pending", "submitted", "settled", "returned", "canceled", "failed"];
pub const WITHDRAWAL_STATUSES: &[&str] = &[
    "all",
    "pending",
    "selling",
    "awaiting_settlement",
    "submitted",
    "completed",
    "returned",
    "canceled",
    "failed",
];

/// Returns the filters of a list.
pub const fn status_filter(options: &'static [&'static str]) -> Filter {
    Filter::words("status", "Return only those with this status. Default: `all`.", options)
}

pub const ACCOUNT_FILTER: Filter = Filter::id("account_id", "Return only those of this account.");

/// Response to a new transfer.
#[derive(Serialize, ToSchema)]
#[schema(as = TransferCreated)]
pub struct Created {
    /// Opaque identifier.
    id: Uuid,
    /// Id of the brokerage account.
    account_id: Uuid,
    /// `pending`.
    #[schema(value_type = String, example = "pending")]
    status: Status,
}

impl From<&transfer::Model> for Created {
    fn from(transfer: &transfer::Model) -> Self {
        Self { id: transfer.id, account_id: transfer.account_id, status: transfer.status }
    }
}

/// Return of a transfer by the bank.
#[derive(Serialize, ToSchema)]
#[schema(as = TransferReturn)]
pub struct ReturnBody {
    /// Return code of the ACH network.
    #[schema(example = "R01")]
    code: String,
    /// What the code means.
    #[schema(example = "Insufficient funds")]
    reason: String,
    /// Time of the return.
    #[schema(format = "date-time", example = "2026-07-14T12:30:00Z")]
    returned_at: String,
}

impl ReturnBody {
    /// Returns the last return of a transfer.
    pub fn of(transfer: &transfer::Model) -> Option<Self> {
        let (code, at) = transfer.return_code.zip(transfer.returned_at)?;
        Some(Self {
            code: return_codes::name(code),
            reason: return_codes::meaning(code).to_owned(),
            returned_at: instant(at),
        })
    }
}

/// Writes a time.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Returns a transfer in this direction, and the bank accounts that the caller may see.
pub async fn read(
    app: &App,
    actor: &Caller,
    direction: Direction,
    id: &str,
) -> Result<(transfer::Model, HashSet<Uuid>)> {
    let id = ids::parse(Kind::Transfer, id);
    let found = transfers::find_directed(&app.db.read, actor, direction, id).await?;
    let found = found.ok_or_else(|| Refusal::not_found("id"))?;
    let visible = bank_accounts::visible(&app.db.read, actor, [found.bank_account_id].into_iter()).await?;
    Ok((found, visible))
}

/// Returns a page of the transfers in this direction.
pub async fn list(
    app: &App,
    actor: &Caller,
    request: &ListRequest,
    direction: Direction,
    statuses: &[&str],
    body: impl Fn(&transfer::Model, &HashSet<Uuid>) -> Value,
) -> Result<Value> {
    let status = request.parameter("status").unwrap_or("all");
    let mut filters = Vec::from_iter(lists::Filter::one_of(transfer::Column::Direction, [direction]));
    if status != "all" {
        let known = statuses.contains(&status).then(|| Status::parse(status)).flatten();
        let parsed = known.ok_or_else(|| {
            let (last, others) = statuses.split_last().unwrap_or((&"all", &[]));
            let text = format!("must be {} or {last}", others.join(", "));
            Problem::in_query(Refusal::invalid("status", text))
        })?;
        filters.extend(lists::Filter::one_of(transfer::Column::Status, [parsed]));
    }
    let account_id = request.id("account_id")?;
    let mut own = vec![("status", status)];
    if let Some(id) = &account_id {
        filters.push(lists::Filter::is(transfer::Column::AccountId, ids::parse(Kind::Account, id)));
        own.push(("account_id", id));
    }
    let is_in_list =
        async |id| Ok(transfers::find_directed(&app.db.read, actor, direction, id).await?.is_some());
    let word = match direction {
        Direction::Deposit => "deposit",
        Direction::Withdrawal => "withdrawal",
    };
    let page = request.page(Kind::Transfer, word, is_in_list).await?;
    let slice = transfers::list(&app.db.read, actor, &page.into(), &filters).await?;
    let visible =
        bank_accounts::visible(&app.db.read, actor, slice.rows.iter().map(|row| row.bank_account_id)).await?;
    let data = slice.rows.iter().map(|row| body(row, &visible)).collect();
    Ok(request.envelope(&own, &slice, |row| row.id, data))
}
