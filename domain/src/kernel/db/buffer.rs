//! Rows that a transaction has still to write, by table.
//!
//! They are written with one statement for all tables on PostgreSQL, and with one text of one statement for each
//! table on SQLite.

use sea_orm::{
    ActiveModelTrait, ActiveValue, DbBackend, EntityTrait, IdenStatic, Iterable, ModelTrait,
    PrimaryKeyToColumn, Statement, Value,
};
use std::{fmt::Write, mem};

/// Maximum number of rows of one statement, and of values of one text.
const MAX_ROWS: usize = 500;
const MAX_VALUES: usize = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Inserts rows. The text follows the rows, for example `ON CONFLICT …`.
    Insert(&'static str),
    /// Changes the rows with the first column's value.
    Update,
    /// Deletes the rows with the only column's value.
    Delete,
}

/// Rows to write in the same way.
#[derive(Debug)]
struct Rows {
    action: Action,
    table: &'static str,
    columns: Vec<&'static str>,
    values: Vec<Vec<Value>>,
}

/// Rows to write, in the order in which their tables were first used.
#[derive(Debug, Default)]
pub(super) struct Buffer(Vec<Rows>);

impl Buffer {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the text of a statement contains the name of a table with rows to write.
    pub(super) fn is_about(&self, text: &str) -> bool {
        self.0.iter().any(|rows| contains_word(text, rows.table))
    }

    pub(super) fn contains_table(&self, table: &str) -> bool {
        self.0.iter().any(|rows| rows.table == table)
    }

    /// Whether this row is to be written.
    pub(super) fn contains(&self, table: &str, id: &Value) -> bool {
        let of_row = |rows: &Rows| rows.values.iter().any(|row| row.first() == Some(id));
        self.0.iter().any(|rows| rows.table == table && of_row(rows))
    }

    /// Adds a row to insert. `conflict` follows the rows in the statement.
    pub(super) fn insert<M: ModelTrait>(&mut self, row: &M, conflict: &'static str) {
        let columns = || <M::Entity as EntityTrait>::Column::iter();
        let values = columns().map(|column| row.get(column)).collect();
        let columns = columns().map(|column| column.as_str()).collect();
        self.add(Action::Insert(conflict), table_of::<M::Entity>(), columns, values);
    }

    /// Adds a change of the row with this id: its columns that are set.
    pub(super) fn update<A: ActiveModelTrait>(&mut self, id: Value, row: &A) {
        let key = key_of::<A::Entity>();
        let (mut columns, mut values) = (vec![key], vec![id]);
        for column in <A::Entity as EntityTrait>::Column::iter().filter(|column| column.as_str() != key) {
            if let ActiveValue::Set(value) = row.get(column) {
                columns.push(column.as_str());
                values.push(value);
            }
        }
        if values.len() > 1 {
            self.add(Action::Update, table_of::<A::Entity>(), columns, values);
        }
    }

    /// Adds the deletion of the row with this id.
    pub(super) fn delete<E: EntityTrait>(&mut self, id: Value) {
        self.add(Action::Delete, table_of::<E>(), vec![key_of::<E>()], vec![id]);
    }

    fn add(&mut self, action: Action, table: &'static str, columns: Vec<&'static str>, row: Vec<Value>) {
        let same = |rows: &&mut Rows| rows.action == action && rows.table == table && rows.columns == columns;
        match self.0.iter_mut().find(same) {
            Some(rows) => rows.values.push(row),
            None => self.0.push(Rows { action, table, columns, values: vec![row] }),
        }
    }

    /// Takes all rows and returns the statements that write them.
    pub(super) fn statements(&mut self, backend: DbBackend) -> Vec<Statement> {
        let mut statements = Vec::new();
        let (mut parts, mut values) = (Vec::new(), Vec::new());
        for rows in mem::take(&mut self.0) {
            for chunk in rows.values.chunks(MAX_ROWS) {
                let is_full = values.len() + chunk.len() * rows.columns.len() > MAX_VALUES;
                // PostgreSQL cannot see in one part of a statement what another part writes.
                let is_second = chunk.len() < rows.values.len() && !parts.is_empty();
                if is_full || is_second {
                    statements.extend(joined(backend, mem::take(&mut parts), mem::take(&mut values)));
                }
                parts.push(rows.text(backend, chunk.len(), values.len()));
                values.extend(chunk.iter().flatten().cloned());
            }
        }
        statements.extend(joined(backend, parts, values));
        statements
    }
}

pub(super) fn table_of<E: EntityTrait>() -> &'static str {
    E::default().table_name()
}

pub(super) fn key_of<E: EntityTrait>() -> &'static str {
    E::PrimaryKey::iter().next().map_or("id", |key| key.into_column().as_str())
}

/// Joins the parts of a statement.
fn joined(backend: DbBackend, mut parts: Vec<String>, values: Vec<Value>) -> Option<Statement> {
    let last = parts.pop()?;
    let text = if parts.is_empty() {
        last
    } else if backend == DbBackend::Postgres {
        let parts = parts.iter().enumerate().map(|(number, part)| format!("part_{number} AS ({part})"));
        format!("WITH {} {last}", parts.collect::<Vec<_>>().join(", "))
    } else {
        parts.push(last);
        parts.join("; ")
    };
    Some(Statement::from_sql_and_values(backend, text, values))
}

impl Rows {
    /// Returns the statement for a number of rows, whose first value has the place `from`.
    fn text(&self, backend: DbBackend, count: usize, from: usize) -> String {
        let table = self.table;
        let names = self.columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ");
        let rows = placeholders(backend, count, self.columns.len(), from);
        match self.action {
            Action::Insert(conflict) => format!("INSERT INTO \"{table}\" ({names}) VALUES {rows}{conflict}"),
            Action::Delete => format!("DELETE FROM \"{table}\" WHERE {names} IN ({rows})"),
            Action::Update => {
                let set =
                    self.columns.iter().skip(1).map(|column| format!("\"{column}\" = changed.\"{column}\""));
                let set = set.collect::<Vec<_>>().join(", ");
                let key = self.columns.first().copied().unwrap_or_default();
                let same = format!("\"{table}\".\"{key}\" = changed.\"{key}\"");
                if backend == DbBackend::Postgres {
                    format!(
                        "UPDATE \"{table}\" SET {set} FROM (VALUES {rows}) AS changed ({names}) WHERE {same}"
                    )
                } else {
                    format!(
                        "WITH changed ({names}) AS (VALUES {rows}) UPDATE \"{table}\" SET {set} FROM changed \
                         WHERE {same}"
                    )
                }
            }
        }
    }
}

/// Returns `(?, ?), (?, ?)`, numbered on PostgreSQL.
fn placeholders(backend: DbBackend, rows: usize, columns: usize, from: usize) -> String {
    let mut text = String::new();
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            let comma = if column == 0 { "" } else { ", " };
            // Writing to a text cannot fail.
            _ = match backend {
                DbBackend::Postgres => write!(text, "{comma}${}", from + row * columns + column + 1),
                _ => write!(text, "{comma}?"),
            };
        }
        text.push(')');
    }
    text
}

fn contains_word(text: &str, word: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = text.as_bytes();
    text.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        !is_part(before) && !is_part(bytes.get(at + word.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use entity::{meta, partner};
    use sea_orm::{IntoActiveModel, Set};
    use uuid::Uuid;

    fn row(name: &str) -> meta::Model {
        meta::Model { name: name.to_owned(), value: "1".to_owned() }
    }

    fn texts(backend: DbBackend, fill: impl Fn(&mut Buffer)) -> Vec<String> {
        let mut buffer = Buffer::default();
        fill(&mut buffer);
        buffer.statements(backend).into_iter().map(|statement| statement.sql).collect()
    }

    #[test]
    fn all_tables_are_written_at_once() {
        let fill = |buffer: &mut Buffer| {
            buffer.insert(&row("a"), "");
            buffer.insert(&row("b"), "");
            let mut changed = row("c").into_active_model();
            changed.value = Set("2".to_owned());
            buffer.update("c".into(), &changed);
            buffer.delete::<partner::Entity>(Uuid::nil().into());
        };
        assert_eq!(
            texts(DbBackend::Postgres, fill),
            ["WITH part_0 AS (INSERT INTO \"meta\" (\"name\", \"value\") VALUES ($1, $2), ($3, $4)), \
                 part_1 AS (UPDATE \"meta\" SET \"value\" = changed.\"value\" FROM (VALUES ($5, $6)) AS \
                 changed (\"name\", \"value\") WHERE \"meta\".\"name\" = changed.\"name\") \
                 DELETE FROM \"partner\" WHERE \"id\" IN (($7))"]
        );
        assert_eq!(
            texts(DbBackend::Sqlite, fill),
            ["INSERT INTO \"meta\" (\"name\", \"value\") VALUES (?, ?), (?, ?); \
              WITH changed (\"name\", \"value\") AS (VALUES (?, ?)) UPDATE \"meta\" SET \"value\" = \
              changed.\"value\" FROM changed WHERE \"meta\".\"name\" = changed.\"name\"; \
              DELETE FROM \"partner\" WHERE \"id\" IN ((?))"]
        );
    }

    #[test]
    fn many_rows_are_several_statements() {
        for backend in [DbBackend::Sqlite, DbBackend::Postgres] {
            let written = texts(backend, |buffer| {
                (0..1_201).for_each(|number| buffer.insert(&row(&number.to_string()), ""));
            });
            let rows = written.iter().map(|text| text.matches('(').count() - 1);
            assert_eq!(rows.collect::<Vec<_>>(), [500, 500, 201]);
        }
    }

    #[test]
    fn a_text_is_about_a_table_only_if_it_contains_its_whole_name() {
        let mut buffer = Buffer::default();
        buffer.insert(&row("a"), "");
        for text in ["SELECT * FROM \"meta\"", "select value from meta", "SELECT meta.name FROM x"] {
            assert!(buffer.is_about(text), "{text}");
        }
        for text in ["SELECT * FROM \"metadata\"", "SELECT meta_name FROM x", "SELECT a_meta FROM x"] {
            assert!(!buffer.is_about(text), "{text}");
        }
    }
}
