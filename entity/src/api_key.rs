//! `api_key`: what a partner proves itself with. The key itself is never stored.

use sea_orm::entity::prelude::*;

#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// The part of the key that may be shown.
    #[sea_orm(unique)]
    pub public_id: String,
    /// HMAC-SHA256 of the key under the house's pepper.
    pub verifier: Vec<u8>,
    /// The two SHA-1 states that sign webhooks, encrypted.
    pub signer: Vec<u8>,
    /// Space-separated.
    pub scopes: String,
    pub created_at: DateTimeUtc,
    pub revoked_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).field("public_id", &self.public_id).finish_non_exhaustive()
    }
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
