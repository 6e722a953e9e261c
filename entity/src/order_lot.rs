//! `order_lot`: the lots that a sell order names, in the order in which they are sold.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order_lot")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub lot_id: Uuid,
    /// Place within the order, from 1.
    pub place: i32,
}

impl ActiveModelBehavior for ActiveModel {}
