//! `audit_log`: every operation with its caller and result. Rows are never changed and form a hash chain.

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
    /// Object that the operation created, changed or read.
    pub object_id: Option<Uuid>,
    /// `done`, an error code, or `REFRESH_TOKEN_REPLAYED`.
    pub decision: String,
    pub request_id: Uuid,
    /// Time by the system clock.
    pub recorded_at: DateTimeUtc,
    /// Number within the partner, without gaps; absent until the row is sealed.
    pub seq: Option<i64>,
    /// SHA-256 of the previous row's hash and the columns above; absent until the row is sealed.
    pub hash: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
