//! `idempotency`: first response for each idempotency key, returned to repeated requests.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub partner_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub principal_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    pub operation: String,
    pub fingerprint: Vec<u8>,
    /// First response, encrypted; absent only while the first transaction is running.
    pub answer: Option<String>,
    pub claimed_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
