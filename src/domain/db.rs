//! The database: one pool that reads and one that writes, alike on SQLite and PostgreSQL.

use super::{Error, Result};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Two pools over one database. On SQLite the writing pool has one connection.
#[derive(Clone, Debug)]
pub struct Db {
    pub read: DatabaseConnection,
    write: DatabaseConnection,
}

impl Db {
    /// Opens the database at `url`, an SQLite file being created where there is none.
    pub async fn open(url: &str) -> Result<Self, DbErr> {
        if url.starts_with("postgres") { Self::open_postgres(url).await } else { Self::open_sqlite(url).await }
    }

    async fn open_sqlite(url: &str) -> Result<Self, DbErr> {
        let write = Database::connect(sqlite(url, 1, false)).await?;
        let read = Database::connect(sqlite(url, 4, true)).await?;
        Ok(Self { read, write })
    }

    async fn open_postgres(url: &str) -> Result<Self, DbErr> {
        let write = Database::connect(postgres(url, 16, false)).await?;
        let read = Database::connect(postgres(url, 4, true)).await?;
        Ok(Self { read, write })
    }

    /// Which database this is.
    pub fn backend(&self) -> DbBackend {
        self.write.get_database_backend()
    }

    /// Begins a transaction that may write. On SQLite it waits for its turn first, so that it never fails half-way.
    pub async fn write(&self) -> Result<DatabaseTransaction> {
        let options = match self.backend() {
            DbBackend::Sqlite => {
                TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..TransactionOptions::default() }
            }
            _ => TransactionOptions::default(),
        };
        Ok(self.write.begin_with_options(options).await?)
    }

    /// Has the text of every statement of the writing pool shown to `seen`.
    pub fn watch_writes(&mut self, seen: impl Fn(&str) + Send + Sync + 'static) {
        self.write.set_metric_callback(move |info| seen(&info.statement.sql));
    }

    /// The writing pool itself, for migrations.
    pub const fn for_migrations(&self) -> &DatabaseConnection {
        &self.write
    }

    /// Whether the database answers.
    pub async fn answers(&self) -> bool {
        let asked = tokio::time::timeout(Duration::from_secs(2), self.read.execute_unprepared("SELECT 1")).await;
        matches!(asked, Ok(Ok(_)))
    }

    /// Brings an SQLite file up to date with its log, so that the file alone is the whole database.
    pub async fn settle(&self) -> Result<()> {
        if self.backend() == DbBackend::Sqlite {
            self.write.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        }
        Ok(())
    }

    /// How surely a commit survives the loss of power; a fault where it may not.
    pub async fn durability(&self) -> Result<String> {
        let (text, least) = match self.backend() {
            DbBackend::Postgres => ("SHOW fsync", "on"),
            _ => ("SELECT CASE WHEN synchronous >= 2 THEN 'on' ELSE 'off' END AS fsync FROM pragma_synchronous", "on"),
        };
        let row = self.write.query_one_raw(Statement::from_string(self.backend(), text)).await?;
        let found: String = row.ok_or_else(|| Error::broken("the database does not tell how it writes"))?.try_get("", "fsync")?;
        if found == least { Ok("commits reach the disk".to_owned()) } else { Err(Error::broken("commits may not reach the disk")) }
    }
}

/// Rows that SQLite's thread may read ahead, so that it seldom waits for the reader of the rows or wakes it.
const ROWS_AHEAD: usize = 1024;

fn sqlite(url: &str, connections: u32, read_only: bool) -> ConnectOptions {
    let mut options = common(url, connections);
    options.map_sqlx_sqlite_opts(move |sqlite| {
        let sqlite = sqlite
            .create_if_missing(true)
            .read_only(false)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .row_buffer_size(ROWS_AHEAD)
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "FULL")
            .pragma("recursive_triggers", "ON");
        if read_only { sqlite.pragma("query_only", "ON") } else { sqlite }
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
            // Notices, such as that a table exists already, tell an operator nothing.
            ("client_min_messages", "warning"),
        ]);
        if read_only {
            postgres.options([("default_transaction_isolation", "repeatable read"), ("default_transaction_read_only", "on")])
        } else {
            postgres
        }
    });
    options
}

fn common(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        .connect_timeout(Duration::from_secs(5))
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire(false);
    options
}

/// Where one request reads from: one unchanging state of the database for a query, the latest one otherwise.
#[derive(Debug)]
pub struct Reader {
    pool: DatabaseConnection,
    snapshot: Option<OnceCell<DatabaseTransaction>>,
}

impl Reader {
    /// Reads the latest state with every statement.
    pub fn latest(pool: DatabaseConnection) -> Self {
        Self { pool, snapshot: None }
    }

    /// Reads the state as of the first statement, whatever is written meanwhile.
    pub fn snapshot(pool: DatabaseConnection) -> Self {
        Self { pool, snapshot: Some(OnceCell::new()) }
    }

    /// What to send statements to. A request must not take another connection of the reading pool while it holds this one.
    pub async fn connection(&self) -> Result<DatabaseExecutor<'_>> {
        match &self.snapshot {
            None => Ok(DatabaseExecutor::from(&self.pool)),
            Some(cell) => Ok(DatabaseExecutor::from(cell.get_or_try_init(|| self.pool.begin()).await?)),
        }
    }
}
