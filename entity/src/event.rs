//! `event`: event log. Events are written in the transaction of the change, and numbered and sealed after its
//! commit.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// Id of the object the event is about.
    pub stream_id: Uuid,
    /// Number within the stream, from 1.
    pub stream_version: i32,
    /// API key or user that caused the event; absent for a timer.
    pub actor_id: Option<Uuid>,
    /// Event type, for example `order.filled`.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// JSON, exactly as it was hashed.
    pub payload: String,
    /// Time by the partner's clock.
    pub occurred_at: DateTimeUtc,
    /// SHA-256 of the columns above and the digests of the ledger movements that the event caused.
    pub digest: Vec<u8>,
    /// Number within the partner, without gaps; absent until the row is sealed.
    pub seq: Option<i64>,
    /// SHA-256 of the previous row's hash and this digest; absent until the row is sealed.
    pub hash: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
