//! What an owner had at an instant, and what changed it.

use crate::Result;
use chrono::{DateTime, Utc};
use entity::ledger_account::LedgerKind;
use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

/// Balance of one of an owner's accounts at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastBalance {
    pub kind: LedgerKind,
    pub asset: String,
    pub balance: i64,
}

/// Returns the balances of all accounts of an owner at an instant: the sums of the movements recorded by then.
pub async fn balances_at(
    connection: &impl ConnectionTrait,
    owner_id: Uuid,
    at: DateTime<Utc>,
) -> Result<Vec<PastBalance>> {
    let text = "SELECT own.kind, own.asset, CAST(coalesce((SELECT sum(moved.amount) FROM ledger_transfer AS moved \
        WHERE moved.credit_account_id = own.id AND moved.recorded_at <= $2), 0) - coalesce((SELECT sum(moved.amount) \
        FROM ledger_transfer AS moved WHERE moved.debit_account_id = own.id AND moved.recorded_at <= $2), 0) AS \
        bigint) AS balance FROM ledger_account AS own WHERE own.owner_id = $1 ORDER BY own.id";
    let values = [owner_id.into(), at.into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), text, values);
    let mut balances = Vec::new();
    for row in connection.query_all_raw(statement).await? {
        balances.push(PastBalance {
            kind: row.try_get_by_index(0)?,
            asset: row.try_get_by_index(1)?,
            balance: row.try_get_by_index(2)?,
        });
    }
    Ok(balances)
}

/// A movement on one of an owner's accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastMovement {
    pub id: Uuid,
    /// Event that caused the movement.
    pub cause_id: Uuid,
    pub effective_at: DateTime<Utc>,
    pub asset: String,
    pub kind: LedgerKind,
    /// Kind of the account on the other side.
    pub other: LedgerKind,
    /// Above zero if the account received it.
    pub amount: i64,
}

/// Returns the movements on all accounts of an owner that were recorded after `after` and by `until`, in order. A
/// movement between two of its accounts is returned for each.
pub async fn movements(
    connection: &impl ConnectionTrait,
    owner_id: Uuid,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<PastMovement>> {
    let side = |own: &str, other: &str, sign: &str| {
        format!(
            "SELECT moved.id, moved.cause_id, moved.effective_at, moved.asset, own.kind, other.kind, \
             {sign}moved.amount FROM ledger_account AS own JOIN ledger_transfer AS moved ON \
             moved.{own}_account_id = own.id JOIN ledger_account AS other ON other.id = moved.{other}_account_id \
             WHERE own.owner_id = $1 AND moved.recorded_at > $2 AND moved.recorded_at <= $3"
        )
    };
    let text =
        format!("{} UNION ALL {} ORDER BY 1", side("credit", "debit", ""), side("debit", "credit", "-"));
    let values = [owner_id.into(), after.into(), until.into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), text, values);
    let mut movements = Vec::new();
    for row in connection.query_all_raw(statement).await? {
        movements.push(PastMovement {
            id: row.try_get_by_index(0)?,
            cause_id: row.try_get_by_index(1)?,
            effective_at: row.try_get_by_index(2)?,
            asset: row.try_get_by_index(3)?,
            kind: row.try_get_by_index(4)?,
            other: row.try_get_by_index(5)?,
            amount: row.try_get_by_index(6)?,
        });
    }
    Ok(movements)
}
