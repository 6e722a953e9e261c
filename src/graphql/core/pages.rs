//! Connections, edges and cursors, generic over the item type.

use async_graphql::{Object, ObjectType, SimpleObject, TypeName};
use domain::{
    Refusal, Result,
    kernel::{
        ids,
        pages::{Order, Page, Slice},
    },
};
use entity::Kind;
use std::borrow::Cow;
use uuid::Uuid;

/// Item of a connection. Its cursor is its id, and the id contains its kind.
pub trait Item: ObjectType {
    /// Kind of object.
    const KIND: Kind;
    /// Id of the row.
    fn row_id(&self) -> Uuid;
}

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
pub struct Edge<T>(T);

/// Item of a page with its cursor.
#[Object(name_type)]
impl<T: Item> Edge<T> {
    /// Cursor of the item; pass it as `after` or `before`.
    async fn cursor(&self) -> String {
        self.0.row_id().to_string()
    }

    /// The item.
    async fn node(&self) -> &T {
        &self.0
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
        let cursor = |edge: &Edge<T>| edge.0.row_id().to_string();
        PageInfo {
            has_next_page: self.has_next,
            has_previous_page: self.has_previous,
            start_cursor: self.edges.first().map(cursor),
            end_cursor: self.edges.last().map(cursor),
        }
    }

    /// Returns the items of this page, in order.
    pub fn items(&self) -> impl Iterator<Item = &T> {
        self.edges.iter().map(|Edge(item)| item)
    }

    /// Creates a page from rows of the database.
    pub fn new<R>(slice: Slice<R>, wrap: impl Fn(R) -> T) -> Self {
        let Slice { rows, has_previous, has_next } = slice;
        Self { edges: rows.into_iter().map(|row| Edge(wrap(row))).collect(), has_previous, has_next }
    }
}

/// Page size if neither `first` nor `last` is given.
const DEFAULT_PAGE_SIZE: u64 = 20;

/// Maximum number of items on a page. A setting that is read at startup.
#[derive(Clone, Copy, Debug)]
pub struct MaxPageSize(pub u64);

/// Checks the arguments of a connection and returns the requested page.
pub fn page<T: Item>(
    MaxPageSize(max): MaxPageSize,
    first: Option<i32>,
    after: Option<String>,
    last: Option<i32>,
    before: Option<String>,
) -> Result<Page> {
    let size = |field: &str, size: i32| {
        u64::try_from(size)
            .ok()
            .filter(|size| (1..=max).contains(size))
            .ok_or_else(|| Refusal::invalid(field, format!("must be from 1 to {max}")))
    };
    let cursor = |field: &str, cursor: Option<String>| {
        let Some(cursor) = cursor else { return Ok(None) };
        match ids::parse(T::KIND, &cursor) {
            id if id.is_nil() => Err(Refusal::invalid(field, "is not a cursor of this list")),
            id => Ok(Some(id)),
        }
    };
    let (size, from_end) = match (first, last) {
        (Some(_), Some(_)) => return Err(Refusal::invalid("last", "cannot be combined with first").into()),
        (Some(first), None) => (size("first", first)?, false),
        (None, Some(last)) => (size("last", last)?, true),
        (None, None) => (DEFAULT_PAGE_SIZE, before.is_some() && after.is_none()),
    };
    let (after, before) = (cursor("after", after)?, cursor("before", before)?);
    Ok(Page { size, after, before, from_end, order: Order::NewestFirst })
}
