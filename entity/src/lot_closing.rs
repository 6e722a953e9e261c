//! `lot_closing`: realized gains and losses: shares of one lot that one fill sold, or that were paid in cash. Rows are
//! never deleted.

use crate::{Money, Quantity};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "lot_closing")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    pub instrument_id: Uuid,
    pub lot_id: Uuid,
    /// Fill that sold the shares; none for fractions that a corporate action paid in cash.
    pub fill_id: Option<Uuid>,
    /// What paid for the fractions.
    #[serde(default)]
    pub entitlement_id: Option<Uuid>,
    pub quantity: Quantity,
    /// What the shares were sold for, less fees.
    pub proceeds: Money,
    /// What the shares cost, with the disallowed losses that were added to it.
    pub basis: Money,
    /// Part of the loss that is disallowed because of a wash sale.
    pub disallowed: Money,
    /// Part of the disallowed loss that was not added to the cost of other shares.
    pub forfeited: Money,
    /// Number of shares sold at a loss that have not been replaced.
    pub unreplaced_quantity: Quantity,
    /// Date from which the holding period of the lot is counted.
    pub held_since: Date,
    pub term: Term,
    pub closed_at: DateTimeUtc,
    /// Trade date in New York.
    pub closed_on: Date,
}

/// Whether shares were held for more than a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Term {
    Short,
    Long,
}

impl ActiveModelBehavior for ActiveModel {}
