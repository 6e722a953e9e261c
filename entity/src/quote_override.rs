//! `quote_override`: prices set by sandbox partners.

use crate::Price;
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "quote_override")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub partner_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub instrument_id: Uuid,
    pub bid: Price,
    pub ask: Price,
    pub set_at: DateTimeUtc,
    /// What had been set at the close of the session before `set_at`, if a price had, and when it was set.
    pub former_bid: Option<Price>,
    pub former_ask: Option<Price>,
    pub former_set_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
