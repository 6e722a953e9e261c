//! `orders`: instructions to buy or sell. A row moves along `Status`; none is ever deleted.

use crate::{Price, Quantity};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "orders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    pub instrument_id: Uuid,
    pub side: Side,
    pub kind: OrderKind,
    pub quantity: Quantity,
    pub filled_quantity: Quantity,
    pub filled_average_price: Option<Price>,
    pub status: Status,
    /// Why a rejected order was rejected: a stable code.
    pub reject_code: Option<String>,
    pub submitted_at: DateTimeUtc,
    pub filled_at: Option<DateTimeUtc>,
    pub expired_at: Option<DateTimeUtc>,
    pub canceled_at: Option<DateTimeUtc>,
    pub failed_at: Option<DateTimeUtc>,
}

/// Which way an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Buy,
    Sell,
}

/// How an order is priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    Market,
}

/// Where an order stands.
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

impl Status {
    /// The state's name in the database and in the event log.
    pub fn name(self) -> String {
        self.to_value()
    }

    /// The state with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::try_from_value(&name.to_owned()).ok()
    }

    /// Whether an order in this state can still trade.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Accepted | Self::New | Self::PartiallyFilled)
    }
}

impl ActiveModelBehavior for ActiveModel {}
