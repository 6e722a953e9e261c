//! Keys of the data loaders: rows by id, children by parent, and special cases.

use super::{BatchLoader, Child};
use crate::wire::{Fault, Result};
use async_graphql::dataloader::Loader;
use domain::{
    Error, Visible,
    access::{
        invitations,
        second_factors::{self, Factors},
    },
    compliance::kyc::hits,
    funding::bank_accounts,
    kernel::{clock, command::Identified, lists::Filter, pages::Page},
    trading::{
        balances::{self, Balance},
        market::{self, Quote},
    },
};
use entity::{account, bank_account, instrument, invitation, kyc, screening_hit, user};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use std::{collections::HashMap, hash::Hash, marker::PhantomData};
use uuid::Uuid;

pub struct ById<E>(pub Uuid, pub PhantomData<E>);

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

impl<E: Visible> Loader<ById<E>> for BatchLoader {
    type Value = E::Model;
    type Error = Fault;

    async fn load(&self, keys: &[ById<E>]) -> Result<HashMap<ById<E>, E::Model>> {
        let Some(access_scope) = self.access::<E>()? else { return Ok(HashMap::new()) };
        let select = E::referenced_within(access_scope).filter(E::ID.is_in(keys.iter().map(|key| key.0)));
        let rows = select.all(&self.reader.connection().await?).await.map_err(Error::from)?;
        Ok(rows.into_iter().map(|row| (ById(row.id(), PhantomData), row)).collect())
    }
}

pub struct Children<E> {
    pub parent: Uuid,
    pub page: Page,
    pub filters: Vec<Filter>,
    pub of: PhantomData<E>,
}

impl<E> Clone for Children<E> {
    fn clone(&self) -> Self {
        Self { parent: self.parent, page: self.page, filters: self.filters.clone(), of: PhantomData }
    }
}

impl<E> PartialEq for Children<E> {
    fn eq(&self, other: &Self) -> bool {
        self.parent == other.parent && self.page == other.page && self.filters == other.filters
    }
}

impl<E> Eq for Children<E> {}

impl<E> Hash for Children<E> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parent.hash(state);
        self.page.hash(state);
        self.filters.hash(state);
    }
}

impl<E: Child> Loader<Children<E>> for BatchLoader {
    type Value = Vec<E::Model>;
    type Error = Fault;

    async fn load(&self, keys: &[Children<E>]) -> Result<HashMap<Children<E>, Vec<E::Model>>> {
        let Some(_) = self.access::<E>()? else { return Ok(HashMap::new()) };
        let connection = self.reader.connection().await?;
        let mut pages: HashMap<(Page, &[Filter]), Vec<Uuid>> = HashMap::new();
        for key in keys {
            pages.entry((key.page, &key.filters)).or_default().push(key.parent);
        }
        let mut found: HashMap<Children<E>, Vec<E::Model>> =
            keys.iter().map(|key| (key.clone(), Vec::new())).collect();
        for ((page, filters), parents) in pages {
            for row in page.of_each::<E>(&connection, E::PARENTS, &parents, filters).await? {
                for parent in E::parents_of(&row) {
                    let key = Children { parent, page, filters: filters.to_vec(), of: PhantomData };
                    // A row of another parent of this batch is left out by `page.cut`, if it is too far.
                    if let Some(rows) = found.get_mut(&key)
                        && rows.iter().all(|known| known.id() != row.id())
                    {
                        rows.push(row.clone());
                    }
                }
            }
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
