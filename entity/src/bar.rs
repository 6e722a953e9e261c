//! `bar`: prices of one minute that were pushed or imported for a partner.

use crate::{Price, Quantity};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bar")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub partner_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub instrument_id: Uuid,
    /// Start of the minute.
    #[sea_orm(primary_key, auto_increment = false)]
    pub starts_at: DateTimeUtc,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    /// Number of shares traded.
    pub volume: Quantity,
}

impl ActiveModelBehavior for ActiveModel {}
