//! Data loaders of a request. They batch reads, so that no list causes one statement per row.

mod keyed;
mod rows;

use super::levels::{Levels, Reading};
use crate::wire::Result;
use async_graphql::dataloader::DataLoader;
use domain::{
    Actor, Error, Visible,
    access::second_factors::Factors,
    app::App,
    kernel::{
        actor::AccessScope,
        command::Identified,
        db::Reader,
        lists::Filter,
        pages::{Page, Slice},
    },
    trading::{balances::Balance, market::Quote},
};
use entity::{bank_account, invitation, kyc, screening_hit};
use keyed::{BalanceOf, ById, Children, DefaultOf, FactorsOf, HitsOf, InvitationOf, KycOf, QuoteOf};
use sea_orm::DatabaseExecutor;
use std::{marker::PhantomData, ops::Deref, sync::Arc, time::Duration};
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

    /// Returns the row with this id, to which another row refers, if the caller may see it.
    pub async fn find<E: Visible>(&self, id: Uuid) -> Result<Option<E::Model>> {
        self.loader.load_one(ById::<E>(id, PhantomData)).await
    }

    /// Returns the row with this id from a request, if the caller may see it.
    pub async fn find_listed<E: Visible>(&self, id: Uuid) -> Result<Option<E::Model>> {
        Ok(self.find::<E>(id).await?.filter(|row| E::LISTED.has(row)))
    }

    /// Returns the row with this id, to which another row refers. Fails if the caller may not see it.
    pub async fn get<E: Visible>(&self, id: Uuid) -> Result<E::Model> {
        self.find::<E>(id)
            .await?
            .ok_or_else(|| Error::broken("a row refers to a row that was not found").into())
    }

    /// Returns a page of the children of one parent that match all filters. Whoever may see the parent may see
    /// them.
    pub async fn children<E: Child>(
        &self,
        parent: Uuid,
        page: Page,
        filters: Vec<Filter>,
    ) -> Result<Slice<E::Model>> {
        let rows = self.loader.load_one(Children::<E> { parent, page, filters, of: PhantomData }).await?;
        let mut rows = rows.unwrap_or_default();
        page.sort(&mut rows, Identified::id);
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

    /// Returns the invitation that a user signed up with.
    pub async fn invitation_of_user(&self, id: Uuid) -> Result<Option<invitation::Model>> {
        self.loader.load_one(InvitationOf(id)).await
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

/// Table with rows that are listed under a parent row.
pub trait Child: Visible + Default {
    /// Columns of the parent ids.
    const PARENTS: &'static [Self::Column];
    /// Returns the parent ids of a row, in the order of the columns.
    fn parents_of(row: &Self::Model) -> impl Iterator<Item = Uuid>;
}
