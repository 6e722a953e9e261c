//! What methods return instead of rows: which rows, so that the engine loads those of a whole level at once.

use super::{
    Asked, Fast, Level, Loaded, Loading, Nothing, Out, Output, Plan, Slow, rendered,
    shared::{Found, Key, Keys},
};
use crate::{
    graphql::core::{
        context::{RequestContext, Viewpoint},
        loaders::{BatchLoader, ById, Children as ChildrenOf},
        nodes::Item,
    },
    wire::{Fault, Result},
};
use async_graphql::{
    ContextSelectionSet, ID, OutputType, Positioned, ServerError, ServerResult, Value,
    dataloader::Loader,
    parser::types::{Field, SelectionSet},
    registry::Registry,
};
use domain::{
    Error, Visible,
    kernel::{ids, pages::Page, visible::Listed},
};
use entity::positional::ColumnSet;
use futures_util::future::BoxFuture;
use std::{borrow::Cow, marker::PhantomData, sync::Arc};
use uuid::Uuid;

/// Makes the value of a field of what was found.
type Then<V, R> = dyn Fn(&Viewpoint, Option<V>) -> Result<R> + Send + Sync;

/// Reads the value of a field.
type Read<R> = dyn for<'a> Fn(&'a Viewpoint) -> BoxFuture<'a, Result<R>> + Send + Sync;

/// The value of a key of a batch loader, as `R`.
pub struct Lookup<K, R>
where
    K: Key,
    BatchLoader: Loader<K, Error = Fault>,
{
    key: Option<K>,
    then: Arc<Then<Found<K>, R>>,
}

/// Describes the value of `key`; `then` makes the value of the field of it. Without a key nothing is loaded.
pub fn lookup<K, R>(
    key: Option<K>,
    then: impl Fn(&Viewpoint, Option<Found<K>>) -> Result<R> + Send + Sync + 'static,
) -> Lookup<K, R>
where
    K: Key,
    BatchLoader: Loader<K, Error = Fault>,
{
    Lookup { key, then: Arc::new(then) }
}

impl<K, R> Output for Lookup<K, R>
where
    K: Key,
    R: Output,
    BatchLoader: Loader<K, Error = Fault>,
{
    type Plan = (Arc<Keys<K>>, R::Plan);

    fn plan(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<Self::Plan> {
        asked.plan_read();
        Ok((asked.plan_lookup(), R::plan(asked, sets)?))
    }

    fn load<'a>(view: &'a Viewpoint, values: Vec<Self>, (keys, plan): &'a Self::Plan) -> Loading<'a> {
        keys.want(values.iter().filter_map(|value| value.key.clone()));
        Box::pin(async move {
            keys.load(view).await?;
            let found = keys.values(values.iter().map(|value| value.key.as_ref()));
            let of = |(value, found): (&Self, _)| (value.then)(view, found).map_err(|_| Slow);
            let loaded: Vec<R> = values.iter().zip(found).map(of).collect::<Fast<_>>()?;
            if R::IS_LEAF {
                return Ok(Box::new(Leaves(loaded)) as Box<dyn Loaded>);
            }
            R::load(view, loaded, plan).await
        })
    }
}

/// Leaves that had to be loaded.
struct Leaves<R>(Vec<R>);

impl<R: Output> Loaded for Leaves<R> {
    fn write(&self, position: usize, _: &Viewpoint, out: &mut Out) -> Fast<()> {
        self.0.get(position).ok_or(Slow)?.write_leaf(out)
    }
}

/// A value that is read for one object of a level at a time. For root fields, of which there is one.
pub struct Fetch<R>(Arc<Read<R>>);

/// Returns a row to which another row refers. Fails if it was not found.
pub fn found<R>(row: Option<R>) -> Result<R> {
    row.ok_or_else(|| Error::broken("a row refers to a row that was not found").into())
}

/// Describes the value that `read` returns.
pub fn fetch<R>(
    read: impl for<'a> Fn(&'a Viewpoint) -> BoxFuture<'a, Result<R>> + Send + Sync + 'static,
) -> Fetch<R> {
    Fetch(Arc::new(read))
}

impl<R: Output> Output for Fetch<R> {
    type Plan = R::Plan;

    fn plan(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<R::Plan> {
        asked.plan_read();
        // It may need several statements.
        asked.plan_read();
        R::plan(asked, sets)
    }

    fn load<'a>(view: &'a Viewpoint, values: Vec<Self>, plan: &'a R::Plan) -> Loading<'a> {
        Box::pin(async move {
            let mut read = Vec::with_capacity(values.len());
            for value in &values {
                read.push((value.0)(view).await.map_err(|_| Slow)?);
            }
            if R::IS_LEAF {
                return Ok(Box::new(Leaves(read)) as Box<dyn Loaded>);
            }
            R::load(view, read, plan).await
        })
    }
}

/// The row with this id, to which another row refers. It must exist, and the caller must be able to see it.
pub struct One<T>(Uuid, PhantomData<fn() -> T>);

impl<T> One<T> {
    pub const fn of(id: Uuid) -> Self {
        Self(id, PhantomData)
    }
}

/// The row with this id, to which another row refers, or null if there is none or the caller may not see it.
pub struct Maybe<T> {
    id: Option<Uuid>,
    /// Whether the row must be one that is found by id and in lists.
    is_listed: bool,
    of: PhantomData<fn() -> T>,
}

impl<T> Maybe<T> {
    pub const fn of(id: Option<Uuid>) -> Self {
        Self { id, is_listed: false, of: PhantomData }
    }
}

impl<T: Item> Maybe<T> {
    /// Describes the row with an id from a request. Fails for callers without the scope.
    pub fn find(view: &Viewpoint, id: &ID) -> Result<Self> {
        Self::find_row(view, ids::parse(T::KIND, id))
    }

    /// Does the same as [`Maybe::find`] for the id of a row.
    pub fn find_row(view: &Viewpoint, id: Uuid) -> Result<Self> {
        T::Entity::access(view.actor())?;
        Ok(Self { id: Some(id), is_listed: true, of: PhantomData })
    }
}

/// What is selected of rows by id, with all rows of that type which the operation looks up by id.
type ReferredPlan<T> = (Arc<Keys<ById<T>>>, Plan<T>);

fn plan_referred<T: Item>(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<ReferredPlan<T>> {
    if !T::IN_MEMORY {
        asked.plan_read();
    }
    Ok((asked.plan_lookup(), Plan::of(asked, sets)?))
}

/// Rows by id, each written where it is referred to.
struct Referred<'a, T> {
    level: Level<'a, T>,
    places: Vec<Option<usize>>,
}

impl<T: Item> Loaded for Referred<'_, T> {
    fn write(&self, position: usize, view: &Viewpoint, out: &mut Out) -> Fast<()> {
        match self.places.get(position).ok_or(Slow)? {
            Some(place) => self.level.write(*place, view, out),
            None => out.push(b"null"),
        }
    }
}

/// Loads the rows with these ids, each once. If `must_exist`, a row that is not found is an error. If
/// `is_listed`, only rows are found that are listed.
fn referred<'a, T: Item>(
    view: &'a Viewpoint,
    ids: Vec<Option<Uuid>>,
    (keys, plan): &'a ReferredPlan<T>,
    must_exist: bool,
    is_listed: bool,
) -> Loading<'a> {
    if keys.are_shared() {
        keys.want(ids.iter().copied().flatten().map(ById::of));
    }
    Box::pin(async move {
        let mut distinct: Vec<Uuid> = ids.iter().copied().flatten().collect();
        distinct.sort_unstable();
        distinct.dedup();
        let listed = T::Entity::LISTED;
        let filters = is_listed && !matches!(listed, Listed::Always);
        let columns = if filters { ColumnSet::ALL } else { plan.columns::<T::Row>() };
        let mut rows: Vec<T> = if distinct.is_empty() {
            Vec::new()
        } else if keys.are_shared() {
            keys.load(view).await?;
            let wanted: Vec<_> = distinct.iter().copied().map(ById::<T>::of).collect();
            keys.values(wanted.iter().map(Some)).into_iter().flatten().map(T::from).collect()
        } else {
            view.loaders().batch_loader().by_ids::<T>(&distinct, columns).await.map_err(|_| Slow)?
        };
        if filters {
            rows.retain(|row| listed.has(row.row()));
        }
        let mut found: Vec<(Uuid, usize)> =
            rows.iter().enumerate().map(|(place, row)| (row.row_id(), place)).collect();
        found.sort_unstable();
        let place = |id: Option<Uuid>| -> Fast<Option<usize>> {
            let place = id.and_then(|id| {
                let position = found.binary_search_by_key(&id, |(id, _)| *id).ok()?;
                found.get(position).map(|(_, place)| *place)
            });
            if must_exist && place.is_none() { Err(Slow) } else { Ok(place) }
        };
        let places = ids.into_iter().map(place).collect::<Fast<_>>()?;
        Ok(Box::new(Referred { level: Level::of(view, rows, plan).await?, places }) as Box<dyn Loaded>)
    })
}

impl<T: Item> Output for One<T> {
    type Plan = ReferredPlan<T>;

    fn plan(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<ReferredPlan<T>> {
        plan_referred(asked, sets)
    }

    fn load<'a>(view: &'a Viewpoint, values: Vec<Self>, plan: &'a ReferredPlan<T>) -> Loading<'a> {
        referred(view, values.into_iter().map(|one| Some(one.0)).collect(), plan, true, false)
    }
}

impl<T: Item> Output for Maybe<T> {
    type Plan = ReferredPlan<T>;

    fn plan(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<ReferredPlan<T>> {
        plan_referred(asked, sets)
    }

    fn load<'a>(view: &'a Viewpoint, values: Vec<Self>, plan: &'a ReferredPlan<T>) -> Loading<'a> {
        let is_listed = values.iter().any(|maybe| maybe.is_listed);
        referred(view, values.into_iter().map(|maybe| maybe.id).collect(), plan, false, is_listed)
    }
}

/// All children of one parent on a page, as a plain list.
pub struct Children<T> {
    parent: Uuid,
    page: Page,
    of: PhantomData<fn() -> T>,
}

impl<T> Children<T> {
    pub const fn of(parent: Uuid, page: Page) -> Self {
        Self { parent, page, of: PhantomData }
    }
}

impl<T: Item> Output for Children<T> {
    type Plan = Plan<T>;

    fn plan(asked: &Asked<'_>, sets: &[&SelectionSet]) -> Fast<Plan<T>> {
        asked.plan_read();
        Plan::of(asked, sets)
    }

    fn load<'a>(view: &'a Viewpoint, values: Vec<Self>, plan: &'a Plan<T>) -> Loading<'a> {
        Box::pin(async move {
            let Some(page) = values.first().map(|list| list.page) else {
                return Ok(Box::new(Nothing) as Box<dyn Loaded>);
            };
            let parents: Vec<_> = values.iter().map(|list| list.parent).collect();
            let batch = view.loaders().batch_loader();
            let columns = plan.columns::<T::Row>();
            let lists = batch.under::<T>(&parents, false, &page, &[], columns).await.map_err(|_| Slow)?;
            let lists: Vec<Vec<T>> =
                lists.into_iter().map(|slice| slice.rows.into_iter().map(T::from).collect()).collect();
            <Vec<T> as Output>::load(view, lists, plan).await
        })
    }
}

/// Converts a fault to an error at the current field.
pub fn failed(fault: Fault, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerError {
    ctx.set_error_path(async_graphql::Error::from(fault).into_server_error(field.pos))
}

/// Implements the output type of a description: the same type as `$shown`, and for what the engine leaves to
/// the ordinary executor a value of it.
macro_rules! shown_as {
    ([$($bounds:tt)*] $description:ty as $shown:ty, |$this:ident, $view:ident| $ordinary:expr) => {
        impl<$($bounds)*> OutputType for $description {
            fn type_name() -> Cow<'static, str> {
                <$shown as OutputType>::type_name()
            }

            fn qualified_type_name() -> String {
                <$shown as OutputType>::qualified_type_name()
            }

            fn create_type_info(registry: &mut Registry) -> String {
                <$shown as OutputType>::create_type_info(registry)
            }

            async fn resolve(
                &self,
                ctx: &ContextSelectionSet<'_>,
                field: &Positioned<Field>,
            ) -> ServerResult<Value> {
                if let Some(bytes) = rendered(self, ctx).await {
                    return Ok(bytes);
                }
                let ($this, $view) = (self, ctx.viewpoint());
                let value: Result<$shown> = async { $ordinary }.await;
                match value {
                    Ok(value) => OutputType::resolve(&value, ctx, field).await,
                    Err(fault) => Err(failed(fault, ctx, field)),
                }
            }
        }
    };
}

impl<K, R> Clone for Lookup<K, R>
where
    K: Key,
    BatchLoader: Loader<K, Error = Fault>,
{
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), then: self.then.clone() }
    }
}

macro_rules! cloned {
    ($($description:ident { $($field:tt),* },)*) => {
        $(impl<T> Clone for $description<T> {
            fn clone(&self) -> Self { Self { $($field: self.$field),* } }
        })*
    };
}

cloned! { One { 0, 1 }, Maybe { id, is_listed, of }, Children { parent, page, of }, }

impl<K, R> OutputType for Lookup<K, R>
where
    K: Key,
    R: Output + OutputType,
    BatchLoader: Loader<K, Error = Fault>,
{
    fn type_name() -> Cow<'static, str> {
        R::type_name()
    }

    fn qualified_type_name() -> String {
        R::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        R::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        if let Some(bytes) = rendered(self, ctx).await {
            return Ok(bytes);
        }
        let view = ctx.viewpoint();
        let value: Result<R> = async {
            let found = match &self.key {
                Some(key) => view.loaders().load(key.clone()).await?,
                None => None,
            };
            (self.then)(view, found)
        }
        .await;
        match value {
            Ok(value) => value.resolve(ctx, field).await,
            Err(fault) => Err(failed(fault, ctx, field)),
        }
    }
}

shown_as!([T: Item] One<T> as T, |this, view| {
    let row = view.loaders().load(ById::<T>(this.0, PhantomData)).await?;
    Ok(T::from(found(row)?))
});

shown_as!([T: Item] Maybe<T> as Option<T>, |this, view| {
    let Some(id) = this.id else { return Ok(None) };
    let row = view.loaders().load(ById::<T>(id, PhantomData)).await?;
    Ok(row.filter(|row| !this.is_listed || T::Entity::LISTED.has(row)).map(T::from))
});

shown_as!([T: Item] Children<T> as Vec<T>, |this, view| {
    let key = ChildrenOf::<T> {
        parent: this.parent,
        is_shared: false,
        page: this.page,
        filters: Arc::default(),
        of: PhantomData,
    };
    let slice = view.loaders().load(key).await?;
    Ok(slice.map(|slice| slice.rows.into_iter().map(T::from).collect()).unwrap_or_default())
});

impl<R> Clone for Fetch<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

shown_as!([R: Output + OutputType] Fetch<R> as R, |this, view| {
    let _reading = view.loaders().reading();
    (this.0)(view).await
});
