//! `rate_window`: how much of a caller's allowance the servers have reserved in the current window.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rate_window")]
pub struct Model {
    /// Opaque key of the allowance and its caller.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: Vec<u8>,
    /// Time by the system clock.
    pub ends_at: DateTimeUtc,
    /// Amount reserved and not returned.
    pub used: i64,
    /// Size of the last reservation.
    pub granted: i64,
}

impl ActiveModelBehavior for ActiveModel {}
