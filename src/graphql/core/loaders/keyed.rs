//! Keys of the data loaders: rows by id, children by parent, and special cases.

use super::BatchLoader;
use crate::{
    graphql::core::nodes::Item,
    wire::{Fault, Result},
};
use async_graphql::dataloader::Loader;
use domain::{
    Error, Visible,
    access::{
        invitations,
        second_factors::{self, Factors},
    },
    compliance::kyc::{hits, reviews},
    funding::{
        bank_accounts,
        timeline::{self, Step},
    },
    kernel::{
        clock,
        lists::Filter,
        pages::{Page, Slice},
    },
    trading::{
        balances::{self, Balance},
        bars::{self, Bar, ChartRange},
        instruments,
        market::{self, Quote},
        positions::{self, Valuation},
    },
};
use entity::positional::ColumnSet;
use entity::{
    account, bank_account, instrument, invitation, kyc, kyc_review, partner, position, screening_exception,
    screening_hit, transfer, user,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use std::{collections::HashMap, hash::Hash, marker::PhantomData, sync::Arc};
use uuid::Uuid;

/// The row with this id, to which another row refers.
pub struct ById<T>(pub Uuid, pub PhantomData<fn() -> T>);

impl<T> ById<T> {
    pub const fn of(id: Uuid) -> Self {
        Self(id, PhantomData)
    }
}

impl<T> Clone for ById<T> {
    fn clone(&self) -> Self {
        Self(self.0, PhantomData)
    }
}

impl<T> PartialEq for ById<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for ById<T> {}

impl<T> Hash for ById<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T: Item> Loader<ById<T>> for BatchLoader {
    type Value = T::Row;
    type Error = Fault;

    async fn load(&self, keys: &[ById<T>]) -> Result<HashMap<ById<T>, T::Row>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = self.by_ids::<T>(&ids, ColumnSet::ALL).await?;
        Ok(rows.into_iter().map(|row| (ById(row.row_id(), PhantomData), row.row().clone())).collect())
    }
}

/// A page of the children of one parent.
pub struct Children<T> {
    pub parent: Uuid,
    pub is_shared: bool,
    pub page: Page,
    pub filters: Arc<[Filter]>,
    pub of: PhantomData<fn() -> T>,
}

impl<T> Clone for Children<T> {
    fn clone(&self) -> Self {
        Self { filters: self.filters.clone(), ..*self }
    }
}

impl<T> PartialEq for Children<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.parent, self.is_shared, self.page) == (other.parent, other.is_shared, other.page)
            && self.filters == other.filters
    }
}

impl<T> Eq for Children<T> {}

impl<T> Hash for Children<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.parent, self.is_shared, self.page).hash(state);
        self.filters.hash(state);
    }
}

/// Keys that differ only in their parents.
type ByPage<'a, T> = HashMap<(bool, Page, &'a [Filter]), Vec<&'a Children<T>>>;

impl<T: Item> Loader<Children<T>> for BatchLoader {
    type Value = Slice<T::Row>;
    type Error = Fault;

    async fn load(&self, keys: &[Children<T>]) -> Result<HashMap<Children<T>, Slice<T::Row>>> {
        let mut pages: ByPage<'_, T> = HashMap::new();
        for key in keys {
            pages.entry((key.is_shared, key.page, &key.filters)).or_default().push(key);
        }
        let mut found = HashMap::new();
        for ((is_shared, page, filters), keys) in pages {
            let parents: Vec<_> = keys.iter().map(|key| key.parent).collect();
            let slices = self.under::<T>(&parents, is_shared, &page, filters, ColumnSet::ALL).await?;
            found.extend(keys.into_iter().cloned().zip(slices));
        }
        Ok(found)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KycOf(pub Uuid);

impl Loader<KycOf> for BatchLoader {
    type Value = kyc::Model;
    type Error = Fault;

    async fn load(&self, keys: &[KycOf]) -> Result<HashMap<KycOf, kyc::Model>> {
        let Some(access_scope) = self.access::<kyc::Entity>()? else { return Ok(HashMap::new()) };
        let select = kyc::Entity::within(access_scope)
            .filter(kyc::Column::UserId.is_in(keys.iter().map(|key| key.0)))
            .filter(kyc::Column::SupersededAt.is_null());
        let rows = select.all(&self.reader.connection().await?).await.map_err(Error::from)?;
        Ok(rows.into_iter().filter_map(|row| Some((KycOf(row.user_id?), row))).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HitsOf(pub Uuid);

impl Loader<HitsOf> for BatchLoader {
    type Value = Vec<screening_hit::Model>;
    type Error = Fault;

    async fn load(&self, keys: &[HitsOf]) -> Result<HashMap<HitsOf, Vec<screening_hit::Model>>> {
        let Some(access_scope) = self.access::<screening_hit::Entity>()? else { return Ok(HashMap::new()) };
        let checks: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let mut found: HashMap<HitsOf, Vec<screening_hit::Model>> = HashMap::new();
        for row in hits::of_checks(&self.reader.connection().await?, access_scope, &checks).await? {
            found.entry(HitsOf(row.kyc_id)).or_default().push(row);
        }
        Ok(found)
    }
}

/// The last review of an identity check that a reviewer decided.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReviewOf(pub Uuid);

impl Loader<ReviewOf> for BatchLoader {
    type Value = kyc_review::Model;
    type Error = Fault;

    async fn load(&self, keys: &[ReviewOf]) -> Result<HashMap<ReviewOf, kyc_review::Model>> {
        let Some(access_scope) = self.access::<kyc_review::Entity>()? else { return Ok(HashMap::new()) };
        let checks: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let found =
            reviews::decided_of_checks(&self.reader.connection().await?, access_scope, &checks).await?;
        Ok(found.into_iter().map(|row| (ReviewOf(row.kyc_id), row)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DefaultOf(pub Uuid);

impl Loader<DefaultOf> for BatchLoader {
    type Value = bank_account::Model;
    type Error = Fault;

    async fn load(&self, keys: &[DefaultOf]) -> Result<HashMap<DefaultOf, bank_account::Model>> {
        let Some(access_scope) = self.access::<bank_account::Entity>()? else { return Ok(HashMap::new()) };
        let users: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let found =
            bank_accounts::defaults_of(&self.reader.connection().await?, access_scope, &users).await?;
        Ok(found.into_iter().map(|row| (DefaultOf(row.user_id), row)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FactorsOf(pub Uuid);

impl Loader<FactorsOf> for BatchLoader {
    type Value = Factors;
    type Error = Fault;

    async fn load(&self, keys: &[FactorsOf]) -> Result<HashMap<FactorsOf, Factors>> {
        let Some(access_scope) = self.access::<user::Entity>()? else { return Ok(HashMap::new()) };
        let users: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let connection = self.reader.connection().await?;
        let found = second_factors::of_users(&self.app, &connection, access_scope.partner_id, &users).await?;
        Ok(found.into_iter().map(|(user, factors)| (FactorsOf(user), factors)).collect())
    }
}

/// The invitation that a user signed up with, by the id of the invitation. Users may not see invitations, but
/// their own names their employer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InvitationOf(pub Uuid);

impl Loader<InvitationOf> for BatchLoader {
    type Value = invitation::Model;
    type Error = Fault;

    async fn load(&self, keys: &[InvitationOf]) -> Result<HashMap<InvitationOf, invitation::Model>> {
        let Some(access_scope) = self.access::<user::Entity>()? else { return Ok(HashMap::new()) };
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let connection = self.reader.connection().await?;
        let found = invitations::of_users(&connection, access_scope.partner_id, &ids).await?;
        Ok(found.into_iter().map(|row| (InvitationOf(row.id), row)).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BalanceOf(pub Uuid);

impl Loader<BalanceOf> for BatchLoader {
    type Value = Balance;
    type Error = Fault;

    async fn load(&self, keys: &[BalanceOf]) -> Result<HashMap<BalanceOf, Balance>> {
        let Some(access_scope) = self.access::<account::Entity>()? else { return Ok(HashMap::new()) };
        let accounts: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let connection = self.reader.connection().await?;
        match balances::of_accounts(&self.app, &connection, access_scope.partner_id, &accounts).await {
            Ok(balances) => {
                Ok(balances.into_iter().map(|(account, balance)| (BalanceOf(account), balance)).collect())
            }
            Err(domain::Error::Unavailable(_)) => Ok(HashMap::new()),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct QuoteOf(pub Uuid);

impl Loader<QuoteOf> for BatchLoader {
    type Value = Quote;
    type Error = Fault;

    /// Returns no quotes instead of an error if the partner has no market.
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

/// The partner of the caller, also for its users, who do not see it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwnPartner;

impl Loader<OwnPartner> for BatchLoader {
    type Value = partner::Model;
    type Error = Fault;

    async fn load(&self, _: &[OwnPartner]) -> Result<HashMap<OwnPartner, partner::Model>> {
        let Some(partner_id) = self.actor.partner_id() else { return Ok(HashMap::new()) };
        let connection = self.reader.connection().await?;
        Ok(HashMap::from([(OwnPartner, clock::partner(&connection, partner_id).await?)]))
    }
}

/// The chart of an instrument, by its id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BarsOf(pub Uuid, pub ChartRange);

impl Loader<BarsOf> for BatchLoader {
    type Value = Arc<[Bar]>;
    type Error = Fault;

    /// Returns no bars instead of an error if the partner has no market.
    async fn load(&self, keys: &[BarsOf]) -> Result<HashMap<BarsOf, Arc<[Bar]>>> {
        let Some(partner_id) = self.actor.partner_id() else { return Ok(HashMap::new()) };
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let instruments = instruments::by_ids(&self.app, &ids).await?;
        let connection = self.reader.connection().await?;
        let partner = clock::partner(&connection, partner_id).await?;
        let mut found = HashMap::new();
        for key in keys {
            let Some(instrument) = instruments.get(&key.0) else { continue };
            match bars::chart(&self.app, &connection, &partner, instrument, key.1).await {
                Ok(chart) => found.insert(*key, chart.into()),
                Err(Error::Unavailable(_)) => return Ok(HashMap::new()),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(found)
    }
}

/// What a position is worth, by its account and its instrument.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ValuationOf(pub Uuid, pub Uuid);

impl Loader<ValuationOf> for BatchLoader {
    type Value = Valuation;
    type Error = Fault;

    async fn load(&self, keys: &[ValuationOf]) -> Result<HashMap<ValuationOf, Valuation>> {
        let Some(access_scope) = self.access::<position::Entity>()? else { return Ok(HashMap::new()) };
        let positions: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        let connection = self.reader.connection().await?;
        match positions::valuations(&self.app, &connection, access_scope.partner_id, &positions).await {
            Ok(found) => Ok(found
                .into_iter()
                .map(|((account, of), value)| (ValuationOf(account, of), value))
                .collect()),
            Err(domain::Error::Unavailable(_)) => Ok(HashMap::new()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The states of a transfer, by its id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimelineOf(pub Uuid);

impl Loader<TimelineOf> for BatchLoader {
    type Value = Vec<Step>;
    type Error = Fault;

    async fn load(&self, keys: &[TimelineOf]) -> Result<HashMap<TimelineOf, Vec<Step>>> {
        let Some(access_scope) = self.access::<transfer::Entity>()? else { return Ok(HashMap::new()) };
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let found = timeline::of(&self.reader.connection().await?, access_scope, &ids).await?;
        Ok(found.into_iter().map(|(id, steps)| (TimelineOf(id), steps)).collect())
    }
}

/// An exception for a watch-list hit, by its id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExceptionOf(pub Uuid);

impl Loader<ExceptionOf> for BatchLoader {
    type Value = screening_exception::Model;
    type Error = Fault;

    async fn load(&self, keys: &[ExceptionOf]) -> Result<HashMap<ExceptionOf, screening_exception::Model>> {
        let Some(access_scope) = self.access::<screening_exception::Entity>()? else {
            return Ok(HashMap::new());
        };
        let select = screening_exception::Entity::referenced_within(access_scope)
            .filter(screening_exception::Column::Id.is_in(keys.iter().map(|key| key.0)));
        let rows = select.all(&self.reader.connection().await?).await.map_err(Error::from)?;
        Ok(rows.into_iter().map(|row| (ExceptionOf(row.id), row)).collect())
    }
}
