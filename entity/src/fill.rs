//! `fill`: fills of orders, with their settlement dates.

use crate::{Money, Price, Quantity};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "fill")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    pub order_id: Uuid,
    /// Number within the order, from 1.
    pub number: i32,
    pub side: super::order::Side,
    pub quantity: Quantity,
    pub price: Price,
    /// Amount of money exchanged, never negative.
    pub amount: Money,
    /// Id of the execution at the venue; none for fills from before venues numbered them.
    pub execution_id: Option<String>,
    /// Why the venue filled at this price: JSON, none for fills from before it was stored.
    pub explanation: Option<String>,
    pub traded_at: DateTimeUtc,
    pub settles_at: DateTimeUtc,
    pub settled_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
