//! `partner`: a business with API keys, and the clock its customers live by.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "partner")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique)]
    pub name: String,
    pub mode: Mode,
    pub market_hours: MarketHours,
    /// Microseconds the partner's clock is ahead of the system's while it runs.
    pub clock_offset: i64,
    /// Where the clock stands; absent while it runs.
    pub clock_frozen_at: Option<DateTimeUtc>,
    /// Chooses the prices of the built-in market.
    pub market_seed: i64,
    pub created_at: DateTimeUtc,
}

/// Whether money and customers are real.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Live,
    Sandbox,
}

/// When orders are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum MarketHours {
    Nyse,
    AlwaysOpen,
}

impl ActiveModelBehavior for ActiveModel {}
