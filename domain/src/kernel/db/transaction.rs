//! Transactions: for writing, with an outcome that is known before anything is acknowledged, and for reading.

use super::{
    health::Health,
    pending::Pending,
    pool::{Leased, State, failed},
};
use crate::{
    Error, Result,
    kernel::{ledger::KnownAccounts, timers::Scheduled},
};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, prelude::async_trait::async_trait,
    sqlx,
};
use std::{
    fmt,
    sync::{self, Arc},
    time::Duration,
};
use tokio::sync::Mutex;

/// Begins a transaction, and fails inside another one: SQLite refuses a nested BEGIN, and on PostgreSQL the
/// transaction's start time then differs from that of the statement.
const BEGIN_SQLITE: &str = "BEGIN IMMEDIATE";
const BEGIN_POSTGRES: &str = "BEGIN; SELECT 1 / (transaction_timestamp() = statement_timestamp())::int";

/// A transaction that may write. If it is dropped without [`commit`](Self::commit), it is rolled back.
///
/// Rows that are handed over with [`insert`](Self::insert), [`update`](Self::update) and
/// [`delete`](Self::delete) are written together: at the commit, or before a statement that may read them.
/// Until then the database does not check them.
pub struct WriteTransaction {
    leased: Mutex<Leased>,
    pub(super) pending: Mutex<Pending>,
    pub(super) accounts: sync::Mutex<KnownAccounts>,
    pub(super) scheduled: sync::Mutex<Scheduled>,
    pub(super) backend: DbBackend,
    health: Arc<Health>,
}

impl fmt::Debug for WriteTransaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WriteTransaction").finish_non_exhaustive()
    }
}

impl WriteTransaction {
    /// Begins a transaction on a connection that is in none; otherwise fails and closes the connection.
    pub(super) async fn begin(mut leased: Leased, health: Arc<Health>) -> Result<Self, DbErr> {
        let backend = leased.backend();
        let begin = if backend == DbBackend::Postgres { BEGIN_POSTGRES } else { BEGIN_SQLITE };
        leased.is_for_writing = true;
        leased.change(begin, State::Open).await.map_err(|error| {
            let error = failed(DbErr::Exec, error);
            // The only other reason for BEGIN to fail is that the connection is already in a transaction.
            if Error::is_temporary(&error) { error } else { failed(DbErr::Conn, sqlx::Error::BeginFailed) }
        })?;
        Ok(Self {
            leased: Mutex::new(leased),
            pending: Mutex::default(),
            accounts: sync::Mutex::default(),
            scheduled: sync::Mutex::default(),
            backend,
            health,
        })
    }

    /// Removes the time limit of statements and the commit, for commands of the operator.
    pub fn without_time_limit(mut self) -> Self {
        self.leased.get_mut().limit = Duration::MAX;
        self
    }

    /// Notes that the transaction can only be rolled back.
    pub(super) async fn fail(&self) {
        self.leased.lock().await.fail();
    }

    /// Commits. On an error nothing may be acknowledged: the transaction was rolled back, or its outcome is
    /// unknown because the connection was lost.
    pub async fn commit(mut self) -> Result<()> {
        self.flush().await?;
        let leased = self.leased.get_mut();
        if leased.state != State::Open {
            // PostgreSQL would report success for this COMMIT, but roll back.
            return Err(Error::broken("a transaction in which a statement failed cannot be committed"));
        }
        match leased.change("COMMIT", State::Idle).await {
            Ok(()) => {
                self.health.wrote();
                Ok(())
            }
            Err(error) => Err(self.health.classify(failed(DbErr::Exec, error))),
        }
    }

    /// Records a failed statement.
    fn noted<T>(&self, answer: Result<T, DbErr>) -> Result<T, DbErr> {
        answer.inspect_err(|error| {
            self.health.note(error);
        })
    }
}

/// Runs statements without writing first what was handed over.
pub(in crate::kernel) struct Direct<'a>(pub(super) &'a WriteTransaction);

#[async_trait]
impl ConnectionTrait for Direct<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.0.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.0.noted(self.0.leased.lock().await.execute(statement).await)
    }

    async fn execute_unprepared(&self, text: &str) -> Result<ExecResult, DbErr> {
        self.0.noted(self.0.leased.lock().await.execute_unprepared(text).await)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.0.noted(self.0.leased.lock().await.query_one(statement).await)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.0.noted(self.0.leased.lock().await.query_all(statement).await)
    }
}

/// A transaction that reads the state of its first statement, unaffected by later writes.
pub struct ReadTransaction {
    leased: Mutex<Leased>,
    backend: DbBackend,
}

impl fmt::Debug for ReadTransaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReadTransaction").finish_non_exhaustive()
    }
}

impl ReadTransaction {
    pub(super) async fn begin(mut leased: Leased) -> Result<Self> {
        let backend = leased.backend();
        leased.change("BEGIN", State::Open).await.map_err(|error| failed(DbErr::Exec, error))?;
        Ok(Self { leased: Mutex::new(leased), backend })
    }

    /// Removes the time limit of statements, for commands of the operator.
    pub fn without_time_limit(mut self) -> Self {
        self.leased.get_mut().limit = Duration::MAX;
        self
    }
}

#[async_trait]
impl ConnectionTrait for ReadTransaction {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.leased.lock().await.execute(statement).await
    }

    async fn execute_unprepared(&self, text: &str) -> Result<ExecResult, DbErr> {
        self.leased.lock().await.execute_unprepared(text).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.leased.lock().await.query_one(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.leased.lock().await.query_all(statement).await
    }
}
