//! Reads and writes whole tables regardless of their meaning, for backups, restores and moves between
//! databases.
//!
//! A value is an integer, a text or bytes, as SQLite stores it; PostgreSQL types are converted to and from
//! that without loss.

use super::db::{Db, ReadTransaction, WriteTransaction};
use crate::{Error, Result};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, QueryResult, Statement, TryGetable, Value};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// Table in which the migrations record their state; they create it themselves, so it is not copied.
const MIGRATIONS: &str = "seaql_migrations";

/// Rows read or written at once.
const BATCH: usize = 500;

/// Values in one statement; SQLite takes at most 32,766.
const MAX_VALUES: usize = 30_000;

/// Type of a column's values, the same in both databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Integer,
    Text,
    Bytes,
}

/// Storage type of a column in the connected database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    Int,
    Long,
    Flag,
    Text,
    Instant,
    Day,
    Bytes,
    Uuid,
}

impl Stored {
    fn parse(backend: DbBackend, name: &str) -> Option<Self> {
        let stored = match (backend, name.to_ascii_lowercase().as_str()) {
            (DbBackend::Postgres, "integer") => Self::Int,
            (DbBackend::Postgres, "bigint") | (DbBackend::Sqlite, "integer" | "int") => Self::Long,
            (DbBackend::Postgres, "boolean") => Self::Flag,
            (_, "text") => Self::Text,
            (DbBackend::Postgres, "timestamp with time zone") => Self::Instant,
            (DbBackend::Postgres, "date") => Self::Day,
            (DbBackend::Postgres, "bytea") | (DbBackend::Sqlite, "blob") => Self::Bytes,
            (DbBackend::Postgres, "uuid") => Self::Uuid,
            _ => return None,
        };
        Some(stored)
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Int | Self::Long | Self::Flag => Kind::Integer,
            Self::Text | Self::Instant | Self::Day => Kind::Text,
            Self::Bytes | Self::Uuid => Kind::Bytes,
        }
    }

    fn read(self, row: &QueryResult, index: usize) -> Result<Cell> {
        fn get<T: TryGetable>(row: &QueryResult, index: usize) -> Result<Option<T>> {
            Ok(row.try_get_by_index(index)?)
        }
        let cell = match self {
            Self::Int => get::<i32>(row, index)?.map(|value| Cell::Integer(value.into())),
            Self::Long => get(row, index)?.map(Cell::Integer),
            Self::Flag => get(row, index)?.map(|value: bool| Cell::Integer(value.into())),
            Self::Text => get(row, index)?.map(Cell::Text),
            // The form in which the driver writes it to SQLite, where instants are compared as text.
            Self::Instant => get::<DateTime<Utc>>(row, index)?
                .map(|value| Cell::Text(value.to_rfc3339_opts(SecondsFormat::AutoSi, false))),
            Self::Day => get::<NaiveDate>(row, index)?.map(|value| Cell::Text(value.to_string())),
            Self::Bytes => get(row, index)?.map(Cell::Bytes),
            Self::Uuid => get::<Uuid>(row, index)?.map(|value| Cell::Bytes(value.as_bytes().to_vec())),
        };
        Ok(cell.unwrap_or(Cell::Null))
    }

    /// Returns the value to write; `None` if the cell has another type.
    fn write(self, cell: Cell) -> Option<Value> {
        Some(match (self, cell) {
            (Self::Int, Cell::Null) => None::<i32>.into(),
            (Self::Int, Cell::Integer(value)) => i32::try_from(value).ok()?.into(),
            (Self::Long, Cell::Null) => None::<i64>.into(),
            (Self::Long, Cell::Integer(value)) => value.into(),
            (Self::Flag, Cell::Null) => None::<bool>.into(),
            (Self::Flag, Cell::Integer(value @ 0..=1)) => (value == 1).into(),
            (Self::Text, Cell::Null) => None::<String>.into(),
            (Self::Text, Cell::Text(value)) => value.into(),
            (Self::Instant, Cell::Null) => None::<DateTime<Utc>>.into(),
            (Self::Instant, Cell::Text(value)) => DateTime::parse_from_rfc3339(&value).ok()?.to_utc().into(),
            (Self::Day, Cell::Null) => None::<NaiveDate>.into(),
            (Self::Day, Cell::Text(value)) => value.parse::<NaiveDate>().ok()?.into(),
            (Self::Bytes, Cell::Null) => None::<Vec<u8>>.into(),
            (Self::Bytes, Cell::Bytes(value)) => value.into(),
            (Self::Uuid, Cell::Null) => None::<Uuid>.into(),
            (Self::Uuid, Cell::Bytes(value)) => Uuid::from_slice(&value).ok()?.into(),
            _ => return None,
        })
    }
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The values of a row, in the order of its table's columns.
pub type Row = Vec<Cell>;

/// A column, described independently of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

/// A table of the connected database.
#[derive(Clone, Debug)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    stored: Vec<Stored>,
    /// Positions of the primary key's columns.
    key: Vec<usize>,
    refers_to: Vec<String>,
}

#[derive(FromQueryResult)]
struct FoundColumn {
    table_name: String,
    name: String,
    type_name: String,
    /// Position in the primary key, from 1; 0 if not part of it.
    key: i64,
}

#[derive(FromQueryResult)]
struct FoundReference {
    table_name: String,
    refers_to: String,
}

const COLUMNS_SQLITE: &str = "SELECT s.name AS table_name, c.name AS name, c.type AS type_name, c.pk AS key \
    FROM sqlite_schema s, pragma_table_info(s.name) c WHERE s.type = 'table' AND s.name NOT LIKE \
    'sqlite\\_%' ESCAPE '\\' \
    ORDER BY s.name, c.cid";

const REFERENCES_SQLITE: &str = "SELECT DISTINCT s.name AS table_name, f.\"table\" AS refers_to \
    FROM sqlite_schema s, pragma_foreign_key_list(s.name) f WHERE s.type = 'table'";

const COLUMNS_POSTGRES: &str = "SELECT t.relname::text AS table_name, a.attname::text AS name, \
    format_type(a.atttypid, NULL) AS type_name, \
    coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0)::bigint AS key \
    FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN pg_index i ON i.indrelid = t.oid AND i.indisprimary \
    WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace ORDER BY t.relname, a.attnum";

const REFERENCES_POSTGRES: &str = "SELECT DISTINCT t.relname::text AS table_name, r.relname::text AS refers_to \
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class r ON r.oid = c.confrelid \
    WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace";

/// Returns every table except the migrations' own, each after the tables that it refers to, as far as
/// references are not circular.
pub async fn all(connection: &impl ConnectionTrait) -> Result<Vec<Table>> {
    let backend = connection.get_database_backend();
    let (columns, references) = match backend {
        DbBackend::Postgres => (COLUMNS_POSTGRES, REFERENCES_POSTGRES),
        _ => (COLUMNS_SQLITE, REFERENCES_SQLITE),
    };
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let mut keys: BTreeMap<String, BTreeMap<i64, usize>> = BTreeMap::new();
    for found in
        FoundColumn::find_by_statement(Statement::from_string(backend, columns)).all(connection).await?
    {
        let FoundColumn { table_name, name, type_name, key } = found;
        if table_name == MIGRATIONS {
            continue;
        }
        let stored = Stored::parse(backend, &type_name).ok_or_else(|| {
            Error::broken(format!(
                "column {table_name}.{name} is of type {type_name}, which cannot be copied"
            ))
        })?;
        let table = tables.entry(table_name.clone()).or_insert_with(|| Table {
            name: table_name.clone(),
            columns: Vec::new(),
            stored: Vec::new(),
            key: Vec::new(),
            refers_to: Vec::new(),
        });
        if key > 0 {
            keys.entry(table_name).or_default().insert(key, table.columns.len());
        }
        table.columns.push(Column { name, kind: stored.kind() });
        table.stored.push(stored);
    }
    for reference in
        FoundReference::find_by_statement(Statement::from_string(backend, references)).all(connection).await?
    {
        if let Some(table) =
            tables.get_mut(&reference.table_name).filter(|table| table.name != reference.refers_to)
        {
            table.refers_to.push(reference.refers_to);
        }
    }
    for table in tables.values_mut() {
        table.key = keys.remove(&table.name).unwrap_or_default().into_values().collect();
        if table.key.is_empty() {
            return Err(Error::broken(format!(
                "table {} has no primary key and cannot be copied",
                table.name
            )));
        }
    }
    Ok(in_order(tables))
}

fn in_order(mut left: BTreeMap<String, Table>) -> Vec<Table> {
    let mut ordered = Vec::with_capacity(left.len());
    loop {
        let ready = left.values().find(|table| table.refers_to.iter().all(|other| !left.contains_key(other)));
        let Some(name) = ready.or_else(|| left.values().next()).map(|table| table.name.clone()) else {
            return ordered;
        };
        ordered.extend(left.remove(&name));
    }
}

/// Returns the names of the applied migrations, oldest first; none for a new database.
pub async fn migrations(connection: &impl ConnectionTrait) -> Result<Vec<String>> {
    let backend = connection.get_database_backend();
    let exists = match backend {
        DbBackend::Postgres => format!("SELECT 1 FROM pg_class WHERE oid = to_regclass('{MIGRATIONS}')"),
        _ => format!("SELECT 1 FROM sqlite_schema WHERE name = '{MIGRATIONS}'"),
    };
    if connection.query_one_raw(Statement::from_string(backend, exists)).await?.is_none() {
        return Ok(Vec::new());
    }
    let select = format!("SELECT version FROM {MIGRATIONS} ORDER BY version");
    let rows = connection.query_all_raw(Statement::from_string(backend, select)).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// Returns the number of rows of a table.
pub async fn count(connection: &impl ConnectionTrait, table: &Table) -> Result<u64> {
    let select = format!("SELECT count(*) FROM {}", quoted(&table.name));
    let row =
        connection.query_one_raw(Statement::from_string(connection.get_database_backend(), select)).await?;
    let count: i64 = row.ok_or_else(|| Error::broken("a count returned no row"))?.try_get_by_index(0)?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// Returns the name of a table that has rows, if there is one.
pub async fn first_with_rows(connection: &impl ConnectionTrait) -> Result<Option<String>> {
    for table in all(connection).await? {
        let select = format!("SELECT 1 FROM {} LIMIT 1", quoted(&table.name));
        if connection
            .query_one_raw(Statement::from_string(connection.get_database_backend(), select))
            .await?
            .is_some()
        {
            return Ok(Some(table.name));
        }
    }
    Ok(None)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    names.map(|name| quoted(name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// Begins a read transaction on a snapshot of the whole database, without time limits.
pub async fn snapshot(db: &Db) -> Result<ReadTransaction> {
    let tx = db.snapshot().await?.without_time_limit();
    without_time_limits(&tx).await?;
    Ok(tx)
}

async fn without_time_limits(tx: &impl ConnectionTrait) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0",
        )
        .await?;
    }
    Ok(())
}

/// Reads a table's rows in batches, in the order of the primary key.
pub struct Batches<'a, C> {
    connection: &'a C,
    table: &'a Table,
    after: Option<Row>,
    ended: bool,
}

impl<'a, C: ConnectionTrait> Batches<'a, C> {
    pub const fn new(connection: &'a C, table: &'a Table) -> Self {
        Self { connection, table, after: None, ended: false }
    }

    /// Returns the next rows; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        if self.ended {
            return Ok(None);
        }
        let table = self.table;
        let key_columns =
            table.key.iter().filter_map(|place| table.columns.get(*place)).map(|column| &column.name);
        let key = list(key_columns);
        let (values, condition) = match self.after.take() {
            None => (Vec::new(), String::new()),
            Some(after) => {
                let places: Vec<String> = (1..=after.len()).map(|number| format!("${number}")).collect();
                let stored = table.key.iter().filter_map(|place| table.stored.get(*place));
                let values: Option<Vec<Value>> =
                    stored.zip(after).map(|(stored, cell)| stored.write(cell)).collect();
                (values.unwrap_or_default(), format!(" WHERE ({key}) > ({})", places.join(", ")))
            }
        };
        let columns = list(table.columns.iter().map(|column| &column.name));
        let select =
            format!("SELECT {columns} FROM {}{condition} ORDER BY {key} LIMIT {BATCH}", quoted(&table.name));
        let statement =
            Statement::from_sql_and_values(self.connection.get_database_backend(), select, values);
        let mut rows = Vec::new();
        for found in self.connection.query_all_raw(statement).await? {
            let cells = table.stored.iter().enumerate().map(|(index, stored)| stored.read(&found, index));
            rows.push(cells.collect::<Result<Row>>()?);
        }
        self.ended = rows.len() < BATCH;
        self.after =
            rows.last().map(|row| table.key.iter().filter_map(|place| row.get(*place).cloned()).collect());
        Ok((!rows.is_empty()).then_some(rows))
    }
}

/// Fills an empty, migrated database in one transaction.
///
/// Tables may be filled in any order: PostgreSQL's foreign keys are dropped and recreated at the end, which
/// checks all rows at once; SQLite checks its own at the commit.
pub struct Load {
    tx: WriteTransaction,
    tables: Vec<Table>,
    /// Statements that recreate the foreign keys.
    references: Vec<String>,
}

/// A table to fill, with the column order of the rows.
pub struct Target {
    insert: String,
    stored: Vec<Stored>,
    name: String,
}

#[derive(FromQueryResult)]
struct FoundConstraint {
    table_name: String,
    name: String,
    definition: String,
}

const CONSTRAINTS: &str = "SELECT t.relname::text AS table_name, c.conname::text AS name, \
    pg_get_constraintdef(c.oid) AS definition \
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid \
    WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace ORDER BY 1, 2";

impl Load {
    /// Begins to load; fails if the database's tables differ from `names`.
    pub async fn begin(db: &Db, names: &[&str]) -> Result<Self> {
        let tx = db.write().await?.without_time_limit();
        without_time_limits(&tx).await?;
        let tables = all(&tx).await?;
        let here: HashSet<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        let there: HashSet<&str> = names.iter().copied().collect();
        if let Some(name) = here.symmetric_difference(&there).min() {
            return Err(Error::broken(format!("table {name} exists in only one of the two databases")));
        }
        let mut references = Vec::new();
        if tx.get_database_backend() == DbBackend::Postgres {
            let constraints =
                FoundConstraint::find_by_statement(Statement::from_string(DbBackend::Postgres, CONSTRAINTS));
            for FoundConstraint { table_name, name, definition } in constraints.all(&tx).await? {
                let (table, name) = (quoted(&table_name), quoted(&name));
                tx.execute_unprepared(&format!("ALTER TABLE {table} DROP CONSTRAINT {name}")).await?;
                references.push(format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"));
            }
        } else {
            tx.execute_unprepared("PRAGMA defer_foreign_keys = ON").await?;
        }
        Ok(Self { tx, tables, references })
    }

    /// Returns the table for rows with these columns; fails if its columns differ.
    pub fn target(&self, name: &str, columns: &[Column]) -> Result<Target> {
        let other = || Error::broken(format!("the columns of table {name} differ between the two databases"));
        let table = self.tables.iter().find(|table| table.name == name).ok_or_else(other)?;
        let place = |column: &Column| table.columns.iter().position(|ours| ours == column);
        let places: Vec<usize> = columns.iter().map(place).collect::<Option<_>>().ok_or_else(other)?;
        if places.len() != table.columns.len() {
            return Err(other());
        }
        let stored = places.iter().filter_map(|place| table.stored.get(*place).copied()).collect();
        let insert = format!(
            "INSERT INTO {} ({}) VALUES ",
            quoted(name),
            list(columns.iter().map(|column| &column.name))
        );
        Ok(Target { insert, stored, name: name.to_owned() })
    }

    /// Inserts rows.
    pub async fn insert(&self, target: &Target, rows: Vec<Row>) -> Result<()> {
        let width = target.stored.len();
        let max_rows = (MAX_VALUES / width.max(1)).clamp(1, BATCH);
        let mut rows = rows.into_iter();
        loop {
            let batch: Vec<Row> = rows.by_ref().take(max_rows).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let row = |number: usize| {
                let places: Vec<String> =
                    (1..=width).map(|place| format!("${}", number * width + place)).collect();
                format!("({})", places.join(", "))
            };
            let places: Vec<String> = (0..batch.len()).map(row).collect();
            let mut values = Vec::with_capacity(batch.len() * width);
            for row in batch {
                let mismatch =
                    || Error::broken(format!("a row of table {} does not match its columns", target.name));
                if row.len() != width {
                    return Err(mismatch());
                }
                for (stored, cell) in target.stored.iter().zip(row) {
                    values.push(stored.write(cell).ok_or_else(mismatch)?);
                }
            }
            let insert = format!("{}{}", target.insert, places.join(", "));
            self.tx
                .execute_raw(Statement::from_sql_and_values(self.tx.get_database_backend(), insert, values))
                .await?;
        }
    }

    /// Checks all foreign keys and commits.
    pub async fn finish(self) -> Result<()> {
        for statement in &self.references {
            self.tx.execute_unprepared(statement).await?;
        }
        self.tx.commit().await
    }
}
