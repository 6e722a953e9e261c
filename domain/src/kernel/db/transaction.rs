//! A write transaction whose outcome is known before anything is acknowledged.
//!
//! The driver counts how deep in transactions a connection is. The count stays wrong when SQLite takes a
//! transaction back by itself (disk full, I/O error) and the driver's own ROLLBACK then fails: later
//! transactions become savepoints that are never released, and answer as if they were committed. So BEGIN,
//! COMMIT and ROLLBACK are plain statements here, and a connection whose state is not known is closed instead
//! of going back to its pool.

use super::health::Health;
use crate::{Error, Result};
use futures_util::TryFutureExt;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values,
    prelude::async_trait::async_trait,
    sqlx::{self, AssertSqlSafe, Executor, Postgres, Sqlite, pool::PoolConnection},
};
use sea_query_sqlx::SqlxValues;
use std::{fmt, future::Future, io, sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::Mutex, time::timeout};

/// How long PostgreSQL may take over one statement; its own limit, `statement_timeout`, is shorter and ends
/// all but a lost server.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(6);

/// Begins a transaction, and fails inside of another: SQLite refuses a BEGIN there, and on PostgreSQL the
/// time at which the transaction began differs from that of this statement.
const BEGIN_SQLITE: &str = "BEGIN IMMEDIATE";
const BEGIN_POSTGRES: &str = "BEGIN; SELECT 1 / (transaction_timestamp() = statement_timestamp())::int";

/// Shown the text of every statement.
pub(super) type Watcher = Arc<dyn Fn(&str) + Send + Sync>;

/// A connection of the writing pool.
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
    /// In a transaction in which a statement failed, so that it can only be rolled back.
    Failed,
    /// The outcome of a statement is unknown.
    Unknown,
}

/// A connection and what is known of it. When dropped, an idle one goes back to its pool, one in a
/// transaction after a ROLLBACK that succeeded, and any other is closed.
struct Leased {
    connection: Option<Connection>,
    state: State,
    /// How long PostgreSQL may take over one statement.
    limit: Duration,
    /// Whether it is no news that the connection is closed.
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

    /// Runs a statement that changes the state: unknown until it succeeds, and for ever if it does not.
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
                    tracing::warn!("a database connection in an unknown state is closed");
                }
                connection.close_on_drop();
            }
        }
    }
}

async fn roll_back(connection: Connection) {
    // A program that ends meanwhile closes the connection, and the database rolls back.
    let mut leased = Leased::new(connection);
    leased.is_ending = true;
    if leased.change("ROLLBACK", State::Idle).await.is_err() {
        tracing::warn!("a transaction could not be rolled back, and its connection is closed");
    }
}

/// A transaction that may write. Dropped without [`commit`](Self::commit), it is rolled back.
pub struct WriteTransaction {
    leased: Mutex<Leased>,
    backend: DbBackend,
    health: Arc<Health>,
    watcher: Option<Watcher>,
}

impl fmt::Debug for WriteTransaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WriteTransaction").finish_non_exhaustive()
    }
}

impl WriteTransaction {
    /// Begins a transaction on a connection that is in none; fails and closes the connection otherwise.
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
            // Of what is left, a BEGIN fails by being inside another transaction only.
            if Error::is_temporary(&error) { error } else { failed(DbErr::Conn, sqlx::Error::BeginFailed) }
        })?;
        Ok(Self { leased: Mutex::new(leased), backend, health, watcher })
    }

    /// Lets statements and the commit take as long as they need, for commands of operators.
    pub fn without_time_limit(mut self) -> Self {
        self.leased.get_mut().limit = Duration::MAX;
        self
    }

    /// Commits. An error means that nothing may be acknowledged: the transaction was rolled back, or its
    /// outcome is unknown because the database was lost meanwhile.
    pub async fn commit(mut self) -> Result<()> {
        let leased = self.leased.get_mut();
        if leased.state != State::Open {
            // PostgreSQL would answer this COMMIT with success, and roll back.
            return Err(Error::broken("a transaction in which a statement failed cannot be committed"));
        }
        match leased.change("COMMIT", State::Idle).await {
            Ok(()) => {
                self.health.wrote();
                Ok(())
            }
            Err(error) => Err(self.health.judged(failed(DbErr::Exec, error))),
        }
    }

    /// Shows a statement to the watcher and takes it apart.
    fn announced(&self, statement: Statement) -> (AssertSqlSafe<String>, SqlxValues) {
        if let Some(watcher) = &self.watcher {
            watcher(&statement.sql);
        }
        (AssertSqlSafe(statement.sql), SqlxValues(statement.values.unwrap_or_else(|| Values(Vec::new()))))
    }

    /// Takes note of a failed statement.
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

/// Runs one statement on whichever connection this is.
macro_rules! run {
    ($transaction:ident, $kind:path, $connection:ident => $answer:expr) => {{
        let mut leased = $transaction.leased.lock().await;
        // A caller that goes away in the middle of a statement leaves it unknown.
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

#[async_trait]
impl ConnectionTrait for WriteTransaction {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let (text, values) = self.announced(statement);
        run!(self, DbErr::Exec,
            connection => sqlx::query_with(text, values).execute(connection).map_ok(ExecResult::from))
    }

    async fn execute_unprepared(&self, text: &str) -> Result<ExecResult, DbErr> {
        let text = AssertSqlSafe(text.to_owned());
        run!(self, DbErr::Exec, connection => connection.execute(text).map_ok(ExecResult::from))
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let (text, values) = self.announced(statement);
        run!(self, DbErr::Query, connection => {
            sqlx::query_with(text, values).fetch_optional(connection).map_ok(|row| row.map(QueryResult::from))
        })
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let (text, values) = self.announced(statement);
        run!(self, DbErr::Query, connection => {
            sqlx::query_with(text,
                values).fetch_all(connection).map_ok(|rows| rows.into_iter().map(QueryResult::from).collect())
        })
    }
}
