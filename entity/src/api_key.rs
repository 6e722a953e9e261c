//! `api_key`: API keys of partners. The key itself is never stored.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// Public part of the key.
    #[sea_orm(unique)]
    pub public_id: String,
    /// HMAC-SHA256 of the key with the server's pepper.
    #[serde(skip)]
    pub verifier: Vec<u8>,
    /// The two SHA-1 states for signing webhooks, encrypted.
    #[serde(skip)]
    pub signer: Vec<u8>,
    /// Scopes, separated by spaces.
    pub scopes: String,
    pub created_at: DateTimeUtc,
    pub revoked_at: Option<DateTimeUtc>,
    /// Label chosen by the partner.
    pub label: String,
    /// Key that this one replaces.
    pub rotated_from: Option<Uuid>,
    /// First key of the chain of rotations; the key's own id if it is the first.
    pub lineage_id: Uuid,
    /// Time by the system clock from which the key is invalid.
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
