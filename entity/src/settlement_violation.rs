//! `settlement_violation`: sales of shares before the money that bought them had settled. Rows are never
//! changed.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "settlement_violation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    pub kind: ViolationKind,
    /// Fill that sold the shares.
    pub fill_id: Uuid,
    pub occurred_at: DateTimeUtc,
    /// Time when the money that bought the shares settles, or should have.
    pub funds_settle_at: DateTimeUtc,
}

/// Rule that was violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    GoodFaith,
    /// Shares were sold whose purchase was paid with a deposit that was returned.
    FreeRiding,
}

impl ActiveModelBehavior for ActiveModel {}
