//! Data loaders of a request. They batch reads, so that no list causes one statement per row.

mod keyed;
mod rows;

use super::levels::{Levels, Reading};
use crate::wire::Result;
use async_graphql::dataloader::DataLoader;
use domain::{
    Actor, Error, Scope, Who,
    access::second_factors::Factors,
    accounts,
    app::App,
    kernel::{
        db::Reader,
        lists::Filter,
        pages::{Page, Slice},
    },
    trading::{balances::Balance, market::Quote},
};
use entity::{account, bank_account, kyc, screening_hit};
use keyed::{BalanceOf, ById, Children, DefaultOf, FactorsOf, HitsOf, KycOf, QuoteOf};
use sea_orm::{DatabaseExecutor, EntityTrait};
use std::{marker::PhantomData, ops::Deref, sync::Arc, time::Duration};
use uuid::Uuid;

/// Batch loader of one request: reads rows on behalf of one caller.
pub struct BatchLoader {
    app: App,
    actor: Actor,
    reader: Arc<Reader>,
}

impl BatchLoader {
    /// Returns the partner that owns the rows to load; `None` without credentials, which give access to
    /// instruments only.
    ///
    /// Fails for callers without the scope, so that the payload of a mutation never reveals more than a
    /// query. For a signed-in user, the rows of all users of the partner are loaded: queries start from the
    /// user's own objects, and relations that could lead to another user call [`Loaders::find_own`].
    fn access_scope(&self, scope: Scope) -> Result<Option<Uuid>> {
        match &self.actor.who {
            Who::Anonymous => Ok(None),
            Who::Partner(_) | Who::User(_) => Ok(Some(self.actor.access_scope(scope)?.partner_id)),
        }
    }
}

/// Data loaders of one request.
pub struct Loaders {
    loader: DataLoader<BatchLoader>,
    reader: Arc<Reader>,
    levels: Levels,
    /// The signed-in user, if the caller is one; `find_own` returns only rows of this user.
    only: Option<Uuid>,
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
        let only = actor.access_scope(Scope::Read).ok().and_then(|access_scope| access_scope.user_id);
        let batches = levels.clone();
        // A level is never split into several batches; the limits of the guard bound its number of keys.
        let loader = DataLoader::new(batch_loader, move |batch| batches.add(batch))
            .delay(Duration::ZERO)
            .max_batch_size(usize::MAX);
        Self { loader, reader, levels, only }
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

    /// Returns the row with this id, if the partner of the caller may see it.
    pub async fn find<E: Row>(&self, id: Uuid) -> Result<Option<E::Model>>
    where
        E::Model: Clone + Send + Sync,
    {
        self.loader.load_one(ById::<E>(id, PhantomData)).await
    }

    /// Returns the row with this id, if the caller may see it. A signed-in user may see only their own rows.
    /// Use this for ids from a request and for relations that can lead to another user.
    pub async fn find_own<E: Row>(&self, id: Uuid) -> Result<Option<E::Model>>
    where
        E::Model: Clone + Send + Sync,
    {
        let Some(row) = self.find::<E>(id).await? else { return Ok(None) };
        let Some(only) = self.only else { return Ok(Some(row)) };
        let own = match E::owner(&row) {
            Owner::Everyone => true,
            Owner::Partner => false,
            Owner::User(user) => user == only,
            Owner::Owners(of) => of.contains(&Some(only)),
            Owner::Account(account) => self
                .find::<account::Entity>(account)
                .await?
                .is_some_and(|account| accounts::owners(&account).any(|owner| owner == only)),
            Owner::Kyc(check) => {
                self.find::<kyc::Entity>(check).await?.is_some_and(|check| check.user_id == Some(only))
            }
        };
        Ok(own.then_some(row))
    }

    /// Returns the row with this id, to which another row refers. Fails if it does not exist.
    pub async fn get<E: Row>(&self, id: Uuid) -> Result<E::Model>
    where
        E::Model: Clone + Send + Sync,
    {
        self.find::<E>(id)
            .await?
            .ok_or_else(|| Error::broken("a row refers to a row that was not found").into())
    }

    /// Returns a page of the children of one parent that match all filters.
    pub async fn children<E: Child>(
        &self,
        parent: Uuid,
        page: Page,
        filters: Vec<Filter>,
    ) -> Result<Slice<E::Model>>
    where
        E::Model: Clone + Send + Sync,
    {
        let rows = self.loader.load_one(Children::<E> { parent, page, filters, of: PhantomData }).await?;
        let mut rows = rows.unwrap_or_default();
        page.sort(&mut rows, E::id_of);
        Ok(page.cut(rows))
    }

    /// Returns the balance of an account; `None` while market prices are unavailable.
    pub async fn balance(&self, account: Uuid) -> Result<Option<Balance>> {
        self.loader.load_one(BalanceOf(account)).await
    }

    /// Returns the current quote of an instrument for the partner of the caller.
    pub async fn quote(&self, instrument: Uuid) -> Result<Option<Quote>> {
        self.loader.load_one(QuoteOf(instrument)).await
    }

    /// Returns the second factors that a user has set up.
    pub async fn factors(&self, user: Uuid) -> Result<Factors> {
        Ok(self.loader.load_one(FactorsOf(user)).await?.unwrap_or_default())
    }

    /// Returns the default bank account of a user.
    pub async fn default_bank_account(&self, user: Uuid) -> Result<Option<bank_account::Model>> {
        self.loader.load_one(DefaultOf(user)).await
    }

    /// Returns the current identity check of a user.
    pub async fn kyc(&self, user: Uuid) -> Result<Option<kyc::Model>> {
        self.loader.load_one(KycOf(user)).await
    }

    /// Returns the watch-list hits of an identity check, best match first.
    pub async fn hits(&self, kyc: Uuid) -> Result<Vec<screening_hit::Model>> {
        Ok(self.loader.load_one(HitsOf(kyc)).await?.unwrap_or_default())
    }
}

/// Database connection that one field reads from. No batch is loaded until it is dropped.
pub struct Connection<'a> {
    executor: DatabaseExecutor<'a>,
    _reading: Reading,
}

impl<'a> Deref for Connection<'a> {
    type Target = DatabaseExecutor<'a>;

    fn deref(&self) -> &Self::Target {
        &self.executor
    }
}

/// Owner of a row.
pub enum Owner {
    Everyone,
    Partner,
    User(Uuid),
    /// One or two users.
    Owners([Option<Uuid>; 2]),
    Kyc(Uuid),
    Account(Uuid),
}

/// Table with rows that are loaded by id.
pub trait Row: EntityTrait + Send + Sync + 'static {
    /// Scope required to see the rows.
    const SCOPE: Scope = Scope::Read;
    /// Column of the id.
    fn id() -> Self::Column;
    /// Column of the partner that owns the row; none if every caller may see the rows.
    fn partner() -> Option<Self::Column>;
    /// Returns the id of a row.
    fn id_of(row: &Self::Model) -> Uuid;
    /// Returns the owner of a row.
    fn owner(row: &Self::Model) -> Owner;
}

/// Table with rows that are listed under a parent row.
pub trait Child: Row + Default {
    /// Columns of the parent ids.
    const PARENTS: &'static [Self::Column];
    /// Returns the parent ids of a row, in the order of the columns.
    fn parents_of(row: &Self::Model) -> impl Iterator<Item = Uuid>;
    /// Column of the time when a row was removed. Removed rows are not listed.
    fn removed_at() -> Option<Self::Column> {
        None
    }
}
