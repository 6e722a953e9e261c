//! A connection to a database of either kind, for what is not measured.

use crate::{Kind, Result};
use sea_orm::sqlx::{
    self, AssertSqlSafe, ConnectOptions, Connection as _, Executor, PgConnection, SqliteConnection,
    postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};
use std::{str::FromStr, time::Duration};
use uuid::Uuid;

pub enum Connection {
    Postgres(Box<PgConnection>),
    Sqlite(Box<SqliteConnection>),
}

pub fn kind(url: &str) -> Kind {
    if url.starts_with("sqlite:") { Kind::Sqlite } else { Kind::Postgres }
}

pub async fn postgres(url: &str) -> Result<PgConnection> {
    Ok(PgConnectOptions::from_str(url)?.disable_statement_logging().connect().await?)
}

/// Opens a connection with the settings of Coffer.
pub async fn sqlite(url: &str) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::from_str(url)?
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .row_buffer_size(1024)
        .pragma("journal_mode", "WAL")
        .pragma("synchronous", "FULL")
        .pragma("recursive_triggers", "ON");
    Ok(options.disable_statement_logging().connect().await?)
}

impl Connection {
    pub async fn open(url: &str) -> Result<Self> {
        Ok(match kind(url) {
            Kind::Postgres => Self::Postgres(Box::new(postgres(url).await?)),
            Kind::Sqlite => Self::Sqlite(Box::new(sqlite(url).await?)),
        })
    }

    pub async fn execute(&mut self, sql: String) -> Result<()> {
        let sql = AssertSqlSafe(sql);
        match self {
            Self::Postgres(connection) => connection.execute(sql).await.map(drop)?,
            Self::Sqlite(connection) => connection.execute(sql).await.map(drop)?,
        }
        Ok(())
    }

    /// Returns the number that a statement selects.
    pub async fn number(&mut self, sql: &'static str) -> Result<i64> {
        Ok(match self {
            Self::Postgres(connection) => sqlx::query_scalar(sql).fetch_one(&mut **connection).await?,
            Self::Sqlite(connection) => sqlx::query_scalar(sql).fetch_one(&mut **connection).await?,
        })
    }

    /// Returns the ids that a statement selects.
    pub async fn ids(&mut self, sql: &'static str) -> Result<Vec<Uuid>> {
        Ok(match self {
            Self::Postgres(connection) => sqlx::query_scalar(sql).fetch_all(&mut **connection).await?,
            Self::Sqlite(connection) => sqlx::query_scalar(sql).fetch_all(&mut **connection).await?,
        })
    }

    /// Returns an id as a literal.
    pub fn literal(&self, id: Uuid) -> String {
        match self {
            Self::Postgres(_) => format!("'{id}'"),
            Self::Sqlite(_) => format!("x'{}'", id.simple()),
        }
    }

    pub async fn close(self) -> Result<()> {
        match self {
            Self::Postgres(connection) => connection.close().await?,
            Self::Sqlite(connection) => connection.close().await?,
        }
        Ok(())
    }
}
