//! `bank_account`: external bank accounts. The account number is stored encrypted.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "bank_account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub user_id: Uuid,
    pub nickname: String,
    pub routing_number: String,
    pub number: Vec<u8>,
    pub number_last4: String,
    pub is_default: bool,
    pub linked_at: DateTimeUtc,
    #[serde(default)]
    pub removed_at: Option<DateTimeUtc>,
    /// Time when a bank's return ended its use.
    #[serde(default)]
    pub disabled_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BankAccount").field("id", &self.id).finish_non_exhaustive()
    }
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
