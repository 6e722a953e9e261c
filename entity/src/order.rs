//! `orders`: buy and sell orders. Rows are never deleted.

use crate::{Money, Price, Quantity, tax_lot::LotMethod};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "orders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    pub instrument_id: Uuid,
    pub side: Side,
    pub kind: OrderKind,
    #[serde(default)]
    pub time_in_force: TimeInForce,
    /// Shares ordered. Of an order by amount, the shares that the amount is worth, until it is filled.
    pub quantity: Quantity,
    /// Amount of an order by amount.
    pub notional: Option<Money>,
    pub limit_price: Option<Price>,
    pub stop_price: Option<Price>,
    /// When the stop price was reached.
    pub triggered_at: Option<DateTimeUtc>,
    pub filled_quantity: Quantity,
    pub filled_average_price: Option<Price>,
    /// Number of fills.
    #[serde(default)]
    pub fill_count: i32,
    pub status: Status,
    /// Reason for a rejection.
    pub reject_code: Option<RejectCode>,
    pub submitted_at: DateTimeUtc,
    /// When the order ends if it is still open.
    pub expires_at: Option<DateTimeUtc>,
    /// When its price or quantity was last replaced.
    pub replaced_at: Option<DateTimeUtc>,
    pub filled_at: Option<DateTimeUtc>,
    pub expired_at: Option<DateTimeUtc>,
    pub canceled_at: Option<DateTimeUtc>,
    pub failed_at: Option<DateTimeUtc>,
    /// Order in which the lots are sold; none for that of the account.
    #[serde(default)]
    pub lot_method: Option<LotMethod>,
    /// Withdrawal that the sale raises money for.
    #[serde(default)]
    pub withdrawal_id: Option<Uuid>,
}

/// Side of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Buy,
    Sell,
}

/// Order type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    Market,
    Limit,
    Stop,
    StopLimit,
}

impl OrderKind {
    /// Returns whether orders of this type have a limit price.
    pub const fn has_limit(self) -> bool {
        matches!(self, Self::Limit | Self::StopLimit)
    }

    /// Returns whether orders of this type have a stop price.
    pub const fn has_stop(self) -> bool {
        matches!(self, Self::Stop | Self::StopLimit)
    }
}

/// How long an order stays open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// Until the market closes.
    #[default]
    Day,
    /// Until it is canceled, at most 90 days.
    Gtc,
    /// Fills at once as far as possible; the rest is canceled.
    Ioc,
    /// Fills at once completely or is canceled.
    Fok,
}

/// Order status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Accepted,
    New,
    PartiallyFilled,
    Filled,
    Canceled,
    Expired,
    Rejected,
}

/// Reason why the market rejected an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RejectCode {
    InsufficientBuyingPower,
    Invalid,
}

impl Status {
    /// Returns the name used in the database and the event log.
    pub fn name(self) -> String {
        self.to_value()
    }

    /// Returns whether an order with this status can still be filled.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Accepted | Self::New | Self::PartiallyFilled)
    }
}

impl ActiveModelBehavior for ActiveModel {}
