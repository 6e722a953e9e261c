//! GraphQL type for trade confirmations.

use super::orders::OrderSide;
use crate::graphql::core::scalars::{Date, DateTime, Decimal, Money};
use async_graphql::{Enum, SimpleObject};
use domain::trading::confirmations::{self, Confirmation};
use entity::fill;
use macros::{Fields, Leaf};

/// Confirmation of a trade to the customer: price, fees and amount, when it was made and when it settles, and
/// in which capacity the broker acted (17 CFR 240.10b-10). The fill names the instrument and the account.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct TradeConfirmation {
    /// Buy or sell.
    side: OrderSide,
    /// Number of shares traded.
    quantity: Decimal,
    /// Price of one share.
    price: Money,
    /// Price of all shares.
    principal: Money,
    /// All fees, which are part of the net amount.
    fees: Money,
    /// Part of the fees that is the fee of the SEC for sales.
    sec_fee: Money,
    /// Part of the fees that is the trading activity fee of FINRA for sales.
    trading_activity_fee: Money,
    /// What the customer pays for a purchase, or receives for a sale.
    net_amount: Money,
    /// Time of the trade.
    traded_at: DateTime,
    /// Date in New York on which the trade settles.
    settles_on: Date,
    /// Capacity in which the broker acted.
    capacity: TradeCapacity,
}

impl TradeConfirmation {
    /// Returns the confirmation of a fill.
    pub fn of(fill: &fill::Model) -> Self {
        let Confirmation { fees, net_amount, settles_on, capacity } = confirmations::of(fill);
        Self {
            side: fill.side.into(),
            quantity: fill.quantity.into(),
            price: fill.price.into(),
            principal: fill.amount.into(),
            fees: fees.into(),
            sec_fee: fill.sec_fee.into(),
            trading_activity_fee: fill.trading_activity_fee.into(),
            net_amount: net_amount.into(),
            traded_at: fill.traded_at.into(),
            settles_on: settles_on.into(),
            capacity: capacity.into(),
        }
    }
}

/// Capacity in which a broker trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "domain::trading::confirmations::Capacity")]
pub enum TradeCapacity {
    /// As the agent of the customer.
    Agent,
}
