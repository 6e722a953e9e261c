//! `ledger_release`: full and partial releases of holds.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger_release")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub hold_id: Uuid,
    pub amount: i64,
    pub reason: Reason,
    pub released_at: DateTimeUtc,
}

/// Reason for a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Reason {
    /// The held money or shares moved.
    Posted,
    /// Nothing moved.
    Voided,
}

impl ActiveModelBehavior for ActiveModel {}
