//! `position`: an account's quantity and cost of each instrument. The quantity is also in the ledger.

use crate::{Money, Quantity};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "position")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    pub instrument_id: Uuid,
    pub quantity: Quantity,
    pub cost_basis: Money,
}

impl ActiveModelBehavior for ActiveModel {}
