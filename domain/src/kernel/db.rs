//! The database, SQLite or PostgreSQL: one pool for reading and one for writing.

mod buffer;
mod health;
mod pending;
mod transaction;

pub use transaction::WriteTransaction;

use crate::{Error, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use health::{Health, Verdict};
use sea_orm::{
    ConnAcquireErr, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseExecutor,
    DatabaseTransaction, DbBackend, DbErr, EntityTrait, RuntimeErr, Set, SqlxError, Statement,
    TransactionTrait, sea_query::OnConflict, sqlx::Connection as _,
};
use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{runtime::Handle, sync::OnceCell, time::timeout};
use transaction::{Connection, Watcher};

/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections of the write pool on PostgreSQL.
const POSTGRES_WRITERS: u32 = 16;
/// How long SQLite waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit of a health check.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1500);
/// Idle time after which a PostgreSQL connection is tested before use.
const TEST_AFTER_IDLE: Duration = Duration::from_secs(1);

/// Two pools for one database. On SQLite the write pool has one connection.
#[derive(Clone)]
pub struct Db {
    pub read: DatabaseConnection,
    write: DatabaseConnection,
    health: Arc<Health>,
    watcher: Option<Watcher>,
}

impl fmt::Debug for Db {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Db")
            .field("read", &self.read)
            .field("write", &self.write)
            .finish_non_exhaustive()
    }
}

impl Db {
    /// Opens the database at `url`; creates the SQLite file if it does not exist.
    pub async fn open(url: &str) -> Result<Self, DbErr> {
        let (write, read) = if url.starts_with("postgres") {
            (postgres(url, POSTGRES_WRITERS, false), postgres(url, 4, true))
        } else {
            (sqlite(url, 1, false), sqlite(url, 4, true))
        };
        let (write, read) = (Database::connect(write).await?, Database::connect(read).await?);
        Ok(Self { read, write, health: Arc::default(), watcher: None })
    }

    /// Returns the kind of database.
    pub fn backend(&self) -> DbBackend {
        self.write.get_database_backend()
    }

    /// Begins a transaction that may write. On SQLite it first waits for its turn, so that it cannot fail
    /// later because of another writer.
    ///
    /// Fails within seconds if no transaction can be started.
    pub async fn write(&self) -> Result<WriteTransaction> {
        let started = timeout(self.health.acquire_timeout(ACQUIRE_TIMEOUT), async {
            for _ in 0..POSTGRES_WRITERS {
                match self.begin().await {
                    // The connection died while it was idle. Nothing has been sent on it, and the next one
                    // may work.
                    Err(error) if Error::is_lost_connection(&error) => {}
                    started => return started,
                }
            }
            self.begin().await
        });
        match started.await {
            Ok(Ok(transaction)) => Ok(transaction),
            Ok(Err(error @ DbErr::ConnectionAcquire(_))) => {
                self.health.acquire_timed_out();
                Err(error.into())
            }
            Ok(Err(error)) => Err(self.health.classify(error)),
            Err(_) => {
                self.health.acquire_timed_out();
                Err(Error::database_timed_out())
            }
        }
    }

    async fn begin(&self) -> Result<WriteTransaction, DbErr> {
        let connection = match self.backend() {
            DbBackend::Sqlite => {
                self.write.get_sqlite_connection_pool().acquire().await.map(Connection::Sqlite)
            }
            _ => self.write.get_postgres_connection_pool().acquire().await.map(Connection::Postgres),
        };
        let connection = connection.map_err(|error| match error {
            SqlxError::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
            error => DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))),
        })?;
        WriteTransaction::begin(connection, self.health.clone(), self.watcher.clone()).await
    }

    /// Passes the text of every statement of the write pool to `seen`.
    pub fn watch_writes(&mut self, seen: impl Fn(&str) + Send + Sync + 'static) {
        self.watcher = Some(Arc::new(seen));
    }

    /// Returns the write pool itself, for migrations.
    pub const fn for_migrations(&self) -> &DatabaseConnection {
        &self.write
    }

    /// Whether the database answers and accepts writes; returns within two seconds.
    pub async fn works(&self) -> bool {
        let answers = async {
            matches!(timeout(PROBE_TIMEOUT, self.read.execute_unprepared("SELECT 1")).await, Ok(Ok(_)))
        };
        let (answers, takes_writes) = tokio::join!(answers, self.takes_writes());
        answers && takes_writes
    }

    /// Whether writes are committed: known from writes within the last second, otherwise probed at most once
    /// a second.
    async fn takes_writes(&self) -> bool {
        if let Verdict::Known(known) = self.health.verdict() {
            return known;
        }
        let db = self.clone();
        let tried = tokio::spawn(async move {
            let _lock = db.health.probe_lock().await;
            match db.health.verdict() {
                Verdict::Known(known) => known,
                Verdict::Probe { large } => {
                    let probed = db.probe(large).await;
                    if let Err(error) = &probed {
                        tracing::warn!(cause = %error.cause(), "the database does not accept writes");
                    }
                    let succeeded = probed.is_ok() || db.health.busy();
                    db.health.probed(succeeded, large && probed.is_ok());
                    succeeded
                }
            }
        });
        match timeout(PROBE_TIMEOUT, tried).await {
            Ok(tried) => tried.unwrap_or(false),
            Err(_) => self.health.busy(),
        }
    }

    /// Commits a probe row; a large one takes as much space as the largest command.
    async fn probe(&self, large: bool) -> Result<()> {
        let mut value = String::new();
        if large {
            // Random, so that PostgreSQL cannot compress it.
            let mut bytes = vec![0; PROBE_BYTES];
            getrandom::fill(&mut bytes)
                .map_err(|_| Error::broken("the operating system returned no random bytes"))?;
            value = STANDARD.encode(bytes);
        }
        let transaction = self.write().await?;
        let row = entity::meta::ActiveModel { name: Set("write_probe".to_owned()), value: Set(value) };
        let replaced = OnConflict::column(entity::meta::Column::Name)
            .update_column(entity::meta::Column::Value)
            .to_owned();
        entity::meta::Entity::insert(row).on_conflict(replaced).exec_without_returning(&transaction).await?;
        transaction.commit().await
    }

    /// Writes SQLite's write-ahead log into the database file, so that the file alone is complete.
    pub async fn checkpoint(&self) -> Result<()> {
        if self.backend() == DbBackend::Sqlite {
            self.write.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        }
        Ok(())
    }

    /// Returns a description of how commits are made durable; fails if they may not survive a power failure.
    pub async fn durability(&self) -> Result<String> {
        let (text, least) = match self.backend() {
            DbBackend::Postgres => ("SHOW fsync", "on"),
            _ => (
                "SELECT CASE WHEN synchronous >= 2 THEN 'on' ELSE 'off' END AS fsync FROM pragma_synchronous",
                "on",
            ),
        };
        let row = self.write.query_one_raw(Statement::from_string(self.backend(), text)).await?;
        let found: String = row
            .ok_or_else(|| Error::broken("the database did not report how it writes to disk"))?
            .try_get("", "fsync")?;
        if found == least {
            Ok("commits reach the disk".to_owned())
        } else {
            Err(Error::broken("commits may not reach the disk"))
        }
    }
}

/// Random bytes of a large probe, before Base64.
const PROBE_BYTES: usize = 96 * 1024;

/// Rows that SQLite's thread may read ahead, so that it rarely waits for the consumer or has to be woken.
const ROWS_AHEAD: usize = 1024;

fn sqlite(url: &str, connections: u32, read_only: bool) -> ConnectOptions {
    let mut options = common(url, connections);
    options.map_sqlx_sqlite_opts(move |sqlite| {
        let sqlite = sqlite
            .create_if_missing(true)
            .read_only(false)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .row_buffer_size(ROWS_AHEAD)
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "FULL")
            .pragma("recursive_triggers", "ON");
        if read_only { sqlite.pragma("query_only", "ON") } else { sqlite }
    });
    options.map_sqlx_sqlite_pool_opts(|pool| {
        pool.after_release(|connection, _| {
            Box::pin(async move {
                // A rollback that started when its transaction was dropped finishes before the ping.
                if connection.is_in_transaction() {
                    connection.ping().await?;
                }
                Ok(!connection.is_in_transaction())
            })
        })
    });
    options
}

fn postgres(url: &str, connections: u32, read_only: bool) -> ConnectOptions {
    let mut options = common(url, connections);
    options.map_sqlx_postgres_opts(move |postgres| {
        let postgres = postgres.options([
            ("statement_timeout", "5s"),
            ("lock_timeout", "2s"),
            ("idle_in_transaction_session_timeout", "10s"),
            // Notices, for example that a table already exists, are not useful to the operator.
            ("client_min_messages", "warning"),
        ]);
        if read_only {
            postgres.options([
                ("default_transaction_isolation", "repeatable read"),
                ("default_transaction_read_only", "on"),
            ])
        } else {
            postgres
        }
    });
    options.map_sqlx_postgres_pool_opts(|pool| {
        pool.after_release(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
    });
    options.test_before_acquire_if_idle_for(TEST_AFTER_IDLE);
    options
}

fn common(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(ACQUIRE_TIMEOUT)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire(false);
    options
}

/// The database as one request reads it: a snapshot for a query, the latest state otherwise.
#[derive(Debug)]
pub struct Reader {
    pool: DatabaseConnection,
    snapshot: Option<OnceCell<DatabaseTransaction>>,
    is_single: AtomicBool,
}

impl Reader {
    /// Reads the latest state with every statement.
    pub fn latest(pool: DatabaseConnection) -> Self {
        Self { pool, snapshot: None, is_single: AtomicBool::new(false) }
    }

    /// Reads the state as of the first statement, unaffected by later writes.
    pub fn snapshot(pool: DatabaseConnection) -> Self {
        Self { pool, snapshot: Some(OnceCell::new()), is_single: AtomicBool::new(false) }
    }

    /// Notes that the request reads with one statement, which needs no snapshot.
    pub fn read_once(&self) {
        self.is_single.store(true, Ordering::Relaxed);
    }

    /// Returns the connection for statements. A request must not take another connection of the read pool
    /// while it uses this one.
    pub async fn connection(&self) -> Result<DatabaseExecutor<'_>> {
        match self.snapshot.as_ref().filter(|_| !self.is_single.load(Ordering::Relaxed)) {
            None => Ok(DatabaseExecutor::from(&self.pool)),
            Some(cell) => {
                Ok(DatabaseExecutor::from(cell.get_or_try_init(|| begin_reading(self.pool.clone())).await?))
            }
        }
    }
}

/// Begins a read transaction. If the caller stops waiting, BEGIN still finishes and is then rolled back: the
/// driver would otherwise leave the connection in a transaction that never ends, and later readers would see
/// an old state.
async fn begin_reading(pool: DatabaseConnection) -> Result<DatabaseTransaction> {
    Ok(FinishInBackground(Some(Box::pin(async move { pool.begin().await }))).await?)
}

/// A future that continues in its own task if its caller stops waiting.
struct FinishInBackground<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> Future for FinishInBackground<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for FinishInBackground<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}
