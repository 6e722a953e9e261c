//! Reads of visible rows for a whole level of a query: one statement for all parents, only the columns that
//! are needed, by position.
//!
//! The text of the statements is written here rather than by the query builder, whose work costs more than
//! reading a row.

use super::{
    actor::AccessScope,
    command::Identified,
    lists::{Filter, SortedPage},
    pages::{Order, Page, Slice},
    visible::{Listed, Owner, Visible},
};
use crate::{Error, Result};
use entity::positional::{ColumnSet, Positional, Reader};
use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, IdenStatic, QueryResult, Statement, Value,
    sea_query::{PostgresQueryBuilder, SelectStatement, SqliteQueryBuilder},
};
use uuid::Uuid;

/// For the APIs, which do not know the database library.
pub use sea_orm::ModelTrait as RowTrait;

/// Column of a table.
pub type ColumnOf<E> = <E as EntityTrait>::Column;

/// Row of a table.
pub type RowOf<E> = <E as EntityTrait>::Model;

/// A table whose visible rows are read by position.
pub trait Table: Visible<Model: Positional + Identified + Clone> + Default {}

impl<E: Visible<Model: Positional + Identified + Clone> + Default> Table for E {}

/// Returns the rows with these ids that are within an access scope, including those that are shown only by
/// rows that refer to them.
pub async fn by_ids<E: Table>(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    ids: &[Uuid],
    columns: ColumnSet,
) -> Result<Vec<E::Model>> {
    let columns = columns.with::<E::Model>(E::ID.as_str());
    let mut sql = Sql::select::<E>(connection.get_database_backend(), columns);
    sql.push(" WHERE ");
    sql.push(E::ID.as_str());
    sql.among(ids);
    sql.within::<E>(access_scope);
    read::<E>(connection, sql, columns).await
}

/// Returns a page of the visible rows that match all filters.
pub async fn list<E: Table>(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    page: &SortedPage<E::Column>,
    filters: &[Filter],
    columns: ColumnSet,
) -> Result<Slice<E::Model>> {
    let columns = page
        .columns
        .iter()
        .chain([&E::ID])
        .fold(columns, |columns, column| columns.with::<E::Model>(column.as_str()));
    let mut sql = Sql::select::<E>(connection.get_database_backend(), columns);
    sql.push(" WHERE 1 = 1");
    sql.within::<E>(access_scope);
    sql.listed(&E::LISTED);
    sql.filter(filters);
    let sorted_by = page.sorted_by::<E>(sql.backend);
    let ascends = matches!(page.page.order, Order::OldestFirst);
    for (bound, keys, is_above) in
        [(page.page.after, &page.after, ascends), (page.page.before, &page.before, !ascends)]
    {
        let Some(bound) = bound else { continue };
        sql.push(&format!(" AND ({}) {} (", sorted_by.join(", "), if is_above { ">" } else { "<" }));
        for (key, column) in keys.iter().zip(page.columns) {
            sql.bind(key.value(*column));
            sql.push(", ");
        }
        sql.bind(bound);
        sql.push(")");
    }
    let direction = if ascends == page.page.from_end { " DESC" } else { "" };
    let order: Vec<_> = sorted_by.iter().map(|by| format!("{by}{direction}")).collect();
    sql.push(&format!(" ORDER BY {}", order.join(", ")));
    sql.limit(&page.page);
    Ok(page.page.cut(read::<E>(connection, sql, columns).await?))
}

/// Does the same as [`list`] and reads all columns.
pub async fn page<E: Table>(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    page: &SortedPage<E::Column>,
    filters: &[Filter],
) -> Result<Slice<E::Model>> {
    list::<E>(connection, access_scope, page, filters, ColumnSet::ALL).await
}

/// How children refer to their parents, and who may see them.
#[derive(Clone, Copy, Debug)]
pub struct Under<C: 'static> {
    /// Columns that refer to a parent; with several, a row belongs to the parents in all of them.
    pub columns: &'static [C],
    /// Access scope of the children; none if everyone who may see a parent may see them.
    pub within: Option<AccessScope>,
}

/// Returns a page of the children of each parent that match all filters, in the order of the parents.
pub async fn under<E: Table>(
    connection: &impl ConnectionTrait,
    under: Under<E::Column>,
    parents: &[Uuid],
    page: &Page,
    filters: &[Filter],
    columns: ColumnSet,
) -> Result<Vec<Slice<E::Model>>> {
    let columns = columns.with::<E::Model>(E::ID.as_str());
    let backend = connection.get_database_backend();
    let (mut sql, is_numbered) = match (parents, under.columns) {
        ([parent], [column]) => {
            (one_parent::<E>(backend, (*column, *parent), under, page, filters, columns), false)
        }
        _ => (many_parents::<E>(backend, under, parents, page, filters, columns), true),
    };
    let rows = connection.query_all_raw(sql.statement()).await?;
    let mut found: Vec<Vec<E::Model>> = parents.iter().map(|_| Vec::new()).collect();
    for row in &rows {
        let number = if is_numbered { row.try_get_by_index::<i64>(0)? } else { 0 };
        let model = E::Model::read(&mut Reader::new(row, columns, usize::from(is_numbered)))?;
        usize::try_from(number)
            .ok()
            .and_then(|number| found.get_mut(number))
            .ok_or_else(|| Error::broken("a row was read for no parent"))?
            .push(model);
    }
    let is_sorted = under.columns.len() == 1 && (!is_numbered || backend == DbBackend::Postgres);
    Ok(found
        .into_iter()
        .map(|mut rows| {
            if !is_sorted {
                page.sort(&mut rows, Identified::id);
                rows.dedup_by_key(|row| row.id());
            }
            page.cut(rows)
        })
        .collect())
}

fn one_parent<E: Table>(
    backend: DbBackend,
    (column, parent): (E::Column, Uuid),
    under: Under<E::Column>,
    page: &Page,
    filters: &[Filter],
    columns: ColumnSet,
) -> Sql {
    let mut sql = Sql::select::<E>(backend, columns);
    sql.push(&format!(" WHERE {} = ", column.as_str()));
    sql.bind(parent);
    sql.children::<E>(under, page, filters);
    sql
}

/// Each row starts with the number of its parent.
fn many_parents<E: Table>(
    backend: DbBackend,
    under: Under<E::Column>,
    parents: &[Uuid],
    page: &Page,
    filters: &[Filter],
    columns: ColumnSet,
) -> Sql {
    let mut sql = Sql::new(backend);
    for (position, column) in under.columns.iter().enumerate() {
        if position > 0 {
            sql.push(" UNION ALL ");
        }
        let names: Vec<_> = columns.names::<E::Model>().collect();
        let table = E::default().table_name().to_owned();
        if backend == DbBackend::Postgres {
            sql.push(&format!("SELECT k.n - 1, r.{} FROM unnest(", names.join(", r.")));
            sql.bind(parents.to_vec());
            sql.push("::uuid[]) WITH ORDINALITY AS k(parent, n) CROSS JOIN LATERAL (SELECT ");
            sql.push(&format!("{} FROM {table} WHERE {} = k.parent", names.join(", "), column.as_str()));
            sql.children::<E>(under, page, filters);
            sql.push(") AS r");
        } else {
            sql.push(&format!(
                "SELECT k.n, r.{} FROM (SELECT column1 AS n, column2 AS parent FROM (VALUES ",
                names.join(", r.")
            ));
            for (number, parent) in parents.iter().enumerate() {
                sql.push(&format!("{}({number}, ", if number > 0 { ", " } else { "" }));
                sql.bind(*parent);
                sql.push(")");
            }
            sql.push(&format!(
                ")) AS k JOIN {table} AS r ON r.id IN (SELECT id FROM {table} WHERE {} = k.parent",
                column.as_str()
            ));
            sql.children::<E>(under, page, filters);
            sql.push(")");
        }
    }
    sql
}

async fn read<E: Table>(
    connection: &impl ConnectionTrait,
    mut sql: Sql,
    columns: ColumnSet,
) -> Result<Vec<E::Model>> {
    let rows = connection.query_all_raw(sql.statement()).await?;
    let model = |row: &QueryResult| Ok(E::Model::read(&mut Reader::new(row, columns, 0))?);
    rows.iter().map(model).collect()
}

/// Text of a statement with its values.
struct Sql {
    backend: DbBackend,
    text: String,
    values: Vec<Value>,
}

impl Sql {
    const fn new(backend: DbBackend) -> Self {
        Self { backend, text: String::new(), values: Vec::new() }
    }

    fn select<E: Table>(backend: DbBackend, columns: ColumnSet) -> Self {
        let mut sql = Self::new(backend);
        let names: Vec<_> = columns.names::<E::Model>().collect();
        sql.push(&format!("SELECT {} FROM {}", names.join(", "), E::default().table_name()));
        sql
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds a value and its placeholder.
    fn bind(&mut self, value: impl Into<Value>) {
        let mark = self.mark(value.into());
        self.text.push_str(&mark);
    }

    /// Adds a value and returns its placeholder.
    fn mark(&mut self, value: Value) -> String {
        self.values.push(value);
        mark(self.backend, self.values.len())
    }

    /// Adds the condition that the column before it has one of these ids.
    fn among(&mut self, ids: &[Uuid]) {
        if let [id] = ids {
            self.push(" = ");
            self.bind(*id);
            return;
        }
        if self.backend == DbBackend::Postgres {
            self.push(" = ANY(");
            self.bind(ids.to_vec());
            self.push(")");
            return;
        }
        // Few different numbers of placeholders, so that SQLite finds the statement prepared.
        let padding = ids.last().map_or(0, |_| ids.len().next_power_of_two() - ids.len());
        self.push(" IN (");
        for (number, id) in ids.iter().chain(ids.last().into_iter().cycle().take(padding)).enumerate() {
            if number > 0 {
                self.push(", ");
            }
            self.bind(*id);
        }
        self.push(")");
    }

    /// Adds the condition of the visibility rule of `E`.
    fn within<E: Visible>(&mut self, access_scope: AccessScope) {
        let partner = match E::OWNER {
            Owner::Everyone => return,
            Owner::Partner { partner }
            | Owner::Members { partner }
            | Owner::Users { partner, .. }
            | Owner::Parent { partner, .. } => partner,
        };
        self.push(&format!(" AND {} = ", partner.as_str()));
        self.bind(access_scope.partner_id);
        let Some(user_id) = access_scope.user_id else { return };
        match E::OWNER {
            Owner::Users { users: [only], .. } => {
                self.push(&format!(" AND {} = ", only.as_str()));
                self.bind(user_id);
            }
            Owner::Users { .. } => {
                self.push(&format!(" AND {} IN (", E::ID.as_str()));
                self.subquery(&E::owned_by(user_id));
                self.push(")");
            }
            Owner::Parent { parent, owned_by, .. } => {
                self.push(&format!(" AND {} IN (", parent.as_str()));
                self.subquery(&owned_by(user_id));
                self.push(")");
            }
            Owner::Members { .. } => {}
            Owner::Everyone | Owner::Partner { .. } => self.push(" AND 1 = 0"),
        }
    }

    fn subquery(&mut self, select: &SelectStatement) {
        let (text, values) = if self.backend == DbBackend::Postgres {
            select.build(PostgresQueryBuilder)
        } else {
            select.build(SqliteQueryBuilder)
        };
        // The placeholders of the subquery follow those of this statement. From the last on, so that none is
        // replaced twice.
        let offset = self.values.len();
        let numbered = (1..=values.0.len()).rev().fold(text, |text, number| match self.backend {
            DbBackend::Postgres => {
                text.replace(&mark(self.backend, number), &format!("\u{1}{}", number + offset))
            }
            _ => text,
        });
        self.push(&numbered.replace('\u{1}', "$"));
        self.values.extend(values.0);
    }

    fn listed<C: IdenStatic>(&mut self, listed: &Listed<C>) {
        match listed {
            Listed::Always => {}
            Listed::WhileNull(column) => self.push(&format!(" AND {} IS NULL", column.as_str())),
            Listed::While(column, word) => {
                self.push(&format!(" AND {} = ", column.as_str()));
                self.bind(*word);
            }
        }
    }

    fn filter(&mut self, filters: &[Filter]) {
        for filter in filters {
            let condition = filter.sql(self.backend, &mut |value| {
                self.values.push(value);
                mark(self.backend, self.values.len())
            });
            self.push(&format!(" AND {condition}"));
        }
    }

    /// The number is part of the text: PostgreSQL does not know how many rows a parameter stands for, and would
    /// plan the statement again each time it runs.
    fn limit(&mut self, page: &Page) {
        self.push(&format!(" LIMIT {}", page.size.saturating_add(1)));
    }

    /// Adds the conditions, the order and the size of a page of children, which is sorted by id.
    fn children<E: Visible>(&mut self, under: Under<E::Column>, page: &Page, filters: &[Filter]) {
        if let Some(access_scope) = under.within {
            self.within::<E>(access_scope);
        }
        let (above, below) = page.bounds();
        for (sign, bound) in [(">", above), ("<", below)] {
            if let Some(bound) = bound {
                self.push(&format!(" AND id {sign} "));
                self.bind(bound);
            }
        }
        self.filter(filters);
        self.listed(&E::LISTED);
        self.push(if page.descends() { " ORDER BY id DESC" } else { " ORDER BY id" });
        self.limit(page);
    }

    fn statement(&mut self) -> Statement {
        let (text, values) = (std::mem::take(&mut self.text), std::mem::take(&mut self.values));
        Statement::from_sql_and_values(self.backend, text, values)
    }
}

fn mark(backend: DbBackend, number: usize) -> String {
    if backend == DbBackend::Postgres { format!("${number}") } else { "?".to_owned() }
}
