//! `event`: everything that happened, written with its effect; numbered and sealed after the commit.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// What it happened to.
    pub stream_id: Uuid,
    /// Counts from 1 within the stream.
    pub stream_version: i32,
    /// Who caused it: a key, a user, or nobody for a timer.
    pub actor_id: Option<Uuid>,
    /// Such as `order.filled`.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// JSON, byte for byte as it was hashed.
    pub payload: String,
    /// By the partner's clock.
    pub occurred_at: DateTimeUtc,
    /// SHA-256 over the columns above and the digests of the movements it caused.
    pub digest: Vec<u8>,
    /// Dense within the partner; absent until sealed.
    pub seq: Option<i64>,
    /// SHA-256 of the hash before and this digest; absent until sealed.
    pub hash: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
