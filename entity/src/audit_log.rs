//! `audit_log`: who asked for what, and what was decided. Never changed, sealed by a chain of hashes.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_log")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub principal_id: Uuid,
    pub operation: String,
    /// What came of it, or what was asked about.
    pub object_id: Option<Uuid>,
    /// `done`, the code of the refusal, or `REFRESH_TOKEN_REPLAYED`.
    pub decision: String,
    pub request_id: Uuid,
    /// By the system's clock.
    pub recorded_at: DateTimeUtc,
    /// Dense within the partner; absent until sealed.
    pub seq: Option<i64>,
    /// SHA-256 of the hash before and the columns above; absent until sealed.
    pub hash: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
