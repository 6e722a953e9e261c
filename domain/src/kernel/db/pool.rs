//! Connections that are used again at once.
//!
//! The driver's own pool tests each connection that is released, which costs a round trip per statement. Here a
//! connection returns only in a known state, and is tested before its next use if it was idle for some time.
//!
//! The driver also counts how deeply transactions on a connection are nested. The count stays wrong if SQLite
//! rolls a transaction back by itself (disk full, I/O error) and the driver's own ROLLBACK then fails: later
//! transactions become savepoints that are never released, but report success on commit. Therefore BEGIN,
//! COMMIT and ROLLBACK are plain statements here, and a connection in an unknown state is closed.

use crate::Error;
use futures_util::{TryFutureExt, TryStreamExt};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
    Values,
    prelude::async_trait::async_trait,
    sqlx::{
        self, AssertSqlSafe, Connection as _, Executor, PgConnection, SqliteConnection,
        postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
    },
};
use sea_query_sqlx::SqlxValues;
use std::{
    fmt,
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tracing::{Dispatch, dispatcher};

/// How long a caller waits for a connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of a statement on PostgreSQL. The server's own limit, `statement_timeout`, is shorter, so this
/// one takes effect only if the server is lost.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(6);
/// Pause before connecting again to a server that does not listen yet.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Idle time after which a connection is tested before use.
const TEST_AFTER_IDLE: Duration = Duration::from_secs(1);
/// Age at which a connection is replaced, because the memory that PostgreSQL keeps for one only grows.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);

/// Receives the text of every statement.
pub(super) type Watcher = Arc<dyn Fn(&str) + Send + Sync>;

/// How to connect.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
}

/// A limited number of connections to one database.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    watcher: Option<Watcher>,
}

struct Shared {
    target: Target,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    opened: Instant,
    since: Instant,
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    /// Returns a pool of at most this many connections, and opens the first.
    pub(super) async fn open(target: Target, connections: usize) -> Result<Self, DbErr> {
        let shared =
            Shared { target, permits: Arc::new(Semaphore::new(connections)), idle: Mutex::default() };
        let pool = Self { shared: Arc::new(shared), watcher: None };
        drop(pool.lease().await?);
        Ok(pool)
    }

    /// Passes the text of every statement to `seen`.
    pub fn watch(&mut self, seen: impl Fn(&str) + Send + Sync + 'static) {
        self.watcher = Some(Arc::new(seen));
    }

    /// Waits for a connection. It is in no transaction.
    pub(super) async fn lease(&self) -> Result<Leased, DbErr> {
        let leased = async {
            let permit = self.shared.permits.clone().acquire_owned().await;
            let permit = permit.map_err(|_| failed(DbErr::Conn, sqlx::Error::PoolClosed))?;
            loop {
                let idle = self.shared.idle().pop();
                let Some(mut idle) = idle else {
                    match Connection::open(&self.shared.target).await {
                        // The server is starting.
                        Err(error) if Error::is_refused_connection(&error) => sleep(RETRY_INTERVAL).await,
                        opened => return Ok(Leased::new(self, opened?, Instant::now(), permit)),
                    }
                    continue;
                };
                if idle.since.elapsed() < TEST_AFTER_IDLE || idle.connection.answers().await {
                    return Ok(Leased::new(self, idle.connection, idle.opened, permit));
                }
            }
        };
        timeout(ACQUIRE_TIMEOUT, leased)
            .await
            .unwrap_or(Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)))
    }

    fn backend(&self) -> DbBackend {
        match self.shared.target {
            Target::Sqlite(_) => DbBackend::Sqlite,
            Target::Postgres(_) => DbBackend::Postgres,
        }
    }
}

/// Runs each statement outside a transaction.
#[async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        self.backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.lease().await?.execute(statement).await
    }

    async fn execute_unprepared(&self, text: &str) -> Result<ExecResult, DbErr> {
        self.lease().await?.execute_unprepared(text).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.lease().await?.query_one(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.lease().await?.query_all(statement).await
    }
}

enum Connection {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

impl Connection {
    async fn open(target: &Target) -> Result<Self, DbErr> {
        let opened = match target {
            Target::Sqlite(options) => {
                SqliteConnection::connect_with(options).await.map(|opened| Self::Sqlite(Box::new(opened)))
            }
            Target::Postgres(options) => {
                PgConnection::connect_with(options).await.map(|opened| Self::Postgres(Box::new(opened)))
            }
        };
        opened.map_err(|error| failed(DbErr::Conn, error))
    }

    async fn answers(&mut self) -> bool {
        match self {
            Self::Sqlite(connection) => connection.ping().await.is_ok(),
            Self::Postgres(connection) => limited(STATEMENT_TIMEOUT, connection.ping()).await.is_ok(),
        }
    }

    async fn run(&mut self, text: &'static str, limit: Duration) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.execute(text).await.map(drop),
            Self::Postgres(connection) => limited(limit, connection.execute(text)).await.map(drop),
        }
    }
}

async fn limited<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, answer).await.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
}

pub(super) fn failed(kind: fn(RuntimeErr) -> DbErr, error: sqlx::Error) -> DbErr {
    kind(RuntimeErr::SqlxError(Arc::new(error)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Outside any transaction.
    Idle,
    /// In a transaction in which every statement succeeded.
    Open,
    /// In a transaction in which a statement failed; it can only be rolled back.
    Failed,
    /// The outcome of a statement is unknown.
    Unknown,
}

/// A connection in use, and its state. On drop, an idle connection returns to its pool, one in a transaction is
/// rolled back first, and any other is closed.
pub(super) struct Leased {
    connection: Option<Connection>,
    pub state: State,
    /// Time limit of a statement on PostgreSQL.
    pub limit: Duration,
    /// Whether closing the connection is worth a warning.
    pub is_for_writing: bool,
    opened: Instant,
    pool: Pool,
    permit: Option<OwnedSemaphorePermit>,
}

impl Leased {
    fn new(pool: &Pool, connection: Connection, opened: Instant, permit: OwnedSemaphorePermit) -> Self {
        Self {
            connection: Some(connection),
            state: State::Idle,
            limit: STATEMENT_TIMEOUT,
            is_for_writing: false,
            opened,
            pool: pool.clone(),
            permit: Some(permit),
        }
    }

    pub fn backend(&self) -> DbBackend {
        self.pool.backend()
    }

    /// Runs a statement that changes the state: unknown until it succeeds, and permanently if it fails.
    pub async fn change(&mut self, text: &'static str, after: State) -> Result<(), sqlx::Error> {
        self.state = State::Unknown;
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?.run(text, self.limit).await?;
        self.state = after;
        Ok(())
    }

    /// Notes that the transaction can only be rolled back.
    pub fn fail(&mut self) {
        if self.state == State::Open {
            self.state = State::Failed;
        }
    }

    fn announce(&self, text: &str) {
        if let Some(watcher) = &self.pool.watcher {
            watcher(text);
        }
    }

    /// Passes a statement to the watcher and splits it into text and values.
    fn announced(&self, statement: Statement) -> (AssertSqlSafe<String>, SqlxValues) {
        self.announce(&statement.sql);
        (AssertSqlSafe(statement.sql), SqlxValues(statement.values.unwrap_or_else(|| Values(Vec::new()))))
    }

    /// Sets the state after a statement.
    fn settle<T>(
        &mut self,
        before: State,
        answer: Result<T, sqlx::Error>,
        kind: fn(RuntimeErr) -> DbErr,
    ) -> Result<T, DbErr> {
        self.state = before;
        answer.map_err(|error| {
            let error = failed(kind, error);
            if Error::is_fault_of_database(&error) {
                self.state = State::Unknown;
            } else {
                self.fail();
            }
            error
        })
    }
}

/// Creates the rows of a statement outside the span of the request, which the driver would enter again for each row.
fn outside_span<T>(create: impl FnOnce() -> T) -> T {
    dispatcher::with_default(&Dispatch::none(), create)
}

/// Runs one statement on either kind of connection.
macro_rules! run {
    ($leased:ident, $kind:path, $connection:ident => $answer:expr) => {{
        // If the caller is dropped during a statement, the state stays unknown.
        let before = std::mem::replace(&mut $leased.state, State::Unknown);
        let limit = $leased.limit;
        let answer = match $leased.connection.as_mut() {
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
        $leased.settle(before, answer, $kind)
    }};
}

impl Leased {
    pub async fn execute(&mut self, statement: Statement) -> Result<ExecResult, DbErr> {
        let (text, values) = self.announced(statement);
        run!(self, DbErr::Exec,
            connection => sqlx::query_with(text, values).execute(connection).map_ok(ExecResult::from))
    }

    pub async fn execute_unprepared(&mut self, text: &str) -> Result<ExecResult, DbErr> {
        self.announce(text);
        let text = AssertSqlSafe(text.to_owned());
        run!(self, DbErr::Exec, connection => connection.execute(text).map_ok(ExecResult::from))
    }

    pub async fn query_one(&mut self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let (text, values) = self.announced(statement);
        run!(self, DbErr::Query, connection => {
            sqlx::query_with(text, values).fetch_optional(connection).map_ok(|row| row.map(QueryResult::from))
        })
    }

    pub async fn query_all(&mut self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let (text, values) = self.announced(statement);
        run!(self, DbErr::Query, connection => {
            outside_span(|| sqlx::query_with(text, values).fetch(connection)).map_ok(QueryResult::from).try_collect()
        })
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        match (self.state, Handle::try_current()) {
            (State::Idle, _) if self.opened.elapsed() < MAX_AGE => {
                let idle = Idle { connection, opened: self.opened, since: Instant::now() };
                self.pool.shared.idle().push(idle);
            }
            (State::Idle, _) => {}
            (State::Open | State::Failed, Ok(runtime)) => {
                // If the process ends meanwhile, the connection is closed and the database rolls back.
                runtime.spawn(roll_back(Self {
                    connection: Some(connection),
                    state: State::Unknown,
                    is_for_writing: false,
                    pool: self.pool.clone(),
                    permit: self.permit.take(),
                    ..*self
                }));
            }
            _ if self.is_for_writing => tracing::warn!("closing a database connection in an unknown state"),
            _ => {}
        }
    }
}

async fn roll_back(mut leased: Leased) {
    if leased.change("ROLLBACK", State::Idle).await.is_err() {
        tracing::warn!("a transaction could not be rolled back; its connection is closed");
    }
}
