//! `api_key`: what a partner proves itself with. The key itself is never stored.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// The part of the key that may be shown.
    #[sea_orm(unique)]
    pub public_id: String,
    /// HMAC-SHA256 of the key under the house's pepper.
    #[serde(skip)]
    pub verifier: Vec<u8>,
    /// The two SHA-1 states that sign webhooks, encrypted.
    #[serde(skip)]
    pub signer: Vec<u8>,
    /// Space-separated.
    pub scopes: String,
    pub created_at: DateTimeUtc,
    pub revoked_at: Option<DateTimeUtc>,
    /// What its partner calls it.
    pub label: String,
    /// The key it takes the place of.
    pub rotated_from: Option<Uuid>,
    /// The first key of those that took each other's place; its own id for the first.
    pub lineage_id: Uuid,
    /// From when on it opens nothing, by the system's clock.
    pub expires_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .field("public_id", &self.public_id)
            .finish_non_exhaustive()
    }
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
