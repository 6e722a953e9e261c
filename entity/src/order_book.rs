//! `order_book`: the state of the paper venue's order books, one for each partner and instrument.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order_book")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub partner_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub instrument_id: Uuid,
    /// Changes with the open orders, so that a server knows whether its copy of the book is current.
    pub version: Uuid,
    /// Time up to which bars were compared with the orders.
    pub matched_until: DateTimeUtc,
    /// Time up to which bars are complete because they were pushed, whatever the clock shows.
    pub pushed_until: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
