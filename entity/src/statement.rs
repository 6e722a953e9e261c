//! `statement`: statements of accounts. The content is stored encrypted, and rows are never changed.

use crate::Money;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "statement")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    /// First day of the period, in New York.
    pub start_on: Date,
    /// Last day of the period, in New York.
    pub end_on: Date,
    /// Value of the account before the period: cash and shares.
    pub opening_balance: Money,
    /// Value of the account at the end of the period.
    pub closing_balance: Money,
    /// The statement as JSON, encrypted.
    pub content: Vec<u8>,
    pub created_at: DateTimeUtc,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statement").field("id", &self.id).finish_non_exhaustive()
    }
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
