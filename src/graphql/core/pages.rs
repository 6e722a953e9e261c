//! Connections, written once.

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

/// What a list can hold: its kind stands in the cursors, its id is the place on the list.
pub trait Item: ObjectType {
    /// The kind of the rows.
    const KIND: Kind;
    /// The row's id.
    fn row_id(&self) -> Uuid;
}

/// Page facts.
#[derive(Clone, Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether more items follow endCursor.
    has_next_page: bool,
    /// Whether more items precede startCursor.
    has_previous_page: bool,
    /// First cursor, null on an empty page.
    start_cursor: Option<String>,
    /// Last cursor, null on an empty page.
    end_cursor: Option<String>,
}

/// An item of a page.
pub struct Edge<T>(T);

/// An item of a page.
#[Object(name_type)]
impl<T: Item> Edge<T> {
    /// Place of the item; pass it back as `after` or `before`.
    async fn cursor(&self) -> String {
        self.0.row_id().to_string()
    }

    /// The item itself.
    async fn node(&self) -> &T {
        &self.0
    }
}

impl<T: Item> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", T::type_name()).into()
    }
}

/// A page of a list.
pub struct Connection<T> {
    edges: Vec<Edge<T>>,
    has_previous: bool,
    has_next: bool,
}

/// A page of a list.
#[Object(name_type)]
impl<T: Item> Connection<T> {
    /// Items of this page, in order.
    async fn edges(&self) -> &[Edge<T>] {
        &self.edges
    }

    /// Where this page stands in the list.
    async fn page_info(&self) -> PageInfo {
        let cursor = |edge: &Edge<T>| edge.0.row_id().to_string();
        PageInfo {
            has_next_page: self.has_next,
            has_previous_page: self.has_previous,
            start_cursor: self.edges.first().map(cursor),
            end_cursor: self.edges.last().map(cursor),
        }
    }
}

impl<T: Item> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", T::type_name()).into()
    }
}

impl<T: Item> Connection<T> {
    /// From rows as read.
    pub fn new<R>(slice: Slice<R>, wrap: impl Fn(R) -> T) -> Self {
        let Slice { rows, has_previous, has_next } = slice;
        Self { edges: rows.into_iter().map(|row| Edge(wrap(row))).collect(), has_previous, has_next }
    }
}

/// Items on a page when nothing is said.
const USUAL: u64 = 20;

/// The most items on a page; a setting, read once at the start.
#[derive(Clone, Copy, Debug)]
pub struct Most(pub u64);

/// The page that a connection's arguments ask for.
pub fn page<T: Item>(
    Most(most): Most,
    first: Option<i32>,
    after: Option<String>,
    last: Option<i32>,
    before: Option<String>,
) -> Result<Page> {
    let size = |field: &str, size: i32| {
        u64::try_from(size)
            .ok()
            .filter(|size| (1..=most).contains(size))
            .ok_or_else(|| Refusal::invalid(field, format!("must be from 1 to {most}")))
    };
    let cursor = |field: &str, cursor: Option<String>| {
        let Some(cursor) = cursor else { return Ok(None) };
        match ids::parse(T::KIND, &cursor) {
            id if id.is_nil() => Err(Refusal::invalid(field, "is no cursor of this list")),
            id => Ok(Some(id)),
        }
    };
    let (size, from_end) = match (first, last) {
        (Some(_), Some(_)) => return Err(Refusal::invalid("last", "cannot be combined with first").into()),
        (Some(first), None) => (size("first", first)?, false),
        (None, Some(last)) => (size("last", last)?, true),
        (None, None) => (USUAL, before.is_some() && after.is_none()),
    };
    let (after, before) = (cursor("after", after)?, cursor("before", before)?);
    Ok(Page { size, after, before, from_end, order: Order::NewestFirst })
}
