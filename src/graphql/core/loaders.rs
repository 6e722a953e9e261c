//! One batch for each kind of thing a request reads, so that no list causes a statement per row.

use super::levels::{Levels, Reading};
use crate::wire::{Fault, Result};
use async_graphql::dataloader::{DataLoader, Loader};
use domain::{
    Actor, Error, Scope, Who,
    access::second_factors::{self, Factors},
    accounts,
    app::App,
    funding::bank_accounts,
    kernel::{
        clock,
        db::Reader,
        pages::{Page, Slice},
    },
    trading::{
        balances::{self, Balance},
        market::{self, Quote},
    },
};
use entity::{
    account, api_key, bank_account, fill, instrument, invitation, kyc, kyc_document, message, order, partner,
    position, screening_exception, screening_hit, transfer, user,
};
use sea_orm::{ColumnTrait, DatabaseExecutor, EntityTrait, QueryFilter, QueryOrder};
use std::{collections::HashMap, hash::Hash, marker::PhantomData, ops::Deref, sync::Arc, time::Duration};
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
            Who::Nobody => Ok(None),
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

macro_rules! rows {
    ($($module:ident of $owner:ident $owned:ident $(by $parent:ident / $field:ident $(, $state:ident)?)?;)*) => {
        $(
            impl Row for $module::Entity {
                fn id() -> Self::Column { $module::Column::Id }
                fn partner() -> Option<Self::Column> { Some($module::Column::PartnerId) }
                fn id_of(row: &Self::Model) -> Uuid { row.id }
                fn owner(row: &Self::Model) -> Owner { Owner::$owner(row.$owned) }
            }
            $(
                impl Child for $module::Entity {
                    fn parent() -> Self::Column { $module::Column::$parent }
                    fn parent_of(row: &Self::Model) -> Uuid { row.$field }
                    $(fn state() -> Option<Self::Column> { Some($module::Column::$state) })?
                }
            )?
        )*
    };
}

rows! {
    user of User id;
    transfer of Account account_id by AccountId / account_id;
    order of Account account_id by AccountId / account_id, Status;
    position of Account account_id by AccountId / account_id;
    fill of Account account_id by OrderId / order_id;
    kyc_document of Kyc kyc_id by KycId / kyc_id;
}

impl Row for account::Entity {
    fn id() -> Self::Column {
        account::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        Some(account::Column::PartnerId)
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(row: &Self::Model) -> Owner {
        Owner::Owners([Some(row.user_id), row.joint_member_id])
    }
}

impl Child for account::Entity {
    fn parent() -> Self::Column {
        account::Column::UserId
    }

    fn parent_of(row: &Self::Model) -> Uuid {
        row.user_id
    }
}

/// Joint accounts under their joint members.
pub struct JointMember;

impl Child<JointMember> for account::Entity {
    fn parent() -> Self::Column {
        account::Column::JointMemberId
    }

    fn parent_of(row: &Self::Model) -> Uuid {
        row.joint_member_id.unwrap_or_default()
    }
}

impl Row for bank_account::Entity {
    fn id() -> Self::Column {
        bank_account::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        Some(bank_account::Column::PartnerId)
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(row: &Self::Model) -> Owner {
        Owner::User(row.user_id)
    }
}

impl Child for bank_account::Entity {
    fn parent() -> Self::Column {
        bank_account::Column::UserId
    }

    fn parent_of(row: &Self::Model) -> Uuid {
        row.user_id
    }

    fn gone() -> Option<Self::Column> {
        Some(bank_account::Column::RemovedAt)
    }
}

impl Row for kyc::Entity {
    fn id() -> Self::Column {
        kyc::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        Some(kyc::Column::PartnerId)
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(row: &Self::Model) -> Owner {
        row.user_id.map_or(Owner::Partner, Owner::User)
    }
}

impl Child for kyc::Entity {
    fn parent() -> Self::Column {
        kyc::Column::UserId
    }

    fn parent_of(row: &Self::Model) -> Uuid {
        row.user_id.unwrap_or_default()
    }
}

macro_rules! rows_for_operators {
    ($($module:ident)*) => {
        $(
            impl Row for $module::Entity {
                const SCOPE: Scope = Scope::Operate;

                fn id() -> Self::Column { $module::Column::Id }
                fn partner() -> Option<Self::Column> { Some($module::Column::PartnerId) }
                fn id_of(row: &Self::Model) -> Uuid { row.id }
                fn owner(_: &Self::Model) -> Owner { Owner::Partner }
            }
        )*
    };
}

rows_for_operators! { api_key screening_exception screening_hit }

impl Row for invitation::Entity {
    fn id() -> Self::Column {
        invitation::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        Some(invitation::Column::PartnerId)
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(_: &Self::Model) -> Owner {
        Owner::Partner
    }
}

impl Row for instrument::Entity {
    fn id() -> Self::Column {
        instrument::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        None
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(_: &Self::Model) -> Owner {
        Owner::Everyone
    }
}

impl Row for partner::Entity {
    fn id() -> Self::Column {
        partner::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        Some(partner::Column::Id)
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(_: &Self::Model) -> Owner {
        Owner::Partner
    }
}

impl Row for message::Entity {
    fn id() -> Self::Column {
        message::Column::Id
    }

    fn partner() -> Option<Self::Column> {
        Some(message::Column::PartnerId)
    }

    fn id_of(row: &Self::Model) -> Uuid {
        row.id
    }

    fn owner(_: &Self::Model) -> Owner {
        Owner::Partner
    }
}

struct ById<E>(Uuid, PhantomData<E>);

impl<E> Clone for ById<E> {
    fn clone(&self) -> Self {
        Self(self.0, PhantomData)
    }
}

impl<E> PartialEq for ById<E> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<E> Eq for ById<E> {}

impl<E> Hash for ById<E> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<E: Row> Loader<ById<E>> for Reads
where
    E::Model: Clone + Send + Sync,
{
    type Value = E::Model;
    type Error = Fault;

    async fn load(&self, keys: &[ById<E>]) -> Result<HashMap<ById<E>, E::Model>> {
        let mut select = E::find().filter(E::id().is_in(keys.iter().map(|key| key.0)));
        if let Some(column) = E::partner() {
            let Some(partner_id) = self.access_scope(E::SCOPE)? else { return Ok(HashMap::new()) };
            select = select.filter(column.eq(partner_id));
        }
        let rows = select.all(&self.reader.connection().await?).await.map_err(Error::from)?;
        Ok(rows.into_iter().map(|row| (ById(E::id_of(&row), PhantomData), row)).collect())
    }
}

struct Children<E, By> {
    parent: Uuid,
    page: Page,
    states: Vec<String>,
    of: PhantomData<(E, By)>,
}

impl<E, By> Clone for Children<E, By> {
    fn clone(&self) -> Self {
        Self { parent: self.parent, page: self.page, states: self.states.clone(), of: PhantomData }
    }
}

impl<E, By> PartialEq for Children<E, By> {
    fn eq(&self, other: &Self) -> bool {
        self.parent == other.parent && self.page == other.page && self.states == other.states
    }
}

impl<E, By> Eq for Children<E, By> {}

impl<E, By> Hash for Children<E, By> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parent.hash(state);
        self.page.hash(state);
        self.states.hash(state);
    }
}

impl<E: Child<By>, By: Send + Sync + 'static> Loader<Children<E, By>> for Reads
where
    E::Model: Clone + Send + Sync,
{
    type Value = Vec<E::Model>;
    type Error = Fault;

    async fn load(&self, keys: &[Children<E, By>]) -> Result<HashMap<Children<E, By>, Vec<E::Model>>> {
        self.access_scope(Scope::Read)?;
        let connection = self.reader.connection().await?;
        let mut pages: HashMap<(Page, &[String]), Vec<Uuid>> = HashMap::new();
        for key in keys {
            pages.entry((key.page, &key.states)).or_default().push(key.parent);
        }
        let mut found: HashMap<Children<E, By>, Vec<E::Model>> =
            keys.iter().map(|key| (key.clone(), Vec::new())).collect();
        for ((page, states), parents) in pages {
            let only = E::state().filter(|_| !states.is_empty()).map(|column| (column, states));
            for row in page.of_each::<E>(&connection, E::parent(), &parents, only, E::gone()).await? {
                let key =
                    Children { parent: E::parent_of(&row), page, states: states.to_vec(), of: PhantomData };
                found.entry(key).or_default().push(row);
            }
        }
        Ok(found)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct KycOf(Uuid);

impl Loader<KycOf> for Reads {
    type Value = kyc::Model;
    type Error = Fault;

    async fn load(&self, keys: &[KycOf]) -> Result<HashMap<KycOf, kyc::Model>> {
        let Some(partner_id) = self.access_scope(Scope::Read)? else { return Ok(HashMap::new()) };
        let select = kyc::Entity::find()
            .filter(kyc::Column::UserId.is_in(keys.iter().map(|key| key.0)))
            .filter(kyc::Column::SupersededAt.is_null())
            .filter(kyc::Column::PartnerId.eq(partner_id));
        let rows = select.all(&self.reader.connection().await?).await.map_err(Error::from)?;
        Ok(rows.into_iter().filter_map(|row| Some((KycOf(row.user_id?), row))).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct HitsOf(Uuid);

impl Loader<HitsOf> for Reads {
    type Value = Vec<screening_hit::Model>;
    type Error = Fault;

    async fn load(&self, keys: &[HitsOf]) -> Result<HashMap<HitsOf, Vec<screening_hit::Model>>> {
        let Some(partner_id) = self.access_scope(Scope::Operate)? else { return Ok(HashMap::new()) };
        let select = screening_hit::Entity::find()
            .filter(screening_hit::Column::KycId.is_in(keys.iter().map(|key| key.0)))
            .filter(screening_hit::Column::PartnerId.eq(partner_id))
            .order_by_desc(screening_hit::Column::Score)
            .order_by_asc(screening_hit::Column::Entry);
        let mut found: HashMap<HitsOf, Vec<screening_hit::Model>> = HashMap::new();
        for row in select.all(&self.reader.connection().await?).await.map_err(Error::from)? {
            found.entry(HitsOf(row.kyc_id)).or_default().push(row);
        }
        Ok(found)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct DefaultOf(Uuid);

impl Loader<DefaultOf> for Reads {
    type Value = bank_account::Model;
    type Error = Fault;

    async fn load(&self, keys: &[DefaultOf]) -> Result<HashMap<DefaultOf, bank_account::Model>> {
        let Some(partner_id) = self.access_scope(Scope::Read)? else { return Ok(HashMap::new()) };
        let people: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let found = bank_accounts::defaults_of(&self.reader.connection().await?, partner_id, &people).await?;
        Ok(found.into_iter().map(|row| (DefaultOf(row.user_id), row)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct FactorsOf(Uuid);

impl Loader<FactorsOf> for Reads {
    type Value = Factors;
    type Error = Fault;

    async fn load(&self, keys: &[FactorsOf]) -> Result<HashMap<FactorsOf, Factors>> {
        let Some(partner_id) = self.access_scope(Scope::Read)? else { return Ok(HashMap::new()) };
        let people: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let found =
            second_factors::of_people(&self.app, &self.reader.connection().await?, partner_id, &people)
                .await?;
        Ok(found.into_iter().map(|(person, factors)| (FactorsOf(person), factors)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct BalanceOf(Uuid);

impl Loader<BalanceOf> for Reads {
    type Value = Balance;
    type Error = Fault;

    async fn load(&self, keys: &[BalanceOf]) -> Result<HashMap<BalanceOf, Balance>> {
        let Some(partner_id) = self.access_scope(Scope::Read)? else { return Ok(HashMap::new()) };
        let accounts: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        match balances::of_accounts(&self.app, &self.reader.connection().await?, partner_id, &accounts).await
        {
            Ok(balances) => {
                Ok(balances.into_iter().map(|(account, balance)| (BalanceOf(account), balance)).collect())
            }
            Err(domain::Error::Unavailable(_)) => Ok(HashMap::new()),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct QuoteOf(Uuid);

impl Loader<QuoteOf> for Reads {
    type Value = Quote;
    type Error = Fault;

    /// No quote, rather than a fault, where the partner has no market.
    async fn load(&self, keys: &[QuoteOf]) -> Result<HashMap<QuoteOf, Quote>> {
        let Some(partner_id) = self.actor.partner_id() else { return Ok(HashMap::new()) };
        let connection = self.reader.connection().await?;
        let partner = clock::partner(&connection, partner_id).await?;
        let select =
            instrument::Entity::find().filter(instrument::Column::Id.is_in(keys.iter().map(|key| key.0)));
        let instruments = select.all(&connection).await.map_err(Error::from)?;
        match market::quotes(&self.app, &connection, &partner, &instruments, clock::now_of(&partner)).await {
            Ok(quotes) => {
                Ok(quotes.into_iter().map(|(instrument, quote)| (QuoteOf(instrument), quote)).collect())
            }
            Err(domain::Error::Unavailable(_)) => Ok(HashMap::new()),
            Err(error) => Err(error.into()),
        }
    }
}
