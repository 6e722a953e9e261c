//! `fill`: fills of orders, with their settlement dates.

use crate::{Money, Price, Quantity};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "fill")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    pub order_id: Uuid,
    /// Number within the order, from 1.
    pub number: i32,
    pub side: super::order::Side,
    pub quantity: Quantity,
    pub price: Price,
    /// Price of all shares, never negative, before fees.
    pub amount: Money,
    /// Id of the execution at the venue; none for fills from before venues numbered them.
    pub execution_id: Option<String>,
    /// Why the venue filled at this price: JSON, none for fills from before it was stored.
    pub explanation: Option<String>,
    pub traded_at: DateTimeUtc,
    pub settles_at: DateTimeUtc,
    pub settled_at: Option<DateTimeUtc>,
    /// Fee of the SEC, of a sale.
    pub sec_fee: Money,
    /// Trading activity fee of FINRA, of a sale.
    pub trading_activity_fee: Money,
    /// Part of the proceeds that a withdrawal has set aside.
    #[serde(default)]
    pub set_aside: Money,
}

impl Model {
    /// Returns the fees of the fill.
    pub const fn fees(&self) -> Money {
        Money::from_units(self.sec_fee.units() + self.trading_activity_fee.units())
    }

    /// Returns what the customer pays or receives: the price of a purchase, the price of a sale less its fees.
    pub const fn net_amount(&self) -> Money {
        Money::from_units(self.amount.units() - self.fees().units())
    }
}

impl ActiveModelBehavior for ActiveModel {}
