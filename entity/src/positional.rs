//! Rows read by position: faster than by name, and only the columns that are needed.

use sea_orm::{
    ActiveEnum, DbErr, QueryResult, RuntimeErr,
    sqlx::{Decode, Error, Postgres, Row as _, Sqlite, postgres::PgRow, sqlite::SqliteRow},
};
use std::sync::Arc;

/// A model that can be read by position. Derived with `macros::Positional`.
pub trait Positional: Sized {
    /// Names of the columns, in the order of the fields.
    const COLUMNS: &'static [&'static str];

    /// Reads the selected columns, in order; the other fields are blank.
    ///
    /// # Errors
    /// If a value does not have the type of its field.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DbErr>;
}

/// Columns of a model, one bit for each position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnSet(u64);

impl ColumnSet {
    /// Returns all columns.
    pub const ALL: Self = Self(u64::MAX);

    /// No columns.
    pub const NONE: Self = Self(0);

    /// Returns this set with a column of `M`, or with all of them if `M` has no such column.
    pub fn with<M: Positional>(self, name: &str) -> Self {
        match M::COLUMNS.iter().position(|column| *column == name) {
            Some(position) => Self(self.0 | 1 << position),
            None => Self::ALL,
        }
    }

    fn has(self, position: usize) -> bool {
        self.0 >> position & 1 == 1
    }

    /// Returns the names of the columns of `M` in this set, in order.
    pub fn names<M: Positional>(self) -> impl Iterator<Item = &'static str> {
        M::COLUMNS.iter().enumerate().filter(move |(position, _)| self.has(*position)).map(|(_, name)| *name)
    }
}

/// Reads the values of one row in order. The types of the columns are not compared with those of the fields,
/// which would take as long as reading them: a field must have the type of its column.
pub struct Reader<'a> {
    row: Option<Row<'a>>,
    columns: ColumnSet,
    next: usize,
}

enum Row<'a> {
    Postgres(&'a PgRow),
    Sqlite(&'a SqliteRow),
}

impl<'a> Reader<'a> {
    /// Creates a reader for a row whose values from position `first` on are those of `columns`.
    pub fn new(row: &'a QueryResult, columns: ColumnSet, first: usize) -> Self {
        let postgres = row.try_as_pg_row().map(Row::Postgres);
        Self { row: postgres.or_else(|| row.try_as_sqlite_row().map(Row::Sqlite)), columns, next: first }
    }

    /// Returns the next value.
    ///
    /// # Errors
    /// If it cannot be read as this type.
    pub fn value<T>(&mut self) -> Result<T, DbErr>
    where
        T: for<'r> Decode<'r, Postgres> + for<'r> Decode<'r, Sqlite>,
    {
        let position = self.next;
        self.next += 1;
        let value = match &self.row {
            Some(Row::Postgres(row)) => row.try_get_unchecked(position),
            Some(Row::Sqlite(row)) => row.try_get_unchecked(position),
            None => Err(Error::RowNotFound),
        };
        value.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))
    }

    /// Returns the next value if it is the one of this column, and otherwise a blank value.
    ///
    /// # Errors
    /// If it cannot be read as this type.
    pub fn value_if<T>(&mut self, position: usize) -> Result<T, DbErr>
    where
        T: for<'r> Decode<'r, Postgres> + for<'r> Decode<'r, Sqlite> + Default,
    {
        if self.columns.has(position) { self.value() } else { Ok(T::default()) }
    }

    /// Returns the next value, a word or none, if it is the one of this column.
    ///
    /// # Errors
    /// If no variant has this word.
    pub fn word_if<E: ActiveEnum<Value = String>>(&mut self, position: usize) -> Result<Option<E>, DbErr> {
        let word: Option<String> = self.value_if(position)?;
        word.map(|word| E::try_from_value(&word)).transpose()
    }

    /// Returns the next value, a word, if it is the one of this column, and otherwise the first variant.
    ///
    /// # Errors
    /// If no variant has this word.
    pub fn word_or_first<E: ActiveEnum<Value = String>>(&mut self, position: usize) -> Result<E, DbErr> {
        let first = || E::iter().next().ok_or_else(|| DbErr::Type("an enum has no variants".to_owned()));
        self.word_if(position)?.map_or_else(first, Ok)
    }
}
