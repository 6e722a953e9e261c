//! Rows read by position: faster than by name, and only the columns that are needed.

use sea_orm::{DbErr, QueryResult, TryGetable};

/// A model that can be read by position. Derived with `macros::Positional`.
pub trait Positional: Sized {
    /// Names of the columns, in the order of the fields.
    const COLUMNS: &'static [&'static str];
    /// Columns without a blank value, which are always read: one bit for each position.
    const ALWAYS: u64;

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

    /// Returns the columns of `M` that are read in any case.
    pub const fn least<M: Positional>() -> Self {
        Self(M::ALWAYS)
    }

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

/// Reads the values of one row in order.
pub struct Reader<'a> {
    row: &'a QueryResult,
    columns: ColumnSet,
    next: usize,
}

impl<'a> Reader<'a> {
    /// Creates a reader for a row whose values from position `first` on are those of `columns`.
    pub const fn new(row: &'a QueryResult, columns: ColumnSet, first: usize) -> Self {
        Self { row, columns, next: first }
    }

    /// Returns the next value.
    ///
    /// # Errors
    /// If it does not have this type.
    pub fn value<T: TryGetable>(&mut self) -> Result<T, DbErr> {
        let position = self.next;
        self.next += 1;
        self.row.try_get_by_index(position)
    }

    /// Returns the next value if it is the one of this column, and otherwise a blank value.
    ///
    /// # Errors
    /// If it does not have this type.
    pub fn value_if<T: TryGetable + Default>(&mut self, position: usize) -> Result<T, DbErr> {
        if self.columns.has(position) { self.value() } else { Ok(T::default()) }
    }
}
