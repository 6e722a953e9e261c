//! Changes of the sums of ledger accounts.

use crate::{Error, Result};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Change of one account's sums.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) debits: i64,
    pub(super) credits: i64,
    pub(super) held: i64,
}

/// Changes of accounts, in the order of their ids.
#[derive(Debug, Default)]
pub(in crate::kernel) struct Changes(BTreeMap<Uuid, Change>);

impl Changes {
    pub(in crate::kernel) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes the change of one account.
    pub(super) fn of(&mut self, account: Uuid, change: impl FnOnce(&mut Change) -> Result<()>) -> Result<()> {
        change(self.0.entry(account).or_default())
    }

    pub(super) fn add(&mut self, more: Self) -> Result<()> {
        for (account, more) in more.0 {
            self.of(account, |change| {
                add(&mut change.debits, more.debits)?;
                add(&mut change.credits, more.credits)?;
                add(&mut change.held, more.held)
            })?;
        }
        Ok(())
    }

    /// Updates the accounts' sums in one statement, locking them in the order of their ids; returns `false` if
    /// an account that forbids it would be overdrawn. The transaction must then be rolled back.
    pub(in crate::kernel) async fn apply(
        self,
        connection: &impl ConnectionTrait,
    ) -> std::result::Result<bool, DbErr> {
        if self.is_empty() {
            return Ok(true);
        }
        let backend = connection.get_database_backend();
        let count = self.0.len() as u64;
        let mut values: Vec<Value> = Vec::new();
        let mut rows = Vec::new();
        for (account, Change { debits, credits, held }) in self.0 {
            let at = values.len();
            rows.push(match backend {
                DbBackend::Postgres => format!(
                    "(${}::uuid, ${}::bigint, ${}::bigint, ${}::bigint, ${}::bigint)",
                    at + 1,
                    at + 2,
                    at + 3,
                    at + 4,
                    at + 5
                ),
                _ => "(?, ?, ?, ?, ?)".to_owned(),
            });
            let needed = debits.checked_add(held).and_then(|out| out.checked_sub(credits));
            let needed =
                needed.ok_or_else(|| DbErr::Custom("a ledger entry overflows 64 bits".to_owned()))?;
            values.extend([account.into(), debits.into(), credits.into(), held.into(), needed.into()]);
        }
        let rows = rows.join(", ");
        let (lock, allowed) = match backend {
            DbBackend::Postgres => (LOCKED, "NOT ledger_account.no_overdraft"),
            _ => ("", "ledger_account.no_overdraft = 0"),
        };
        let of_change = if lock.is_empty() { "change.account" } else { "locked.id" };
        let from =
            if lock.is_empty() { "change" } else { "locked JOIN change ON change.account = locked.id" };
        let text = format!(
            "WITH change (account, debited, credited, reserved, needed) AS (VALUES {rows}){lock} \
             UPDATE ledger_account SET debits = debits + change.debited, credits = credits + change.credited, \
             held = held + change.reserved, version = version + 1 FROM {from} \
             WHERE ledger_account.id = {of_change} AND ({allowed} OR ledger_account.credits - \
             ledger_account.debits - ledger_account.held >= change.needed)"
        );
        let statement = Statement::from_sql_and_values(backend, text, values);
        Ok(connection.execute_raw(statement).await?.rows_affected() == count)
    }
}

/// Locks the accounts in the order of their ids, whatever the order in which they are updated.
const LOCKED: &str = ", locked AS MATERIALIZED (SELECT ledger_account.id FROM ledger_account WHERE id IN \
    (SELECT account FROM change) ORDER BY id FOR NO KEY UPDATE)";

/// Adds an amount to a sum.
pub(super) fn add(sum: &mut i64, amount: i64) -> Result<()> {
    *sum = sum.checked_add(amount).ok_or_else(|| Error::broken("a ledger entry overflows 64 bits"))?;
    Ok(())
}
