//! Connections: pages of lists.

use super::{
    Asked, Fast, Level, Loaded, Loading, Nothing, Out, Output, Plan, Slow, descriptions::failed, levels::key,
    rendered,
};
use crate::{
    graphql::core::{
        context::{RequestContext, Viewpoint},
        loaders::Children,
        nodes::Item,
        pages::{Connection, Edge, PageArgs},
        sorts::SortBy,
    },
    wire::Result,
};
use async_graphql::{
    ContextSelectionSet, ObjectType, OutputType, Positioned, ServerResult, TypeName, Value,
    parser::types::{Field, SelectionSet},
    registry::Registry,
};
use domain::{
    Error,
    kernel::{
        lists::{Filter, SortedPage},
        pages::{Order, Page, Slice},
        rows,
    },
};
use entity::positional::ColumnSet;
use std::{borrow::Cow, marker::PhantomData, ops::Range, sync::Arc};
use uuid::Uuid;

type ColumnOf<T> = rows::ColumnOf<<T as Item>::Entity>;

/// The edges of a connection, which may have fields besides `node` and `cursor`.
pub trait Edges<T: Item>: Clone + Send + Sync + 'static {
    /// The connection for the ordinary executor.
    type Shown: ObjectType + Send;

    /// Returns the names of the types of the connection and of its edges.
    fn type_names() -> [Cow<'static, str>; 2];

    /// Writes another field of an edge.
    fn write(&self, _field: &str, _node: &T, _out: &mut Out) -> Fast<()> {
        Err(Slow)
    }

    /// Returns the columns that another field of an edge reads.
    fn reads(_field: &str) -> Option<&'static [&'static str]> {
        None
    }

    fn show(self, connection: Connection<T>) -> Self::Shown;
}

/// Edges with `node` and `cursor` only.
#[derive(Clone, Copy, Debug)]
pub struct PlainEdges;

impl<T: Item> Edges<T> for PlainEdges {
    type Shown = Connection<T>;

    fn type_names() -> [Cow<'static, str>; 2] {
        [<Connection<T> as TypeName>::type_name(), <Edge<T> as TypeName>::type_name()]
    }

    fn show(self, connection: Connection<T>) -> Connection<T> {
        connection
    }
}

/// A page of a list: the children of a row, or the rows that the caller can see.
pub struct ListOf<T: Item, X = PlainEdges> {
    parent: Option<Uuid>,
    is_shared: bool,
    page: Arc<SortedPage<ColumnOf<T>>>,
    filters: Arc<[Filter]>,
    edges: X,
}

impl<T: Item, X: Clone> Clone for ListOf<T, X> {
    fn clone(&self) -> Self {
        Self {
            parent: self.parent,
            is_shared: self.is_shared,
            page: self.page.clone(),
            filters: self.filters.clone(),
            edges: self.edges.clone(),
        }
    }
}

impl<T: Item> ListOf<T> {
    /// Describes the children of a row that match all filters. Whoever may see the parent may see them.
    pub fn under(view: &Viewpoint, parent: Uuid, page: &PageArgs, filters: Vec<Filter>) -> Result<Self> {
        Self::under_with(view, parent, page, filters, PlainEdges)
    }

    /// Describes the children of a row that match all filters and that the caller can see. More callers may see the
    /// parent.
    pub fn seen_under(view: &Viewpoint, parent: Uuid, page: &PageArgs, filters: Vec<Filter>) -> Result<Self> {
        Ok(Self { is_shared: true, ..Self::under(view, parent, page, filters)? })
    }
}

impl<T: Item, X> ListOf<T, X> {
    /// Does the same as [`ListOf::under`] for other edges.
    pub fn under_with(
        view: &Viewpoint,
        parent: Uuid,
        page: &PageArgs,
        filters: Vec<Filter>,
        edges: X,
    ) -> Result<Self> {
        let page = page.page::<T>(view.max_page_size())?;
        let page = Arc::new(page.into());
        Ok(Self { parent: Some(parent), is_shared: false, page, filters: filters.into(), edges })
    }
}

impl<T: Item> ListOf<T> {
    /// Describes the rows that the caller can see and that match all filters.
    pub fn all(view: &Viewpoint, page: &PageArgs, filters: Vec<Filter>) -> Result<Self> {
        let page = page.page::<T>(view.max_page_size())?;
        Ok(Self::at_root(page.into(), filters))
    }

    /// Does the same as [`ListOf::all`], oldest first.
    pub fn oldest_first(view: &Viewpoint, page: &PageArgs, filters: Vec<Filter>) -> Result<Self> {
        let page = Page { order: Order::OldestFirst, ..page.page::<T>(view.max_page_size())? };
        Ok(Self::at_root(page.into(), filters))
    }

    /// Does the same as [`ListOf::all`] in the order that the client chose.
    pub fn sorted<S: SortBy<Column = ColumnOf<T>>>(
        view: &Viewpoint,
        page: &PageArgs,
        filters: Vec<Filter>,
        sort: Option<S>,
    ) -> Result<Self> {
        let page = page.sorted_page::<T, S>(view.max_page_size(), &sort.unwrap_or_default())?;
        Ok(Self::at_root(page, filters))
    }

    fn at_root(page: SortedPage<ColumnOf<T>>, filters: Vec<Filter>) -> Self {
        let page = Arc::new(page);
        Self { parent: None, is_shared: false, page, filters: filters.into(), edges: PlainEdges }
    }
}

enum InConnection {
    Typename,
    Edges(Vec<(Vec<u8>, InEdge)>),
    PageInfo(Vec<(Vec<u8>, InPageInfo)>),
}

enum InEdge {
    Typename,
    Cursor,
    Node,
    Other(String),
}

enum InPageInfo {
    Typename,
    HasNext,
    HasPrevious,
    Start,
    End,
}

/// What is selected of a connection.
pub struct ConnectionPlan<T> {
    steps: Vec<(Vec<u8>, InConnection)>,
    /// What is selected of the nodes, if they are selected.
    node: Option<Plan<T>>,
    /// Columns that other fields of the edges read.
    other: Vec<&'static str>,
}

impl<T: Item> ConnectionPlan<T> {
    fn of<X: Edges<T>>(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<Self> {
        let [connection, edge] = X::type_names();
        let mut plan = Self { steps: Vec::new(), node: None, other: Vec::new() };
        for field in asked.fields(&connection, sets)? {
            let step = match field.field.name.node.as_str() {
                "__typename" => InConnection::Typename,
                "edges" => {
                    let mut inner = Vec::new();
                    for field in asked.fields(&edge, &field.sets)? {
                        let step = match field.field.name.node.as_str() {
                            "__typename" => InEdge::Typename,
                            "cursor" => InEdge::Cursor,
                            "node" => {
                                // Nodes under two keys are rare.
                                if plan.node.replace(Plan::of(asked, &field.sets)?).is_some() {
                                    return Err(Slow);
                                }
                                InEdge::Node
                            }
                            name => {
                                plan.other.extend(X::reads(name).ok_or(Slow)?);
                                InEdge::Other(name.to_owned())
                            }
                        };
                        inner.push((key(inner.is_empty(), field.key), step));
                    }
                    InConnection::Edges(inner)
                }
                "pageInfo" => {
                    let mut inner = Vec::new();
                    for field in asked.fields("PageInfo", &field.sets)? {
                        let step = match field.field.name.node.as_str() {
                            "__typename" => InPageInfo::Typename,
                            "hasNextPage" => InPageInfo::HasNext,
                            "hasPreviousPage" => InPageInfo::HasPrevious,
                            "startCursor" => InPageInfo::Start,
                            "endCursor" => InPageInfo::End,
                            _ => return Err(Slow),
                        };
                        inner.push((key(inner.is_empty(), field.key), step));
                    }
                    InConnection::PageInfo(inner)
                }
                _ => return Err(Slow),
            };
            plan.steps.push((key(plan.steps.is_empty(), field.key), step));
        }
        Ok(plan)
    }

    fn columns(&self) -> ColumnSet {
        let node = self.node.as_ref().map_or(ColumnSet::NONE, Plan::columns::<T::Row>);
        self.other.iter().fold(node, |columns, name| columns.with::<T::Row>(name))
    }
}

/// One page of the nodes that were loaded.
struct Span<X> {
    nodes: Range<usize>,
    has_previous: bool,
    has_next: bool,
    edges: X,
}

/// The nodes of all pages, loaded or as they are.
enum Nodes<'a, T> {
    Loaded(Level<'a, T>),
    Rows(Vec<T>),
}

impl<T: Item> Nodes<'_, T> {
    fn get(&self, position: usize) -> Fast<&T> {
        match self {
            Self::Loaded(level) => level.get(position),
            Self::Rows(rows) => rows.get(position),
        }
        .ok_or(Slow)
    }
}

struct Pages<'a, T: Item, X> {
    nodes: Nodes<'a, T>,
    spans: Vec<Span<X>>,
    page: Arc<SortedPage<ColumnOf<T>>>,
    plan: &'a ConnectionPlan<T>,
    type_names: [Cow<'static, str>; 2],
}

impl<T: Item, X: Edges<T>> Pages<'_, T, X> {
    fn cursor(&self, position: usize, out: &mut Out) -> Fast<()> {
        let node = self.nodes.get(position)?;
        out.text(&self.page.cursor_of(node.row()).map_err(|_| Slow)?)
    }

    fn edge(
        &self,
        span: &Span<X>,
        position: usize,
        steps: &[(Vec<u8>, InEdge)],
        view: &Viewpoint,
        out: &mut Out,
    ) -> Fast<()> {
        for (key, step) in steps {
            out.push(key)?;
            match (step, &self.nodes) {
                (InEdge::Typename, _) => out.text(&self.type_names[1])?,
                (InEdge::Cursor, _) => self.cursor(position, out)?,
                (InEdge::Node, Nodes::Loaded(level)) => level.write(position, view, out)?,
                (InEdge::Node, Nodes::Rows(_)) => return Err(Slow),
                (InEdge::Other(field), _) => span.edges.write(field, self.nodes.get(position)?, out)?,
            }
        }
        out.push(b"}")
    }

    fn page_info(&self, span: &Span<X>, steps: &[(Vec<u8>, InPageInfo)], out: &mut Out) -> Fast<()> {
        let flag = |is_true| if is_true { b"true".as_slice() } else { b"false".as_slice() };
        for (key, step) in steps {
            out.push(key)?;
            match step {
                InPageInfo::Typename => out.text("PageInfo")?,
                InPageInfo::HasNext => out.push(flag(span.has_next))?,
                InPageInfo::HasPrevious => out.push(flag(span.has_previous))?,
                InPageInfo::Start | InPageInfo::End if span.nodes.is_empty() => out.push(b"null")?,
                InPageInfo::Start => self.cursor(span.nodes.start, out)?,
                InPageInfo::End => self.cursor(span.nodes.end - 1, out)?,
            }
        }
        out.push(b"}")
    }
}

impl<T: Item, X: Edges<T>> Loaded for Pages<'_, T, X> {
    fn write(&self, position: usize, view: &Viewpoint, out: &mut Out) -> Fast<()> {
        let span = self.spans.get(position).ok_or(Slow)?;
        for (key, step) in &self.plan.steps {
            out.push(key)?;
            match step {
                InConnection::Typename => out.text(&self.type_names[0])?,
                InConnection::Edges(steps) => {
                    out.push(b"[")?;
                    for node in span.nodes.clone() {
                        if node > span.nodes.start {
                            out.push(b",")?;
                        }
                        self.edge(span, node, steps, view, out)?;
                    }
                    out.push(b"]")?;
                }
                InConnection::PageInfo(steps) => self.page_info(span, steps, out)?,
            }
        }
        out.push(b"}")
    }
}

impl<T: Item, X: Edges<T>> Output for ListOf<T, X> {
    type Plan = ConnectionPlan<T>;

    fn plan(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<ConnectionPlan<T>> {
        asked.plan_read();
        ConnectionPlan::of::<X>(asked, sets)
    }

    fn load<'a>(view: &'a Viewpoint, values: Vec<Self>, plan: &'a ConnectionPlan<T>) -> Loading<'a> {
        Box::pin(async move {
            let Some(page) = values.first().map(|list| list.page.clone()) else {
                return Ok(Box::new(Nothing) as Box<dyn Loaded>);
            };
            let slices = slices(view, &values, plan.columns()).await.map_err(|_| Slow)?;
            let mut nodes: Vec<T> = Vec::with_capacity(slices.iter().map(|slice| slice.rows.len()).sum());
            let mut spans = Vec::with_capacity(slices.len());
            for (slice, list) in slices.into_iter().zip(values) {
                let start = nodes.len();
                nodes.extend(slice.rows.into_iter().map(T::from));
                spans.push(Span {
                    nodes: start..nodes.len(),
                    has_previous: slice.has_previous,
                    has_next: slice.has_next,
                    edges: list.edges,
                });
            }
            let nodes = match &plan.node {
                Some(plan) => Nodes::Loaded(Level::of(view, nodes, plan).await?),
                None => Nodes::Rows(nodes),
            };
            let type_names = X::type_names();
            Ok(Box::new(Pages { nodes, spans, page, plan, type_names }) as Box<dyn Loaded>)
        })
    }
}

/// Reads the pages of lists that are asked for in one place of a query, so that their arguments are equal. A list that
/// is not under a row can be asked for only once in a place.
async fn slices<T: Item, X>(
    view: &Viewpoint,
    lists: &[ListOf<T, X>],
    columns: ColumnSet,
) -> Result<Vec<Slice<T::Row>>> {
    let Some(ListOf { is_shared, page, filters, .. }) = lists.first() else { return Ok(Vec::new()) };
    let batch = view.loaders().batch_loader();
    let parents: Vec<Uuid> = lists.iter().filter_map(|list| list.parent).collect();
    if parents.len() == lists.len() {
        return batch.under::<T>(&parents, *is_shared, &page.page, filters, columns).await;
    }
    if lists.len() > 1 {
        return Err(Error::broken("several lists in one place of a query are not under a row").into());
    }
    Ok(vec![batch.list::<T>(page, filters, columns).await?])
}

impl<T: Item, X: Edges<T>> OutputType for ListOf<T, X> {
    fn type_name() -> Cow<'static, str> {
        <X::Shown as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <X::Shown as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <X::Shown as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        if let Some(bytes) = rendered(self, ctx).await {
            return Ok(bytes);
        }
        let view = ctx.viewpoint();
        let connection: Result<X::Shown> = async {
            let slice = match self.parent {
                Some(parent) => {
                    let key = Children::<T> {
                        parent,
                        is_shared: self.is_shared,
                        page: self.page.page,
                        filters: self.filters.clone(),
                        of: PhantomData,
                    };
                    view.loaders().load(key).await?.ok_or_else(|| Error::broken("a list was not loaded"))?
                }
                None => {
                    let _reading = view.loaders().reading();
                    view.loaders().batch_loader().list::<T>(&self.page, &self.filters, ColumnSet::ALL).await?
                }
            };
            let connection = Connection::sorted(slice, |row| self.page.cursor_of(row), T::from)?;
            Ok(self.edges.clone().show(connection))
        }
        .await;
        match connection {
            Ok(connection) => connection.resolve(ctx, field).await,
            Err(fault) => Err(failed(fault, ctx, field)),
        }
    }
}
