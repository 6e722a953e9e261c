//! `position`: what an account holds of one instrument, and what it paid. The units stand in the ledger too.

use crate::{Money, Quantity};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
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
