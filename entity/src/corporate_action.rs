//! `corporate_action`: dividends, splits and symbol changes of an instrument, for the accounts of one partner.

use crate::{Price, Rate};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "corporate_action")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub instrument_id: Uuid,
    pub kind: ActionKind,
    /// First trading day on which a purchase comes without the dividend, or after the split or the change.
    pub ex_on: Date,
    pub record_on: Option<Date>,
    pub pay_on: Option<Date>,
    /// Dividend for each share.
    pub per_share: Option<Rate>,
    /// Number of shares into which `old_shares` are split.
    pub new_shares: Option<i64>,
    pub old_shares: Option<i64>,
    /// Whether fractions of a share are paid in cash; otherwise only what is below four decimals is.
    pub is_whole_shares: bool,
    /// Price of a share after the split, at which fractions are paid in cash.
    pub cash_price: Option<Price>,
    /// New ticker symbol.
    pub symbol: Option<String>,
    pub created_at: DateTimeUtc,
    /// When the accounts were recorded on the ex-date.
    pub processed_at: Option<DateTimeUtc>,
    /// Id from then: greater than those of the trades and orders before, and less than those of later ones.
    pub processed_id: Option<Uuid>,
}

/// Kind of a corporate action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    CashDividend,
    Split,
    ReverseSplit,
    SymbolChange,
}

impl ActiveModelBehavior for ActiveModel {}
