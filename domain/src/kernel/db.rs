//! The database, SQLite or PostgreSQL: one pool for reading and one for writing.

mod buffer;
mod health;
mod migrating;
mod pending;
mod pool;
mod transaction;

pub use pool::Pool;
pub use transaction::{ReadTransaction, WriteTransaction};

use crate::{Error, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use health::{Health, Verdict};
use pool::{ACQUIRE_TIMEOUT, Target};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, EntityTrait, ExecResult,
    QueryResult, RuntimeErr, Set, SqlxError, Statement,
    prelude::async_trait::async_trait,
    sea_query::OnConflict,
    sqlx::{ConnectOptions as _, postgres::PgConnectOptions, sqlite::SqliteConnectOptions},
};
use std::{
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::OnceCell, time::timeout};

/// Connections for reading. More than the processors can serve only adds waiting inside the database.
const READERS: usize = 4;
/// Connections of the write pool on PostgreSQL.
const POSTGRES_WRITERS: usize = 16;
/// How long SQLite waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit of a health check.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1500);

/// Two pools for one database. On SQLite the write pool has one connection.
#[derive(Clone, Debug)]
pub struct Db {
    pub read: Pool,
    writers: Pool,
    migrations: DatabaseConnection,
    /// File beside a SQLite database that is locked while it is migrated.
    lock_file: Option<PathBuf>,
    health: Arc<Health>,
}

impl Db {
    /// Opens the database at `url`; creates the SQLite file if it does not exist.
    pub async fn open(url: &str) -> Result<Self, DbErr> {
        let (writers, to_write, to_read, lock_file) = if url.starts_with("postgres") {
            let options = parsed::<PgConnectOptions>(url)?;
            let to_read = postgres(options.clone()).options([
                ("default_transaction_isolation", "repeatable read"),
                ("default_transaction_read_only", "on"),
            ]);
            (POSTGRES_WRITERS, Target::Postgres(postgres(options)), Target::Postgres(to_read), None)
        } else {
            let options = parsed::<SqliteConnectOptions>(url)?;
            let lock_file = options.get_filename().with_added_extension("migrating");
            let to_read = sqlite(options.clone()).pragma("query_only", "ON");
            (1, Target::Sqlite(sqlite(options)), Target::Sqlite(to_read), Some(lock_file))
        };
        let writers = Pool::open(to_write, writers).await?;
        Ok(Self {
            writers,
            read: Pool::open(to_read, READERS).await?,
            migrations: Box::pin(Database::connect(for_migrations(url))).await?,
            lock_file,
            health: Arc::default(),
        })
    }

    /// Returns the kind of database.
    pub fn backend(&self) -> DbBackend {
        self.writers.get_database_backend()
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
        WriteTransaction::begin(self.writers.lease().await?, self.health.clone()).await
    }

    /// Begins a transaction that reads one state of the database.
    pub async fn snapshot(&self) -> Result<ReadTransaction> {
        ReadTransaction::begin(self.read.lease().await?).await
    }

    /// Passes the text of every statement of the write pool to `seen`.
    pub fn watch_writes(&mut self, seen: impl Fn(&str) + Send + Sync + 'static) {
        self.writers.watch(seen);
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
            self.writers.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
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
        let row = self.writers.query_one_raw(Statement::from_string(self.backend(), text)).await?;
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

fn parsed<O: FromStr<Err = SqlxError>>(url: &str) -> Result<O, DbErr> {
    url.parse().map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
}

fn sqlite(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("journal_mode", "WAL")
        .pragma("synchronous", "FULL")
        .pragma("recursive_triggers", "ON")
        .disable_statement_logging()
}

fn postgres(options: PgConnectOptions) -> PgConnectOptions {
    options
        .options([
            ("statement_timeout", "5s"),
            ("lock_timeout", "2s"),
            ("idle_in_transaction_session_timeout", "10s"),
            // Notices, for example that a table already exists, are not useful to the operator.
            ("client_min_messages", "warning"),
        ])
        .disable_statement_logging()
}

/// Options for a pool of the driver, which migrations need.
fn for_migrations(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .connect_lazy(true)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(ACQUIRE_TIMEOUT)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_sqlite_opts(sqlite)
        // A migration of a large table may take long.
        .map_sqlx_postgres_opts(|options| {
            postgres(options).options([("statement_timeout", "0"), ("lock_timeout", "10s")])
        });
    options
}

/// The database as one request reads it: a snapshot for a query, the latest state otherwise.
#[derive(Debug)]
pub struct Reader {
    db: Db,
    snapshot: Option<OnceCell<ReadTransaction>>,
    is_single: AtomicBool,
}

impl Reader {
    /// Reads the latest state with every statement.
    pub const fn latest(db: Db) -> Self {
        Self { db, snapshot: None, is_single: AtomicBool::new(false) }
    }

    /// Reads the state as of the first statement, unaffected by later writes.
    pub const fn snapshot(db: Db) -> Self {
        Self { db, snapshot: Some(OnceCell::const_new()), is_single: AtomicBool::new(false) }
    }

    /// Notes that the request reads with one statement, which needs no snapshot.
    pub fn read_once(&self) {
        self.is_single.store(true, Ordering::Relaxed);
    }

    /// Returns the connection for statements. A request must not take another connection of the read pool
    /// while it uses this one.
    pub async fn connection(&self) -> Result<ReadConnection<'_>> {
        match self.snapshot.as_ref().filter(|_| !self.is_single.load(Ordering::Relaxed)) {
            None => Ok(ReadConnection::Pool(&self.db.read)),
            Some(cell) => Ok(ReadConnection::Snapshot(cell.get_or_try_init(|| self.db.snapshot()).await?)),
        }
    }
}

/// What a request reads from.
#[derive(Clone, Copy, Debug)]
pub enum ReadConnection<'a> {
    Pool(&'a Pool),
    Snapshot(&'a ReadTransaction),
}

#[async_trait]
impl ConnectionTrait for ReadConnection<'_> {
    fn get_database_backend(&self) -> DbBackend {
        match self {
            Self::Pool(pool) => pool.get_database_backend(),
            Self::Snapshot(snapshot) => snapshot.get_database_backend(),
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self {
            Self::Pool(pool) => pool.execute_raw(statement).await,
            Self::Snapshot(snapshot) => snapshot.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, text: &str) -> Result<ExecResult, DbErr> {
        match self {
            Self::Pool(pool) => pool.execute_unprepared(text).await,
            Self::Snapshot(snapshot) => snapshot.execute_unprepared(text).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::Pool(pool) => pool.query_one_raw(statement).await,
            Self::Snapshot(snapshot) => snapshot.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Pool(pool) => pool.query_all_raw(statement).await,
            Self::Snapshot(snapshot) => snapshot.query_all_raw(statement).await,
        }
    }
}
