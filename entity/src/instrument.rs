//! `instrument`: tradable instruments.

use crate::Price;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "instrument")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique)]
    pub symbol: String,
    pub name: String,
    pub exchange: String,
    pub asset_class: String,
    /// Price around which the built-in market's prices move.
    pub base_price: Price,
}

impl ActiveModelBehavior for ActiveModel {}
