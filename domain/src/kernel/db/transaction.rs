//! A write transaction with an outcome that is known before anything is acknowledged.
//!
//! The driver counts how deeply transactions on a connection are nested. The count stays wrong if SQLite
//! rolls a transaction back by itself (disk full, I/O error) and the driver's own ROLLBACK then fails: later
//! transactions become savepoints that are never released, but report success on commit. Therefore BEGIN,
//! COMMIT and ROLLBACK are plain statements here, and a connection in an unknown state is closed instead of
//! returned to its pool.

use super::{health::Health, pending::Pending};
use crate::{
    Error, Result,
    kernel::{ledger::KnownAccounts, timers::Scheduled},
};
use futures_util::TryFutureExt;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values,
    prelude::async_trait::async_trait,
    sqlx::{self, AssertSqlSafe, Executor, Postgres, Sqlite, pool::PoolConnection},
};
use sea_query_sqlx::SqlxValues;
use std::{
    fmt,
    future::Future,
    io,
    sync::{self, Arc},
    time::Duration,
};
use tokio::{runtime::Handle, sync::Mutex, time::timeout};

/// Time limit of a statement on PostgreSQL. The server's own limit, `statement_timeout`, is shorter, so this
/// one takes effect only if the server is lost.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(6);

/// Begins a transaction, and fails inside another one: SQLite refuses a nested BEGIN, and on PostgreSQL the
/// transaction's start time then differs from that of the statement.
const BEGIN_SQLITE: &str = "BEGIN IMMEDIATE";
const BEGIN_POSTGRES: &str = "BEGIN; SELECT 1 / (transaction_timestamp() = statement_timestamp())::int";

/// Receives the text of every statement.
pub(super) type Watcher = Arc<dyn Fn(&str) + Send + Sync>;

/// A connection of the write pool.
pub(super) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Connection {
    async fn run(&mut self, text: &'static str, limit: Duration) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.execute(text).await.map(drop),
            Self::Postgres(connection) => limited(limit, connection.execute(text)).await.map(drop),
        }
    }

    fn close_on_drop(&mut self) {
        match self {
            Self::Sqlite(connection) => connection.close_on_drop(),
            Self::Postgres(connection) => connection.close_on_drop(),
        }
    }
}

async fn limited<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, answer).await.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Outside any transaction.
    Idle,
    /// In a transaction in which every statement succeeded.
    Open,
    /// In a transaction in which a statement failed; it can only be rolled back.
    Failed,
    /// The outcome of a statement is unknown.
    Unknown,
}

/// A connection and its state. On drop, an idle connection returns to its pool, one in a transaction is
/// rolled back first, and any other is closed.
struct Leased {
    connection: Option<Connection>,
    state: State,
    /// Time limit of a statement on PostgreSQL.
    limit: Duration,
    /// Whether closing the connection is expected and not logged.
    is_ending: bool,
}

impl Leased {
    const fn new(connection: Connection) -> Self {
        Self {
            connection: Some(connection),
            state: State::Unknown,
            limit: STATEMENT_TIMEOUT,
            is_ending: false,
        }
    }

    /// Runs a statement that changes the state: unknown until it succeeds, and permanently if it fails.
    async fn change(&mut self, text: &'static str, after: State) -> Result<(), sqlx::Error> {
        self.state = State::Unknown;
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?.run(text, self.limit).await?;
        self.state = after;
        Ok(())
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match (self.state, Handle::try_current()) {
            (State::Idle, _) => {}
            (State::Open | State::Failed, Ok(runtime)) => {
                runtime.spawn(roll_back(connection));
            }
            _ => {
                if !self.is_ending {
                    tracing::warn!("closing a database connection in an unknown state");
                }
                connection.close_on_drop();
            }
        }
    }
}

async fn roll_back(connection: Connection) {
    // If the process ends meanwhile, the connection is closed and the database rolls back.
    let mut leased = Leased::new(connection);
    leased.is_ending = true;
    if leased.change("ROLLBACK", State::Idle).await.is_err() {
        tracing::warn!("a transaction could not be rolled back; its connection is closed");
    }
}

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
    watcher: Option<Watcher>,
}

impl fmt::Debug for WriteTransaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WriteTransaction").finish_non_exhaustive()
    }
}

impl WriteTransaction {
    /// Begins a transaction on a connection that is in none; otherwise fails and closes the connection.
    pub(super) async fn begin(
        connection: Connection,
        health: Arc<Health>,
        watcher: Option<Watcher>,
    ) -> Result<Self, DbErr> {
        let (backend, begin) = match &connection {
            Connection::Sqlite(_) => (DbBackend::Sqlite, BEGIN_SQLITE),
            Connection::Postgres(_) => (DbBackend::Postgres, BEGIN_POSTGRES),
        };
        let mut leased = Leased::new(connection);
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
            watcher,
        })
    }

    /// Removes the time limit of statements and the commit, for commands of the operator.
    pub fn without_time_limit(mut self) -> Self {
        self.leased.get_mut().limit = Duration::MAX;
        self
    }

    /// Notes that the transaction can only be rolled back.
    pub(super) async fn fail(&self) {
        let mut leased = self.leased.lock().await;
        if leased.state == State::Open {
            leased.state = State::Failed;
        }
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

    /// Passes a statement to the watcher and splits it into text and values.
    fn announced(&self, statement: Statement) -> (AssertSqlSafe<String>, SqlxValues) {
        if let Some(watcher) = &self.watcher {
            watcher(&statement.sql);
        }
        (AssertSqlSafe(statement.sql), SqlxValues(statement.values.unwrap_or_else(|| Values(Vec::new()))))
    }

    /// Records a failed statement.
    fn noted<T>(
        &self,
        leased: &mut Leased,
        answer: Result<T, sqlx::Error>,
        kind: fn(RuntimeErr) -> DbErr,
    ) -> Result<T, DbErr> {
        answer.map_err(|error| {
            let error = failed(kind, error);
            if leased.state != State::Unknown {
                leased.state = if self.health.note(&error) { State::Unknown } else { State::Failed };
            }
            error
        })
    }
}

fn failed(kind: fn(RuntimeErr) -> DbErr, error: sqlx::Error) -> DbErr {
    kind(RuntimeErr::SqlxError(Arc::new(error)))
}

/// Runs one statement on either kind of connection.
macro_rules! run {
    ($transaction:ident, $kind:path, $connection:ident => $answer:expr) => {{
        let mut leased = $transaction.leased.lock().await;
        // If the caller is dropped during a statement, the state stays unknown.
        let before = std::mem::replace(&mut leased.state, State::Unknown);
        let limit = leased.limit;
        let answer = match leased.connection.as_mut() {
            Some(Connection::Sqlite(connection)) => {
                let $connection = &mut **connection;
                $answer.await
            }
            Some(Connection::Postgres(connection)) => {
                let $connection = &mut **connection;
                limited(limit, $answer).await
            }
            None => Err(sqlx::Error::PoolClosed),
        };
        leased.state = before;
        $transaction.noted(&mut leased, answer, $kind)
    }};
}

/// Runs statements without writing first what was handed over.
pub(in crate::kernel) struct Direct<'a>(pub(super) &'a WriteTransaction);

#[async_trait]
impl ConnectionTrait for Direct<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.0.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let transaction = self.0;
        let (text, values) = self.0.announced(statement);
        run!(transaction, DbErr::Exec,
            connection => sqlx::query_with(text, values).execute(connection).map_ok(ExecResult::from))
    }

    async fn execute_unprepared(&self, text: &str) -> Result<ExecResult, DbErr> {
        let transaction = self.0;
        if let Some(watcher) = &transaction.watcher {
            watcher(text);
        }
        let text = AssertSqlSafe(text.to_owned());
        run!(transaction, DbErr::Exec, connection => connection.execute(text).map_ok(ExecResult::from))
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let transaction = self.0;
        let (text, values) = self.0.announced(statement);
        run!(transaction, DbErr::Query, connection => {
            sqlx::query_with(text, values).fetch_optional(connection).map_ok(|row| row.map(QueryResult::from))
        })
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let transaction = self.0;
        let (text, values) = self.0.announced(statement);
        run!(transaction, DbErr::Query, connection => {
            sqlx::query_with(text,
                values).fetch_all(connection).map_ok(|rows| rows.into_iter().map(QueryResult::from).collect())
        })
    }
}
