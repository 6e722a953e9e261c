//! Schema for tests, with every kind of failure.

use std::{sync::Arc, time::Duration};

use async_graphql::{Enum, ID, Interface, Object, SimpleObject, Subscription, Union};
use futures_util::{Stream, StreamExt, stream};

use super::complete::Types;
use crate::wire::{Fault, Result};
use domain::Refusal;

pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// Returns the types of the schema.
pub fn types() -> Arc<Types> {
    Arc::new(Types::read(&schema().sdl()).unwrap())
}

pub fn schema() -> Schema {
    Schema::build(Query, Mutation, Subscription).disable_suggestions().finish()
}

fn fault() -> Fault {
    Refusal::not_found("").into()
}

fn panics() -> Option<i32> {
    panic!("a secret")
}

/// A row.
#[derive(Clone, Copy)]
pub struct Row(i32);

#[Object]
impl Row {
    /// Number.
    async fn n(&self) -> i32 {
        self.0
    }
    /// Identifier.
    async fn id(&self) -> ID {
        self.0.into()
    }
    /// Fails on even rows.
    async fn bad(&self) -> Result<i32> {
        if self.0 % 2 == 0 { Err(fault()) } else { Ok(self.0) }
    }
    /// Fails on even rows; nullable.
    async fn opt_bad(&self) -> Result<Option<i32>> {
        if self.0 % 2 == 0 { Err(fault()) } else { Ok(Some(self.0)) }
    }
    /// Waits before it returns.
    async fn slow(&self, #[graphql(default = 20)] millis: u64) -> i32 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        self.0
    }
    /// Three nullable rows.
    async fn opt_rows(&self) -> Vec<Option<Row>> {
        vec![Some(Row(1)), Some(Row(2)), Some(Row(3))]
    }
    /// Three rows.
    async fn rows(&self) -> Vec<Row> {
        vec![Row(1), Row(2), Row(3)]
    }
    /// The same row; nullable.
    async fn again(&self) -> Option<Row> {
        Some(*self)
    }
    /// The same row; never null.
    async fn same(&self) -> Row {
        *self
    }
    /// Page of rows.
    async fn page(&self, first: Option<i32>, last: Option<i32>) -> RowConnection {
        RowConnection::new(first.or(last))
    }
}

/// Leaf.
#[derive(SimpleObject)]
pub struct Leaf {
    /// Identifier.
    id: ID,
    /// Colour.
    colour: String,
}

/// Object with an identifier.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID"))]
pub enum Node {
    Row(Row),
    Leaf(LeafObject),
}

/// Leaf as a type with resolvers.
pub struct LeafObject(Leaf);

#[Object]
impl LeafObject {
    /// Identifier.
    async fn id(&self) -> ID {
        self.0.id.clone()
    }
    /// Colour.
    async fn colour(&self) -> &str {
        &self.0.colour
    }
}

/// Row or leaf.
#[derive(Union)]
pub enum Either {
    Row(Row),
    Leaf(LeafObject),
}

/// Page of rows.
pub struct RowConnection(i32);

impl RowConnection {
    fn new(size: Option<i32>) -> Self {
        Self(size.unwrap_or(20).clamp(0, 10_000))
    }
}

#[Object]
impl RowConnection {
    /// Edges.
    async fn edges(&self) -> Vec<RowEdge> {
        (1..=self.0).map(RowEdge).collect()
    }
    /// Pagination information.
    async fn page_info(&self) -> PageInfo {
        PageInfo { has_next_page: false }
    }
}

/// Row and its cursor.
pub struct RowEdge(i32);

#[Object]
impl RowEdge {
    /// Row.
    async fn node(&self) -> Row {
        Row(self.0)
    }
    /// Cursor.
    async fn cursor(&self) -> String {
        self.0.to_string()
    }
}

/// Pagination information.
#[derive(SimpleObject)]
pub struct PageInfo {
    /// Whether there are more items.
    has_next_page: bool,
}

pub struct Query;

#[Object]
impl Query {
    /// A row.
    async fn row(&self, id: Option<i32>) -> Option<Row> {
        Some(Row(id.unwrap_or(1)))
    }
    /// Page of rows.
    async fn rows(&self, first: Option<i32>, last: Option<i32>) -> RowConnection {
        RowConnection::new(first.or(last))
    }
    /// Always fails.
    async fn fails(&self) -> Result<Option<Row>> {
        Err(fault())
    }
    /// Always fails, never null.
    async fn fails_hard(&self) -> Result<Row> {
        Err(fault())
    }
    /// Panics.
    async fn secret(&self) -> Option<i32> {
        panics()
    }
    /// A row or a leaf.
    async fn node(&self, id: ID) -> Option<Node> {
        Some(match id.as_str() {
            "leaf" => Node::Leaf(LeafObject(Leaf { id, colour: "green".into() })),
            _ => Node::Row(Row(2)),
        })
    }
    /// A row or a leaf.
    async fn either(&self) -> Option<Either> {
        Some(Either::Row(Row(2)))
    }
    /// The requested number of letters.
    async fn letters(&self, count: usize) -> String {
        "a".repeat(count.min(10_000_000))
    }
    /// Returns the given value.
    async fn echo(&self, value: Filter) -> i32 {
        value.min
    }
}

/// A filter.
#[derive(async_graphql::InputObject)]
pub struct Filter {
    /// Minimum.
    min: i32,
}

/// Result of touch.
#[derive(SimpleObject)]
pub struct TouchPayload {
    /// Row.
    row: Option<Row>,
}

pub struct Mutation;

#[Object]
impl Mutation {
    /// Touches a row.
    async fn touch(&self, id: i32) -> Result<Option<TouchPayload>> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if id < 0 { Err(fault()) } else { Ok(Some(TouchPayload { row: Some(Row(id)) })) }
    }
    /// Signs in.
    async fn login(&self) -> Result<Option<TouchPayload>> {
        Ok(None)
    }
    /// Panics.
    async fn burst(&self) -> Option<i32> {
        panics()
    }
}

/// State of the market.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum MarketState {
    /// Open.
    Open,
    /// Closed.
    Closed,
}

/// State of the market, sent repeatedly.
#[derive(SimpleObject, Clone)]
pub struct MarketClockEvent {
    /// Cursor from which to resume.
    cursor: String,
    /// State.
    state: MarketState,
}

pub struct Subscription;

#[Subscription]
impl Subscription {
    /// The current state immediately, and then again every two seconds.
    async fn market_clock_changed(&self) -> impl Stream<Item = MarketClockEvent> {
        stream::unfold(0, |count| async move {
            if count > 0 {
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            let state = if count % 2 == 0 { MarketState::Open } else { MarketState::Closed };
            Some((MarketClockEvent { cursor: count.to_string(), state }, count + 1))
        })
    }
    /// Items as fast as they are read, each with `bytes` letters of payload.
    async fn flood(&self, count: u32, bytes: usize) -> impl Stream<Item = Flood> {
        stream::unfold(0, move |sent| async move {
            tokio::task::yield_now().await;
            let item = Flood { cursor: format!("f{sent}"), ballast: "b".repeat(bytes.min(100_000)) };
            (sent < count).then_some((item, sent + 1))
        })
    }
    /// The second item fails.
    async fn falters(&self) -> impl Stream<Item = Result<Row>> {
        stream::iter([Ok(Row(1)), Err(fault())])
    }
    /// Three rows, of which the second has a failing field.
    async fn rows(&self) -> impl Stream<Item = Option<Row>> {
        stream::iter([Some(Row(1)), Some(Row(2)), Some(Row(3))])
    }
    /// The second item panics.
    async fn bursts(&self) -> impl Stream<Item = i32> {
        stream::iter(1..).inspect(|n| {
            if *n == 2 {
                panics();
            }
        })
    }
}

/// Item of a fast stream.
#[derive(SimpleObject, Clone)]
pub struct Flood {
    /// Cursor from which to resume.
    cursor: String,
    /// Letters.
    ballast: String,
}
