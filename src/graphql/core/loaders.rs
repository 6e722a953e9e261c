//! Data loaders of a request. They batch reads, so that no list causes one statement per row.

mod keyed;

use super::{
    levels::{Levels, Reading},
    nodes::Item,
};
use crate::wire::{Fault, Result};
use async_graphql::dataloader::{DataLoader, Loader};
use domain::{
    Actor, Error, Visible,
    app::App,
    kernel::{
        actor::AccessScope,
        db::{ReadConnection, Reader},
        lists::{Filter, SortedPage},
        pages::{Page, Slice},
        rows::{self, Under},
    },
    trading::instruments,
};
use entity::positional::ColumnSet;
pub use keyed::{
    BalanceOf, BarsOf, ById, Children, DefaultOf, ExceptionOf, FactorsOf, HitsOf, InvitationOf, KycOf,
    OwnPartner, QuoteOf, ReviewOf, TimelineOf, ValuationOf,
};
use std::{hash::Hash, marker::PhantomData, ops::Deref, sync::Arc, time::Duration};
use uuid::Uuid;

/// Batch loader of one request: reads rows on behalf of one caller.
pub struct BatchLoader {
    app: App,
    actor: Actor,
    reader: Arc<Reader>,
}

impl BatchLoader {
    /// Returns the caller's access to the rows of a table; `None` without credentials.
    ///
    /// Fails for callers without the scope, so that the payload of a mutation never reveals more than a
    /// query.
    fn access<E: Visible>(&self) -> Result<Option<AccessScope>> {
        match E::access(&self.actor) {
            Ok(access_scope) => Ok(Some(access_scope)),
            Err(Error::Unauthenticated) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the rows with these ids that the caller may see, including those that are shown only by rows
    /// that refer to them.
    pub async fn by_ids<T: Item>(&self, ids: &[Uuid], columns: ColumnSet) -> Result<Vec<T>> {
        let Some(access_scope) = self.access::<T::Entity>()? else { return Ok(Vec::new()) };
        if T::IN_MEMORY {
            return Ok(T::from_memory(&self.app, ids).await?);
        }
        let connection = self.reader.connection().await?;
        let rows = rows::by_ids::<T::Entity>(&connection, access_scope, ids, columns).await?;
        Ok(rows.into_iter().map(T::from).collect())
    }

    /// Returns a page of the children of each parent: of all of them, or if other callers may see the parents too, of
    /// those that the caller may find.
    pub async fn under<T: Item>(
        &self,
        parents: &[Uuid],
        is_shared: bool,
        page: &Page,
        filters: &[Filter],
        columns: ColumnSet,
    ) -> Result<Vec<Slice<T::Row>>> {
        let Some(access_scope) = self.access::<T::Entity>()? else {
            return Ok(parents.iter().map(|_| page.cut(Vec::new())).collect());
        };
        let under = if is_shared {
            Under { columns: T::SHARED_PARENTS, within: Some(access_scope) }
        } else {
            Under { columns: T::PARENTS, within: None }
        };
        let filters = instruments::resolved(&self.app, self.actor.partner_id(), filters).await?;
        let connection = self.reader.connection().await?;
        Ok(rows::under::<T::Entity>(&connection, under, parents, page, &filters, columns).await?)
    }

    /// Returns a page of the rows that the caller can see. Fails for callers without the scope.
    pub async fn list<T: Item>(
        &self,
        page: &SortedPage<rows::ColumnOf<T::Entity>>,
        filters: &[Filter],
        columns: ColumnSet,
    ) -> Result<Slice<T::Row>> {
        let access_scope = T::Entity::access(&self.actor)?;
        if T::IN_MEMORY {
            // Lets what the rows are shown with be as current as the rows.
            T::from_memory(&self.app, &[]).await?;
        }
        let filters = instruments::resolved(&self.app, self.actor.partner_id(), filters).await?;
        let connection = self.reader.connection().await?;
        Ok(rows::list::<T::Entity>(&connection, access_scope, page, &filters, columns).await?)
    }
}

/// Data loaders of one request.
pub struct Loaders {
    loader: DataLoader<BatchLoader>,
    reader: Arc<Reader>,
    levels: Levels,
}

impl Loaders {
    /// Creates loaders that read with `reader` on behalf of `actor`.
    pub fn new(app: &App, actor: &Actor, reader: Reader, levels: Levels) -> Self {
        Self::of(app, actor, Arc::new(reader), levels)
    }

    /// Creates loaders that read with the same reader on behalf of `actor`.
    pub fn on_behalf_of(&self, actor: &Actor) -> Self {
        Self::of(&self.loader.loader().app, actor, self.reader.clone(), self.levels.clone())
    }

    fn of(app: &App, actor: &Actor, reader: Arc<Reader>, levels: Levels) -> Self {
        let batch_loader = BatchLoader { app: app.clone(), actor: actor.clone(), reader: reader.clone() };
        let batches = levels.clone();
        // A level is never split into several batches; the limits of the guard bound its number of keys.
        let loader = DataLoader::new(batch_loader, move |batch| batches.add(batch))
            .delay(Duration::ZERO)
            .max_batch_size(usize::MAX);
        Self { loader, reader, levels }
    }

    /// Returns the connection for reads of root fields, so that they see the same data as nested fields. No
    /// batch is loaded until it is dropped.
    pub async fn connection(&self) -> Result<Connection<'_>> {
        let reading = self.levels.reading();
        Ok(Connection { executor: self.reader.connection().await?, _reading: reading })
    }

    /// Marks that a field reads elsewhere until the returned guard is dropped, so that its level is loaded as
    /// one batch.
    pub fn reading(&self) -> Reading {
        self.levels.reading()
    }

    /// Notes that one statement is all that the request reads, so that it needs no snapshot.
    pub fn read_once(&self) {
        self.reader.read_once();
    }

    /// Returns the loader itself, which the breadth-first engine asks for all keys of a level.
    pub fn batch_loader(&self) -> &BatchLoader {
        self.loader.loader()
    }

    /// Returns the value of a key.
    pub async fn load<K>(&self, key: K) -> Result<Option<<BatchLoader as Loader<K>>::Value>>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        BatchLoader: Loader<K, Error = Fault>,
    {
        self.loader.load_one(key).await
    }

    /// Returns the row with this id, to which another row refers, if the caller may see it.
    pub async fn find<T: Item>(&self, id: Uuid) -> Result<Option<T::Row>> {
        self.load(ById::<T>(id, PhantomData)).await
    }

    /// Returns the row with this id from a request, if the caller may see it.
    pub async fn find_listed<T: Item>(&self, id: Uuid) -> Result<Option<T::Row>> {
        Ok(self.find::<T>(id).await?.filter(|row| T::Entity::LISTED.has(row)))
    }
}

/// Database connection that one field reads from. No batch is loaded until it is dropped.
pub struct Connection<'a> {
    executor: ReadConnection<'a>,
    _reading: Reading,
}

impl<'a> Deref for Connection<'a> {
    type Target = ReadConnection<'a>;

    fn deref(&self) -> &Self::Target {
        &self.executor
    }
}
