//! `rate_window`: how much of one caller's allowance has been given out to the servers until its window ends.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rate_window")]
pub struct Model {
    /// Stands for the allowance and for whom it is; says nothing of either.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: Vec<u8>,
    /// By the system's clock.
    pub ends_at: DateTimeUtc,
    /// Given out and not given back.
    pub used: i64,
    /// How much of it was given out last.
    pub granted: i64,
}

impl ActiveModelBehavior for ActiveModel {}
