//! `entitlement`: what a corporate action means for one account. Rows are never deleted.

use crate::{Money, Quantity};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "entitlement")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    pub corporate_action_id: Uuid,
    pub instrument_id: Uuid,
    /// Number of shares held at the close before the ex-date; zero for an account that only has open orders.
    pub quantity: Quantity,
    /// Number of shares after a split.
    pub new_quantity: Option<Quantity>,
    /// Dividend, or what is paid in cash for fractions of shares.
    pub cash: Money,
    /// When the dividend was paid, or the split or the change applied.
    pub applied_at: Option<DateTimeUtc>,
    /// Order that reinvested the dividend.
    pub reinvestment_id: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}
