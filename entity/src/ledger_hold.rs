//! `ledger_hold`: amounts held on ledger accounts, released by `ledger_release` rows.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger_hold")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    pub amount: i64,
    /// Id of the object that needs the hold, such as an order.
    pub purpose_id: Uuid,
    pub placed_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
