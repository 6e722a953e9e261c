//! One batch for each kind of thing a request reads, so that no list causes a statement per row.

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
        pages::{Page, Slice},
    },
    trading::{balances::Balance, market::Quote},
};
use entity::{account, bank_account, kyc, screening_hit};
use keyed::{BalanceOf, ById, Children, DefaultOf, FactorsOf, HitsOf, KycOf, QuoteOf};
pub use rows::JointMember;
use sea_orm::{DatabaseExecutor, EntityTrait};
use std::{marker::PhantomData, ops::Deref, sync::Arc, time::Duration};
use uuid::Uuid;

/// Where a request's loaders read.
pub struct Reads {
    app: App,
    actor: Actor,
    reader: Arc<Reader>,
}

impl Reads {
    /// Whose rows are loaded: never those of another partner; without credentials, instruments only. Refused
    /// for callers who may not read, so that no payload of a mutation tells what a query would not. What a
    /// signed-in person sees first is her own, and so is all that it leads to; where it could lead to another
    /// person, `find_own` is asked.
    fn access_scope(&self, scope: Scope) -> Result<Option<Uuid>> {
        match &self.actor.who {
            Who::Anonymous => Ok(None),
            Who::Partner(_) | Who::User(_) => Ok(Some(self.actor.access_scope(scope)?.partner_id)),
        }
    }
}

/// One request's loaders.
pub struct Loaders {
    loader: DataLoader<Reads>,
    reader: Arc<Reader>,
    levels: Levels,
    /// The only person whose affairs there are for the caller.
    only: Option<Uuid>,
}

impl Loaders {
    /// Loaders over one reader, for what this caller may see.
    pub fn new(app: &App, actor: &Actor, reader: Reader, levels: Levels) -> Self {
        let reader = Arc::new(reader);
        let reads = Reads { app: app.clone(), actor: actor.clone(), reader: reader.clone() };
        let only = actor.access_scope(Scope::Read).ok().and_then(|access_scope| access_scope.user_id);
        let batches = levels.clone();
        // A level is never split, however many keys it has: the guard bounds them.
        let loader = DataLoader::new(reads, move |batch| batches.add(batch))
            .delay(Duration::ZERO)
            .max_batch_size(usize::MAX);
        Self { loader, reader, levels, only }
    }

    /// Where root fields read, so that they see what nested fields see. Nothing is loaded before it is
    /// dropped.
    pub async fn connection(&self) -> Result<Connection<'_>> {
        let reading = self.levels.reading();
        Ok(Connection { executor: self.reader.connection().await?, _reading: reading })
    }

    /// Tells that a field reads elsewhere until this is dropped, so that its level is loaded as one.
    pub fn reading(&self) -> Reading {
        self.levels.reading()
    }

    /// The row with this id, if the caller may see it.
    pub async fn find<E: Row>(&self, id: Uuid) -> Result<Option<E::Model>>
    where
        E::Model: Clone + Send + Sync,
    {
        self.loader.load_one(ById::<E>(id, PhantomData)).await
    }

    /// The row with this id, named by a stranger: a person who has signed in sees her own alone.
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

    /// The row with this id, which another row says is there.
    pub async fn get<E: Row>(&self, id: Uuid) -> Result<E::Model>
    where
        E::Model: Clone + Send + Sync,
    {
        self.find::<E>(id).await?.ok_or_else(|| Error::broken("a row names one that cannot be seen").into())
    }

    /// A page of one parent's children.
    pub async fn children<E: Child>(
        &self,
        parent: Uuid,
        page: Page,
        states: Vec<String>,
    ) -> Result<Slice<E::Model>>
    where
        E::Model: Clone + Send + Sync,
    {
        self.children_by::<E, ()>(parent, page, states).await
    }

    /// A page of one parent's children, found in the way that `By` tells.
    pub async fn children_by<E: Child<By>, By: Send + Sync + 'static>(
        &self,
        parent: Uuid,
        page: Page,
        states: Vec<String>,
    ) -> Result<Slice<E::Model>>
    where
        E::Model: Clone + Send + Sync,
    {
        let rows = self.loader.load_one(Children::<E, By> { parent, page, states, of: PhantomData }).await?;
        let mut rows = rows.unwrap_or_default();
        page.sort(&mut rows, E::id_of);
        Ok(page.cut(rows))
    }

    /// An account's balance.
    pub async fn balance(&self, account: Uuid) -> Result<Option<Balance>> {
        self.loader.load_one(BalanceOf(account)).await
    }

    /// What an instrument costs the caller's customers.
    pub async fn quote(&self, instrument: Uuid) -> Result<Option<Quote>> {
        self.loader.load_one(QuoteOf(instrument)).await
    }

    /// What a person has set up to prove herself by.
    pub async fn factors(&self, user: Uuid) -> Result<Factors> {
        Ok(self.loader.load_one(FactorsOf(user)).await?.unwrap_or_default())
    }

    /// A person's default bank account.
    pub async fn default_bank_account(&self, user: Uuid) -> Result<Option<bank_account::Model>> {
        self.loader.load_one(DefaultOf(user)).await
    }

    /// A person's identity check.
    pub async fn kyc(&self, user: Uuid) -> Result<Option<kyc::Model>> {
        self.loader.load_one(KycOf(user)).await
    }

    /// The entries of the watch list that resemble the person of an identity check, the most alike first.
    pub async fn hits(&self, kyc: Uuid) -> Result<Vec<screening_hit::Model>> {
        Ok(self.loader.load_one(HitsOf(kyc)).await?.unwrap_or_default())
    }
}

/// A connection that one field reads from.
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

/// Whom a row belongs to.
pub enum Owner {
    Everyone,
    Partner,
    User(Uuid),
    /// One person, or two.
    Owners([Option<Uuid>; 2]),
    Kyc(Uuid),
    Account(Uuid),
}

/// A table whose rows are loaded by id.
pub trait Row: EntityTrait + Send + Sync + 'static {
    /// What a caller needs to see the rows.
    const SCOPE: Scope = Scope::Read;
    /// The column of the id.
    fn id() -> Self::Column;
    /// The column of the partner whose rows they are; none for what everyone may see.
    fn partner() -> Option<Self::Column>;
    /// A row's id.
    fn id_of(row: &Self::Model) -> Uuid;
    /// Whom a row belongs to.
    fn owner(row: &Self::Model) -> Owner;
}

/// A table whose rows are listed under a parent; where there are several kinds of parents, `By` tells them
/// apart.
pub trait Child<By = ()>: Row + Default {
    /// The column of the parent.
    fn parent() -> Self::Column;
    /// A row's parent.
    fn parent_of(row: &Self::Model) -> Uuid;
    /// The column that a list may be narrowed by.
    fn state() -> Option<Self::Column> {
        None
    }
    /// The column that says when a row was removed, so that it is listed no more.
    fn gone() -> Option<Self::Column> {
        None
    }
}
