//! Pages of lists, by key and without offsets or counts; newest first by default.

use super::{
    lists::{Filter, SortedPage},
    visible::{Listed, Visible},
};
use crate::Result;
use sea_orm::{ConnectionTrait, DbBackend, IdenStatic, Select, Statement, Value};
use uuid::Uuid;

/// Order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    pub size: u64,
    /// Only rows after this one.
    pub after: Option<Uuid>,
    /// Only rows before this one.
    pub before: Option<Uuid>,
    /// The last rows of that range instead of the first.
    pub from_end: bool,
    pub order: Order,
}

impl Page {
    /// Returns the page with the first `size` rows.
    pub const fn first(size: u64) -> Self {
        Self { size, after: None, before: None, from_end: false, order: Order::NewestFirst }
    }

    /// Whether rows are read in descending order of their ids.
    const fn descends(&self) -> bool {
        matches!(self.order, Order::NewestFirst) != self.from_end
    }

    /// Returns the exclusive lower and upper bounds of the ids.
    const fn bounds(&self) -> (Option<Uuid>, Option<Uuid>) {
        match self.order {
            Order::NewestFirst => (self.before, self.after),
            Order::OldestFirst => (self.after, self.before),
        }
    }

    /// Sorts rows into the order in which a page reads them.
    pub fn sort<T>(&self, rows: &mut [T], id: impl Fn(&T) -> Uuid) {
        rows.sort_unstable_by_key(&id);
        if self.descends() {
            rows.reverse();
        }
    }

    /// Trims rows, of which one more than `size` was read, to the page, in the order of the list.
    pub fn cut<T>(&self, mut rows: Vec<T>) -> Slice<T> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        if self.from_end {
            rows.reverse();
        }
        let (has_previous, has_next) =
            if self.from_end { (more, self.before.is_some()) } else { (self.after.is_some(), more) };
        Slice { rows, has_previous, has_next }
    }

    /// Reads this page of `select`, sorted by id.
    pub async fn of<E>(&self, connection: &impl ConnectionTrait, select: Select<E>) -> Result<Slice<E::Model>>
    where
        E: Visible + Default,
    {
        SortedPage::from(*self).of(connection, select, &[]).await
    }

    /// Reads this page of the children of every parent in one statement, unsorted and with one row more than
    /// `size` per parent. `columns` are the columns that refer to a parent; with several, a row is
    /// returned once for each column that matches. Only rows that match all `filters` are returned.
    pub async fn of_each<E>(
        &self,
        connection: &impl ConnectionTrait,
        columns: &[E::Column],
        parents: &[Uuid],
        filters: &[Filter],
    ) -> Result<Vec<E::Model>>
    where
        E: Visible + Default,
    {
        let backend = connection.get_database_backend();
        let mut text = Text { backend, values: Vec::new() };
        let table = E::default().table_name().to_owned();
        let keys = match backend {
            DbBackend::Postgres => format!("unnest({}::uuid[]) AS k(parent)", text.bind(parents.to_vec())),
            _ => {
                let marks = parents
                    .iter()
                    .map(|parent| format!("({})", text.bind(*parent)))
                    .collect::<Vec<_>>()
                    .join(", ");
                format!("(SELECT column1 AS parent FROM (VALUES {marks})) AS k")
            }
        };
        let mut filter = String::new();
        let (above, below) = self.bounds();
        for (sign, bound) in [(">", above), ("<", below)] {
            if let Some(bound) = bound {
                filter = format!("{filter} AND id {sign} {}", text.bind(bound));
            }
        }
        for own in filters {
            filter = format!("{filter} AND {}", own.sql(backend, &mut |value| text.bind(value)));
        }
        match E::LISTED {
            Listed::Always => {}
            Listed::WhileNull(column) => filter = format!("{filter} AND {} IS NULL", column.as_str()),
            Listed::While(column, word) => {
                filter = format!("{filter} AND {} = {}", column.as_str(), text.bind(word));
            }
        }
        let way = if self.descends() { "DESC" } else { "ASC" };
        let limit = text.bind(i64::try_from(self.size.saturating_add(1)).unwrap_or(i64::MAX));
        let of_column = |column: &E::Column| {
            let filter = format!("{} = k.parent{filter}", column.as_str());
            match backend {
                DbBackend::Postgres => format!(
                    "SELECT r.* FROM {keys} CROSS JOIN LATERAL (SELECT * FROM {table} WHERE {filter} ORDER \
                        BY id {way} LIMIT {limit}) r"
                ),
                _ => format!(
                    "SELECT r.* FROM {keys} JOIN {table} r ON r.id IN (SELECT id FROM {table} WHERE \
                        {filter} ORDER BY id {way} LIMIT {limit})"
                ),
            }
        };
        let sql = columns.iter().map(of_column).collect::<Vec<_>>().join(" UNION ALL ");
        Ok(E::find()
            .from_raw_sql(Statement::from_sql_and_values(backend, sql, text.values))
            .all(connection)
            .await?)
    }
}

struct Text {
    backend: DbBackend,
    values: Vec<Value>,
}

impl Text {
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        if self.backend == DbBackend::Postgres {
            format!("${}", self.values.len())
        } else {
            format!("?{}", self.values.len())
        }
    }
}

/// The rows of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<T> {
    pub rows: Vec<T>,
    pub has_previous: bool,
    pub has_next: bool,
}
