//! `fill`: what was traded of an order, and when it settles.

use crate::{Money, Price, Quantity};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "fill")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    pub order_id: Uuid,
    /// Counts from 1 within the order.
    pub number: i32,
    pub side: super::order::Side,
    pub quantity: Quantity,
    pub price: Price,
    /// What changed hands, without a sign.
    pub amount: Money,
    pub traded_at: DateTimeUtc,
    pub settles_at: DateTimeUtc,
    pub settled_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
