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
    pub asset_class: AssetClass,
    /// Price around which the built-in market's prices move.
    pub base_price: Price,
}

/// Kind of security.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum AssetClass {
    /// Share of a company or fund that is listed in the United States.
    UsEquity,
}

impl AssetClass {
    /// Returns the word that is stored and that files and REST use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UsEquity => "us_equity",
        }
    }
}

impl ActiveModelBehavior for ActiveModel {}
