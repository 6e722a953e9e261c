//! `partner`: businesses with API keys, and their clocks.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "partner")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique)]
    pub name: String,
    pub mode: Mode,
    pub market_hours: MarketHours,
    /// Microseconds by which the partner's clock is ahead of the system clock while it runs.
    pub clock_offset: i64,
    /// Time at which the clock is frozen; absent while it runs.
    pub clock_frozen_at: Option<DateTimeUtc>,
    /// Seed of the built-in market's prices.
    pub market_seed: i64,
    pub created_at: DateTimeUtc,
    /// Changes of settings that are in force or will come into force, as JSON.
    #[serde(default = "no_changes")]
    pub settings: String,
}

/// No changes of settings: all have their defaults.
pub fn no_changes() -> String {
    "[]".to_owned()
}

/// Mode of a partner: real or test money and users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Live,
    Sandbox,
}

/// Hours during which orders are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum MarketHours {
    Nyse,
    AlwaysOpen,
}

impl ActiveModelBehavior for ActiveModel {}
