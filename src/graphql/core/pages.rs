//! Connections, edges and cursors, generic over the item type.

use super::{nodes::Item, sorts::SortBy};
use async_graphql::{Object, SimpleObject, TypeName};
use domain::{
    Refusal, Result,
    kernel::{
        ids,
        lists::{self, SortedPage},
        pages::{Order, Page, Slice},
    },
};
use std::borrow::Cow;

/// Pagination information of a connection.
#[derive(Clone, Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether there are more items after `endCursor`.
    has_next_page: bool,
    /// Whether there are more items before `startCursor`.
    has_previous_page: bool,
    /// Cursor of the first item. Null on an empty page.
    start_cursor: Option<String>,
    /// Cursor of the last item. Null on an empty page.
    end_cursor: Option<String>,
}

/// Item of a page with its cursor.
pub struct Edge<T> {
    node: T,
    cursor: String,
}

/// Item of a page with its cursor.
#[Object(name_type)]
impl<T: Item> Edge<T> {
    /// Cursor of the item; pass it as `after` or `before`.
    async fn cursor(&self) -> &str {
        &self.cursor
    }

    /// The item.
    async fn node(&self) -> &T {
        &self.node
    }
}

impl<T: Item> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", T::type_name()).into()
    }
}

/// Page of a list.
pub struct Connection<T> {
    edges: Vec<Edge<T>>,
    has_previous: bool,
    has_next: bool,
}

/// Page of a list.
#[Object(name_type)]
impl<T: Item> Connection<T> {
    /// Items of this page, in order.
    async fn edges(&self) -> &[Edge<T>] {
        &self.edges
    }

    /// Pagination information of this page.
    async fn page_info(&self) -> PageInfo {
        self.info()
    }
}

impl<T: Item> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", T::type_name()).into()
    }
}

impl<T: Item> Connection<T> {
    /// Returns the pagination information of this page.
    pub fn info(&self) -> PageInfo {
        let cursor = |edge: &Edge<T>| edge.cursor.clone();
        PageInfo {
            has_next_page: self.has_next,
            has_previous_page: self.has_previous,
            start_cursor: self.edges.first().map(cursor),
            end_cursor: self.edges.last().map(cursor),
        }
    }

    /// Returns the items of this page, in order.
    pub fn items(&self) -> impl Iterator<Item = &T> {
        self.edges.iter().map(|edge| &edge.node)
    }

    /// Creates a page from rows of the database, sorted by id.
    pub fn new<R>(slice: Slice<R>, wrap: impl Fn(R) -> T) -> Self {
        let edge = |row| {
            let node = wrap(row);
            Edge { cursor: node.row_id().to_string(), node }
        };
        let Slice { rows, has_previous, has_next } = slice;
        Self { edges: rows.into_iter().map(edge).collect(), has_previous, has_next }
    }

    /// Creates a page from rows of the database in another order; `cursor` returns the cursor of a row.
    pub fn sorted<R>(
        slice: Slice<R>,
        cursor: impl Fn(&R) -> Result<String>,
        wrap: impl Fn(R) -> T,
    ) -> Result<Self> {
        let Slice { rows, has_previous, has_next } = slice;
        let edge = |row: R| Ok(Edge { cursor: cursor(&row)?, node: wrap(row) });
        Ok(Self { edges: rows.into_iter().map(edge).collect::<Result<_>>()?, has_previous, has_next })
    }
}

/// Page size if neither `first` nor `last` is given.
const DEFAULT_PAGE_SIZE: u64 = 20;

/// Maximum number of items on a page. A setting that is read at startup.
#[derive(Clone, Copy, Debug)]
pub struct MaxPageSize(pub u64);

/// Arguments of a connection.
#[derive(Clone, Debug, Default)]
pub struct PageArgs {
    pub first: Option<i32>,
    pub after: Option<String>,
    pub last: Option<i32>,
    pub before: Option<String>,
}

impl PageArgs {
    /// Checks the arguments and returns the requested page of a list that is sorted by id, newest first.
    pub fn page<T: Item>(&self, max: MaxPageSize) -> Result<Page> {
        let cursor = |field: &str, cursor: &Option<String>| {
            let Some(cursor) = cursor else { return Ok(None) };
            match ids::parse(T::KIND, cursor) {
                id if id.is_nil() => Err(not_a_cursor(field)),
                id => Ok(Some(id)),
            }
        };
        let page = self.sized(max)?;
        Ok(Page { after: cursor("after", &self.after)?, before: cursor("before", &self.before)?, ..page })
    }

    /// Checks the arguments and returns the requested page of a list that the client may sort.
    pub fn sorted_page<T: Item, S: SortBy>(
        &self,
        max: MaxPageSize,
        sort: &S,
    ) -> Result<SortedPage<S::Column>> {
        let cursor = |field: &str, cursor: &Option<String>| {
            let Some(cursor) = cursor else { return Ok((None, Vec::new())) };
            let read = lists::read_cursor(sort.columns(), T::KIND, cursor);
            let (id, keys) = read.ok_or_else(|| not_a_cursor(field))?;
            Ok::<_, Refusal>((Some(id), keys))
        };
        let page = self.sized(max)?;
        let (after, after_keys) = cursor("after", &self.after)?;
        let (before, before_keys) = cursor("before", &self.before)?;
        let order = if sort.descends() { Order::NewestFirst } else { Order::OldestFirst };
        Ok(SortedPage {
            page: Page { after, before, order, ..page },
            columns: sort.columns(),
            after: after_keys,
            before: before_keys,
        })
    }

    /// Returns the size of the page and the end to read from.
    fn sized(&self, MaxPageSize(max): MaxPageSize) -> Result<Page> {
        let size = |field: &str, size: i32| {
            u64::try_from(size)
                .ok()
                .filter(|size| (1..=max).contains(size))
                .ok_or_else(|| Refusal::invalid(field, format!("must be from 1 to {max}")))
        };
        let (size, from_end) = match (self.first, self.last) {
            (Some(_), Some(_)) => {
                return Err(Refusal::invalid("last", "cannot be combined with first").into());
            }
            (Some(first), None) => (size("first", first)?, false),
            (None, Some(last)) => (size("last", last)?, true),
            (None, None) => (DEFAULT_PAGE_SIZE, self.before.is_some() && self.after.is_none()),
        };
        Ok(Page { from_end, ..Page::first(size) })
    }
}

fn not_a_cursor(field: &str) -> Refusal {
    Refusal::invalid(field, "is not a cursor of this list")
}
