//! Preview of an order.

use super::{OrderSide, OrderType, TimeInForce, terms};
use crate::{
    graphql::{
        core::{
            breadth::{Fetch, fetch},
            errors::UserError,
            scalars::{Decimal, Money, MoneyInput},
        },
        trading::lots::LotMethod,
    },
    wire,
};
use async_graphql::{ID, InputObject, SimpleObject};
use domain::{
    kernel::ids,
    trading::{
        lots::LotChoice,
        orders::{PlaceOrder, Preview, preview},
    },
};
use entity::Kind;
use macros::{Fields, breadth};

/// Input for orderPreview: the order as for orderPlace.
#[derive(Clone, InputObject)]
pub struct OrderPreviewInput {
    /// Id of the account that would buy or sell.
    account_id: ID,
    /// Ticker symbol (case-insensitive) or instrument id.
    symbol: String,
    /// Buy or sell.
    side: OrderSide,
    /// Number of shares. Either this or `notional` is required.
    quantity: Option<Decimal>,
    /// Amount to trade for, only for market orders of the day.
    notional: Option<MoneyInput>,
    /// Order type.
    #[graphql(name = "type", default_with = "OrderType::Market")]
    kind: OrderType,
    /// Limit price. Required for LIMIT and STOP_LIMIT, and not allowed otherwise.
    limit_price: Option<MoneyInput>,
    /// Stop price. Required for STOP and STOP_LIMIT, and not allowed otherwise.
    stop_price: Option<MoneyInput>,
    /// How long the order would stay open.
    #[graphql(default_with = "TimeInForce::Day")]
    time_in_force: TimeInForce,
    /// Order in which a sale would close tax lots. Only for sell orders.
    lot_method: Option<LotMethod>,
    /// Ids of the tax lots to sell, in this order, at most 100. Only for sell orders.
    lot_ids: Option<Vec<ID>>,
}

impl OrderPreviewInput {
    fn parse(self) -> domain::Result<PlaceOrder> {
        let (quantity, notional, limit_price, stop_price) =
            terms(self.quantity, self.notional, self.limit_price, self.stop_price)?;
        Ok(PlaceOrder {
            account_id: Some(ids::parse(Kind::Account, &self.account_id)),
            symbol: self.symbol,
            side: self.side.into(),
            kind: self.kind.into(),
            quantity,
            notional,
            limit_price,
            stop_price,
            time_in_force: self.time_in_force.into(),
            lots: LotChoice {
                method: self.lot_method.map(Into::into),
                lot_ids: self.lot_ids.iter().flatten().map(|id| ids::parse(Kind::TaxLot, id)).collect(),
            },
        })
    }
}

/// What an order would do if it was placed now.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct OrderPreview {
    /// What the order would hold, cost or earn. Null if it would be refused.
    estimate: Option<OrderEstimate>,
    /// Why the order would be refused; empty if it would be accepted.
    user_errors: Vec<UserError>,
}

/// What an order would hold, cost or earn.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct OrderEstimate {
    /// Buy or sell.
    side: OrderSide,
    /// Number of shares.
    quantity: Decimal,
    /// Price at which the order is valued: its limit price, its stop price, or else the current ask of a purchase
    /// and the current bid of a sale.
    price: Money,
    /// What the order would cost or earn at that price, before fees.
    amount: Money,
    /// Fees of a sale at that price, which reduce what it would earn; zero for a purchase.
    fees: Money,
    /// Cash that the order would hold; zero for a sale.
    held_cash: Money,
    /// Number of shares that the order would hold; zero for a purchase.
    held_shares: Decimal,
    /// Buying power of the account while the order is open.
    buying_power: Money,
}

impl From<Preview> for OrderEstimate {
    fn from(preview: Preview) -> Self {
        Self {
            side: preview.side.into(),
            quantity: preview.quantity.into(),
            price: preview.price.into(),
            amount: preview.amount.into(),
            fees: preview.fees.into(),
            held_cash: preview.held_cash.into(),
            held_shares: preview.held_shares.into(),
            buying_power: preview.buying_power.into(),
        }
    }
}

#[derive(Default)]
pub struct OrderPreviewQuery;

#[breadth]
impl OrderPreviewQuery {
    /// Returns what an order would hold, cost or earn, or why it would be refused. Changes nothing. Requires scope
    /// `trade`.
    fn order_preview(
        &self,
        #[graphql(desc = "The order, as for orderPlace.")] input: OrderPreviewInput,
    ) -> Fetch<Option<OrderPreview>> {
        fetch(move |view| {
            let input = input.clone();
            Box::pin(async move {
                let outcome = match input.parse() {
                    Ok(place) => preview(view.app(), view.actor(), place).await,
                    Err(error) => Err(domain::kernel::command::unreadable::<PlaceOrder>(view.actor(), error)),
                };
                Ok(Some(match wire::outcome(outcome)? {
                    Ok(preview) => OrderPreview { estimate: Some(preview.into()), user_errors: Vec::new() },
                    Err(refusal) => {
                        OrderPreview { estimate: None, user_errors: refusal.all().map(Into::into).collect() }
                    }
                }))
            })
        })
    }
}
