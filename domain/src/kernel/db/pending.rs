//! What a transaction is handed over to write, and when it is written.

use super::{
    buffer::{self, Buffer},
    transaction::{Direct, WriteTransaction},
};
use crate::{
    Error, Result,
    kernel::{
        events::Unnumbered,
        ledger::{Changes, KnownAccounts},
        timers::Scheduled,
    },
};
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait,
    ExecResult, Iterable, ModelTrait, PrimaryKeyToColumn, PrimaryKeyTrait, QueryFilter, QueryResult,
    Statement, TryIntoModel, Value, prelude::async_trait::async_trait,
};
use std::{
    any::Any,
    collections::HashMap,
    mem,
    sync::{MutexGuard, PoisonError},
};
use uuid::Uuid;

/// What a transaction has still to write.
#[derive(Default)]
pub(super) struct Pending {
    /// Changes of ledger accounts that must be possible.
    changes: Changes,
    events: Unnumbered,
    rows: Buffer,
    /// Rows that were read in advance, by table and id.
    prefetched: HashMap<(&'static str, Uuid), Box<dyn Any + Send>>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.events.is_empty() && self.rows.is_empty()
    }

    /// Whether a statement may see or affect something that is still to be written: unless it is a SELECT from
    /// other tables.
    fn concerns(&self, text: &str) -> bool {
        !text.starts_with("SELECT ")
            || self.rows.is_about(text)
            || (!self.changes.is_empty() && text.contains("ledger_account"))
            || (!self.events.is_empty() && text.contains("event"))
    }
}

impl WriteTransaction {
    /// Hands over a new row.
    pub async fn insert<M: ModelTrait>(&self, row: &M) {
        self.pending.lock().await.rows.insert(row, "");
    }

    /// Hands over a new row; `conflict` is the end of the statement, for example ` ON CONFLICT DO NOTHING`.
    pub async fn insert_or<M: ModelTrait>(&self, row: &M, conflict: &'static str) -> Result<()> {
        let mut pending = self.pending.lock().await;
        pending.prefetched.clear();
        if pending.rows.contains_table(buffer::table_of::<M::Entity>()) {
            // Two rows of one statement must not conflict.
            self.write(&mut pending).await?;
        }
        pending.rows.insert(row, conflict);
        Ok(())
    }

    /// Hands over the columns of a row that are set, and returns the whole row. The row must
    /// exist, and a lock on it or on its partner must keep others from deleting it.
    pub async fn update<A>(&self, row: A) -> Result<<A::Entity as EntityTrait>::Model>
    where
        A: ActiveModelTrait + ActiveModelBehavior + TryIntoModel<<A::Entity as EntityTrait>::Model>,
    {
        let id = row.get_primary_key_value().and_then(|key| key.into_iter().next());
        let id = id.ok_or_else(|| Error::broken("a changed row has no id"))?;
        self.settle(buffer::table_of::<A::Entity>(), &id).await?;
        self.pending.lock().await.rows.update(id, &row);
        Ok(row.try_into_model()?)
    }

    /// Hands over the id of a row to delete. The row must be locked.
    pub async fn delete<E: EntityTrait>(&self, id: impl Into<Value>) -> Result<()> {
        let id = id.into();
        self.settle(buffer::table_of::<E>(), &id).await?;
        self.pending.lock().await.rows.delete::<E>(id);
        Ok(())
    }

    /// Writes everything if it contains this row.
    async fn settle(&self, table: &'static str, id: &Value) -> Result<(), DbErr> {
        let mut pending = self.pending.lock().await;
        if let Value::Uuid(Some(id)) = id {
            pending.prefetched.remove(&(table, *id));
        }
        if pending.rows.contains(table, id) { self.write(&mut pending).await } else { Ok(()) }
    }

    /// Returns the row with this id as this transaction sees it. Unlike other statements, does not write the
    /// rows of the same table that were handed over, except this one.
    pub async fn row<E: EntityTrait>(&self, id: Uuid) -> Result<Option<E::Model>>
    where
        E::Model: 'static,
        <E::PrimaryKey as PrimaryKeyTrait>::ValueType: From<Uuid>,
    {
        let table = buffer::table_of::<E>();
        let prefetched = self.pending.lock().await.prefetched.remove(&(table, id));
        if let Some(Ok(row)) = prefetched.map(Box::<dyn Any + Send>::downcast) {
            return Ok(Some(*row));
        }
        self.settle(table, &id.into()).await?;
        Ok(E::find_by_id(id).one(&Direct(self)).await?)
    }

    /// Reads rows in advance, for [`row`](Self::row), in one statement. They are forgotten when another statement
    /// may change them. Rows that other transactions may change meanwhile must not be read in advance.
    pub async fn prefetch<E: EntityTrait>(&self, ids: &[Uuid]) -> Result<()>
    where
        E::Model: 'static,
    {
        let Some(key) = E::PrimaryKey::iter().next().map(PrimaryKeyToColumn::into_column) else {
            return Ok(());
        };
        let rows = E::find().filter(key.is_in(ids.iter().copied())).all(self).await?;
        let mut pending = self.pending.lock().await;
        for row in rows {
            if let Value::Uuid(Some(id)) = row.get(key) {
                pending.prefetched.insert((buffer::table_of::<E>(), id), Box::new(row));
            }
        }
        Ok(())
    }

    /// Hands over an event, which is numbered when it is written.
    pub(in crate::kernel) async fn add_event(&self, add: impl FnOnce(&mut Unnumbered)) {
        add(&mut self.pending.lock().await.events);
    }

    /// Changes ledger accounts at once; returns `false` if one that forbids it would be overdrawn.
    pub(in crate::kernel) async fn change_accounts(&self, changes: Changes) -> Result<bool> {
        let mut pending = self.pending.lock().await;
        if !pending.changes.is_empty() {
            self.write(&mut pending).await?;
        }
        Ok(changes.apply(&Direct(self)).await?)
    }

    /// Returns what this transaction has scheduled and canceled.
    pub(in crate::kernel) fn scheduled(&self) -> MutexGuard<'_, Scheduled> {
        self.scheduled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a connection for statements that nothing handed over can concern, whatever tables they name.
    pub(in crate::kernel) const fn past_pending(&self) -> Direct<'_> {
        Direct(self)
    }

    /// Returns the ledger accounts that this transaction has found or opened.
    pub(in crate::kernel) fn known_accounts(&self) -> MutexGuard<'_, KnownAccounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over changes of ledger accounts that must be possible.
    pub(in crate::kernel) async fn add_changes(
        &self,
        add: impl FnOnce(&mut Changes) -> Result<()>,
    ) -> Result<()> {
        add(&mut self.pending.lock().await.changes)
    }

    /// Whether rows of this table were handed over and are not written yet.
    pub(in crate::kernel) async fn has_pending(&self, table: &str) -> bool {
        self.pending.lock().await.rows.contains_table(table)
    }

    /// Writes everything that was handed over.
    pub async fn flush(&self) -> Result<()> {
        Ok(self.write(&mut *self.pending.lock().await).await?)
    }

    /// Writes everything: first the ledger accounts and then the streams of events, so that all transactions
    /// lock them in the same order.
    async fn write(&self, pending: &mut Pending) -> Result<(), DbErr> {
        if pending.is_empty() {
            return Ok(());
        }
        let written = self.write_rows(pending).await;
        if written.is_err() {
            // Part of it may be written, so the transaction must not be committed.
            self.fail().await;
        }
        written
    }

    async fn write_rows(&self, pending: &mut Pending) -> Result<(), DbErr> {
        let (changes, events) = (mem::take(&mut pending.changes), mem::take(&mut pending.events));
        let mut rows = mem::take(&mut pending.rows);
        let direct = Direct(self);
        if !changes.apply(&direct).await? {
            return Err(DbErr::Custom("a ledger account would be overdrawn".to_owned()));
        }
        for event in events.numbered(&direct).await? {
            rows.insert(&event, "");
        }
        for statement in rows.statements(self.backend) {
            direct.execute_raw(statement).await?;
        }
        Ok(())
    }

    /// Writes everything if a statement may see or affect it.
    async fn write_before(&self, text: &str) -> Result<(), DbErr> {
        let mut pending = self.pending.lock().await;
        if !text.starts_with("SELECT ") {
            pending.prefetched.clear();
        }
        if !pending.is_empty() && pending.concerns(text) { self.write(&mut pending).await } else { Ok(()) }
    }
}

#[async_trait]
impl ConnectionTrait for WriteTransaction {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.write_before(&statement.sql).await?;
        Direct(self).execute_raw(statement).await
    }

    async fn execute_unprepared(&self, text: &str) -> Result<ExecResult, DbErr> {
        self.write_before(text).await?;
        Direct(self).execute_unprepared(text).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.write_before(&statement.sql).await?;
        Direct(self).query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.write_before(&statement.sql).await?;
        Direct(self).query_all_raw(statement).await
    }
}
