//! Connections, and what differs between the databases: how a column is read and how an order is written.

use super::{Limit, answers, statements};
use crate::{Kind, Result, data::SHARE, database};
use chrono::{DateTime, Utc};
use sea_orm::sqlx::{
    self, Connection as _, PgConnection, Row, SqliteConnection, postgres::PgRow, sqlite::SqliteRow,
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use uuid::Uuid;

/// Connections, as many as clients.
const CONNECTIONS: usize = 16;

pub enum Database {
    Postgres(Pool<PgConnection>),
    Sqlite { readers: Pool<SqliteConnection>, writer: AsyncMutex<SqliteConnection> },
}

/// Connections that are free.
pub struct Pool<C> {
    free: Mutex<Vec<C>>,
    permits: Semaphore,
}

impl<C> Pool<C> {
    fn new(free: Vec<C>) -> Self {
        Self { permits: Semaphore::new(free.len()), free: Mutex::new(free) }
    }

    async fn with<T>(&self, work: impl AsyncFnOnce(&mut C) -> Result<T>) -> Result<T> {
        let _permit = self.permits.acquire().await?;
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connection = free().pop().ok_or("no connection is free")?;
        let outcome = work(&mut connection).await;
        free().push(connection);
        outcome
    }
}

/// Columns of a row by position.
pub trait Columns {
    fn id(&self, index: usize) -> Result<Uuid>;
    fn maybe_id(&self, index: usize) -> Result<Option<Uuid>>;
    fn text(&self, index: usize) -> Result<&str>;
    fn number(&self, index: usize) -> Result<i64>;
    fn write_time(&self, index: usize, json: &mut Vec<u8>) -> Result<()>;
}

macro_rules! columns {
    ($row:ty, $time:item) => {
        impl Columns for $row {
            fn id(&self, index: usize) -> Result<Uuid> {
                Ok(self.try_get_unchecked(index)?)
            }

            fn maybe_id(&self, index: usize) -> Result<Option<Uuid>> {
                Ok(self.try_get_unchecked(index)?)
            }

            fn text(&self, index: usize) -> Result<&str> {
                Ok(self.try_get_unchecked(index)?)
            }

            fn number(&self, index: usize) -> Result<i64> {
                Ok(self.try_get_unchecked(index)?)
            }

            $time
        }
    };
}

columns!(
    PgRow,
    fn write_time(&self, index: usize, json: &mut Vec<u8>) -> Result<()> {
        answers::time(json, self.number(index)?);
        Ok(())
    }
);

columns!(
    SqliteRow,
    fn write_time(&self, index: usize, json: &mut Vec<u8>) -> Result<()> {
        let text = self.text(index)?;
        json.push(b'"');
        json.extend_from_slice(text.strip_suffix("+00:00").ok_or("a time is not in UTC")?.as_bytes());
        json.extend_from_slice(b"Z\"");
        Ok(())
    }
);

/// Fetches all rows of a statement and writes them.
macro_rules! fetch {
    ($database:expr, $text:expr, [$($value:expr),*], $write:expr) => {
        match $database {
            Database::Postgres(pool) => {
                pool.with(async |connection| {
                    let rows = sqlx::query($text(Kind::Postgres))$(.bind($value))*.fetch_all(connection).await?;
                    $write(&rows)
                })
                .await
            }
            Database::Sqlite { readers, .. } => {
                readers
                    .with(async |connection| {
                        let rows = sqlx::query($text(Kind::Sqlite))$(.bind($value))*.fetch_all(connection).await?;
                        $write(&rows)
                    })
                    .await
            }
        }
    };
}

impl Database {
    pub async fn open(url: &str) -> Result<Self> {
        if database::kind(url) == Kind::Postgres {
            let mut free = Vec::new();
            for _ in 0..CONNECTIONS {
                free.push(database::postgres(url).await?);
            }
            return Ok(Self::Postgres(Pool::new(free)));
        }
        let mut free = Vec::new();
        for _ in 0..CONNECTIONS {
            free.push(database::sqlite(url).await?);
        }
        Ok(Self::Sqlite { readers: Pool::new(free), writer: AsyncMutex::new(database::sqlite(url).await?) })
    }

    /// Returns the symbols of all instruments.
    pub async fn symbols(&self) -> Result<HashMap<Uuid, String>> {
        let text = |_| "SELECT id, symbol FROM instrument";
        fetch!(self, text, [], read_symbols)
    }
}

fn read_symbols(rows: &[impl Columns]) -> Result<HashMap<Uuid, String>> {
    rows.iter().map(|row| Ok((row.id(0)?, row.text(1)?.to_owned()))).collect()
}

impl Limit {
    pub async fn user(&self, id: Uuid) -> Result<Vec<u8>> {
        fetch!(&self.database, |_| statements::USER, [id], answers::user)
    }

    pub async fn users(&self) -> Result<Vec<u8>> {
        let text = |kind| match kind {
            Kind::Postgres => statements::USERS_POSTGRES,
            Kind::Sqlite => statements::USERS_SQLITE,
        };
        fetch!(&self.database, text, [], |rows| answers::users(&self.symbols, rows))
    }

    pub async fn orders(&self, account: Uuid, after: Option<Uuid>) -> Result<Vec<u8>> {
        match after {
            Some(after) => {
                fetch!(&self.database, |_| statements::PAGE, [account, after], |rows| answers::orders(
                    &self.symbols,
                    rows
                ))
            }
            None => {
                fetch!(&self.database, |_| statements::ORDERS, [account], |rows| answers::orders(
                    &self.symbols,
                    rows
                ))
            }
        }
    }

    /// Places an order and holds its cash, at a price of 100 dollars.
    pub async fn order(&self, account: Uuid, shares: u32) -> Result<Vec<u8>> {
        let order = Placed {
            id: new_id(),
            account,
            instrument: self.bought,
            amount: i64::from(shares) * 10_000,
            quantity: i64::from(shares) * i64::try_from(SHARE)?,
            hold: new_id(),
            at: SystemTime::now().into(),
        };
        match &self.database {
            Database::Postgres(pool) => {
                pool.with(async |connection| order.postgres(connection).await).await?;
            }
            Database::Sqlite { writer, .. } => order.sqlite(&mut *writer.lock().await).await?,
        }
        Ok(answers::placed(order.id, account, shares))
    }
}

#[expect(clippy::disallowed_methods, reason = "the ids of this server carry no type")]
fn new_id() -> Uuid {
    Uuid::now_v7()
}

struct Placed {
    id: Uuid,
    account: Uuid,
    instrument: Uuid,
    amount: i64,
    quantity: i64,
    hold: Uuid,
    at: DateTime<Utc>,
}

impl Placed {
    async fn postgres(&self, connection: &mut PgConnection) -> Result<()> {
        let query = sqlx::query(statements::PLACE_POSTGRES).bind(self.account).bind(self.id);
        let query = query.bind(self.instrument).bind(self.amount).bind(self.quantity);
        let done = query.bind(self.hold).bind(self.at).execute(connection).await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err("there is not enough cash".into()) }
    }

    async fn sqlite(&self, connection: &mut SqliteConnection) -> Result<()> {
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        let query = sqlx::query(statements::HOLD_SQLITE).bind(self.account).bind(self.amount);
        let held = query.fetch_one(&mut *tx).await?;
        let (cash, partner): (Uuid, Uuid) = (held.id(0)?, held.id(1)?);
        let query = sqlx::query(statements::INSERT_ORDER_SQLITE).bind(self.id).bind(partner);
        let query = query.bind(self.account).bind(self.instrument).bind(self.quantity).bind(self.at);
        query.execute(&mut *tx).await?;
        let query = sqlx::query(statements::INSERT_HOLD_SQLITE).bind(self.hold).bind(partner).bind(cash);
        query.bind(self.amount).bind(self.id).bind(self.at).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
