//! `tax_lot`: shares that were bought together, with what they cost. Rows are never deleted.

use crate::{Money, Quantity};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "tax_lot")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    pub instrument_id: Uuid,
    /// Fill that bought the shares; none for shares that were held before lots were kept.
    pub fill_id: Option<Uuid>,
    /// Id of the purchase. The lots of one order have the same.
    pub purchase_id: Uuid,
    pub opened_at: DateTimeUtc,
    /// Trade date in New York.
    pub acquired_on: Date,
    /// Date from which the holding period is counted: earlier than `acquired_on` for shares that replace shares
    /// sold at a loss.
    pub held_since: Date,
    /// Number of shares sold so far and not sold yet: those bought, unless there was a split.
    pub quantity: Quantity,
    /// What these shares cost, with fees.
    pub cost: Money,
    /// Disallowed loss of other shares that was added to the cost.
    pub wash_adjustment: Money,
    /// Number of shares not sold yet.
    pub open_quantity: Quantity,
    /// Cost and adjustment of the shares not sold yet.
    pub open_basis: Money,
    /// Realized loss that these shares replace. Shares replace at most one.
    pub replaces_id: Option<Uuid>,
    /// Whether proceeds of sales that had not settled paid for them.
    pub is_unsettled: bool,
    /// Number of shares that the fill bought, before splits.
    pub bought_quantity: Quantity,
}

/// Order in which the lots of a position are sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum LotMethod {
    #[default]
    Fifo,
    Lifo,
    Hifo,
    MinTax,
    /// Lots that the order names. Orders only.
    Specific,
}

impl ActiveModelBehavior for ActiveModel {}
