//! `ledger_transfer`: ledger movements, with debit and credit in one row. Rows are never changed or deleted.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger_transfer")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// Ledger entry, shared by movements that belong together.
    pub entry_id: Uuid,
    pub asset: String,
    pub debit_account_id: Uuid,
    pub credit_account_id: Uuid,
    pub amount: i64,
    /// Movement that this one reverses.
    #[sea_orm(unique)]
    pub reverses_id: Option<Uuid>,
    /// Event that caused the movement.
    pub cause_id: Uuid,
    pub effective_at: DateTimeUtc,
    pub recorded_at: DateTimeUtc,
    /// SHA-256 of the columns above.
    pub digest: Vec<u8>,
}

impl ActiveModelBehavior for ActiveModel {}
