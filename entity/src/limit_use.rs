//! `limit_use`: how much of a limit its subject has used, counted by all servers together.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "limit_use")]
pub struct Model {
    /// Keyed hash of the limit and its subject.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: Vec<u8>,
    /// Time by the system clock at which the uses are forgotten.
    pub ends_at: DateTimeUtc,
    /// Uses that servers have reserved and not returned, or attempts that have failed.
    pub used: i64,
    /// Size of the last reservation.
    pub granted: i64,
    /// Time by the system clock until which the next attempt must wait.
    pub blocked_until: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
