//! GraphQL types, queries and mutations for orders. The rules are in `domain::trading::orders`.

mod lists;

use super::{
    confirmations::TradeConfirmation,
    instruments::Instrument,
    lots::{LotMethod, TaxLot},
};
use crate::{
    graphql::{
        accounts::Account,
        core::{
            breadth::{ListOf, Lookup, One, found, lookup},
            context::Viewpoint,
            ids::IdOf,
            loaders::ById,
            pages::PageArgs,
            scalars::{DateTime, Decimal, Money},
        },
    },
    wire::Result,
};
use async_graphql::{Enum, ID};
use domain::{
    Scope,
    trading::{
        lots::LotChoice,
        orders::{CancelOrder, PlaceOrder},
    },
};
use entity::{fill, order};
use macros::{Leaf, breadth, mutations};

pub use lists::{OrderFilter, OrderQuery};

/// Order to buy or sell shares.
#[derive(Clone)]
pub struct Order(pub order::Model);

/// Order to buy or sell shares.
#[breadth]
impl Order {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Account that buys or sells.
    fn account(&self) -> One<Account> {
        One::of(self.0.account_id)
    }

    /// Instrument to trade.
    fn instrument(&self) -> One<Instrument> {
        One::of(self.0.instrument_id)
    }

    /// Buy or sell.
    fn side(&self) -> OrderSide {
        self.0.side.into()
    }

    /// Order type.
    #[graphql(name = "type")]
    fn kind(&self) -> OrderType {
        self.0.kind.into()
    }

    /// Order status.
    fn status(&self) -> OrderStatus {
        self.0.status.into()
    }

    /// Number of shares ordered, with at most four decimals.
    fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// Number of shares filled so far.
    fn filled_quantity(&self) -> Decimal {
        self.0.filled_quantity.into()
    }

    /// Average price of the filled shares. Null before the first fill.
    fn filled_average_price(&self) -> Option<Money> {
        self.0.filled_average_price.map(Money::from)
    }

    /// Fills, newest first.
    fn fills(&self, view: &Viewpoint, page: PageArgs) -> Result<ListOf<Fill>> {
        ListOf::under(view, self.0.id, &page, Vec::new())
    }

    /// Order in which the sale closes tax lots. Null for a buy order, and if it is that of the account.
    fn lot_method(&self) -> Option<LotMethod> {
        self.0.lot_method.map(LotMethod::from)
    }

    /// Reason for the rejection. Null unless rejected.
    fn reject_code(&self) -> Option<OrderRejectCode> {
        self.0.reject_code.map(OrderRejectCode::from)
    }

    /// Whether the caller can cancel the order now.
    fn viewer_can_cancel(&self, view: &Viewpoint) -> bool {
        self.0.status.is_open() && view.actor().may(Scope::Trade)
    }

    /// Time when the order was placed, by the partner's clock.
    fn submitted_at(&self) -> DateTime {
        self.0.submitted_at.into()
    }

    /// Time when the order was filled; null until then.
    fn filled_at(&self) -> Option<DateTime> {
        self.0.filled_at.map(DateTime)
    }

    /// Time when the order was canceled; null otherwise.
    fn canceled_at(&self) -> Option<DateTime> {
        self.0.canceled_at.map(DateTime)
    }

    /// Time when the order was rejected; null otherwise.
    fn failed_at(&self) -> Option<DateTime> {
        self.0.failed_at.map(DateTime)
    }
}

/// Side of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::order::Side")]
pub enum OrderSide {
    /// Buy.
    Buy,
    /// Sell.
    Sell,
}

/// Type of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::order::OrderKind")]
pub enum OrderType {
    /// Trades at the current market price.
    Market,
}

/// Status of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::order::Status")]
pub enum OrderStatus {
    /// Accepted; cash or shares are held.
    Accepted,
    /// Sent to the venue.
    New,
    /// Some shares are filled.
    PartiallyFilled,
    /// All shares are filled.
    Filled,
    /// Canceled; the hold is released.
    Canceled,
    /// Expired when the market closed.
    Expired,
    /// Rejected; the hold is released.
    Rejected,
}

/// Reason why an order was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::order::RejectCode")]
pub enum OrderRejectCode {
    /// The price changed: the buying power is too low, or the shares to buy cost less than one cent.
    InsufficientBuyingPower,
    /// The price fell: the shares to sell are worth less than one cent.
    Invalid,
}

/// Execution of all or part of an order.
#[derive(Clone)]
pub struct Fill(pub fill::Model);

/// Execution of all or part of an order.
#[breadth]
impl Fill {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Order that was filled.
    fn order(&self) -> One<Order> {
        One::of(self.0.order_id)
    }

    /// Account that bought or sold.
    fn account(&self) -> One<Account> {
        One::of(self.0.account_id)
    }

    /// Instrument that was traded.
    fn instrument(&self) -> Lookup<ById<Order>, One<Instrument>> {
        lookup(Some(ById::of(self.0.order_id)), |_, order| Ok(One::of(found(order)?.instrument_id)))
    }

    /// Buy or sell.
    fn side(&self) -> OrderSide {
        self.0.side.into()
    }

    /// Number of shares traded.
    fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// Price of one share.
    fn price(&self) -> Money {
        self.0.price.into()
    }

    /// Total price of the trade; positive for purchases and sales.
    fn amount(&self) -> Money {
        self.0.amount.into()
    }

    /// Time of the trade.
    fn traded_at(&self) -> DateTime {
        self.0.traded_at.into()
    }

    /// Time when the trade is due to settle.
    fn settles_at(&self) -> DateTime {
        self.0.settles_at.into()
    }

    /// Confirmation of the trade.
    fn confirmation(&self) -> TradeConfirmation {
        TradeConfirmation::of(&self.0)
    }

    /// Time when the trade settled; null until then.
    fn settled_at(&self) -> Option<DateTime> {
        self.0.settled_at.map(DateTime)
    }
}

#[mutations]
impl OrderMutation {
    /// Places an order and holds its cash or shares. A retry with the same `idempotencyKey` and input returns
    /// the same order. Requires scope `trade`.
    #[answers(order: Order)]
    fn order_place(
        idempotency_key: String,
        /// Id of the account that buys or sells.
        account_id: IdOf<Account>,
        /// Ticker symbol (case-insensitive) or instrument id.
        symbol: String,
        /// Buy or sell.
        side: OrderSide,
        /// Number of shares, above zero and with at most four decimals.
        quantity: Decimal,
        /// Order type.
        #[graphql(name = "type", default_with = "OrderType::Market")]
        kind: OrderType,
        /// Order in which a sale closes tax lots. That of the account if omitted; `SPECIFIC` needs `lotIds`. Only
        /// for sell orders.
        lot_method: Option<LotMethod>,
        /// Ids of the tax lots to sell, in this order, at most 100. They must be open lots of the account and the
        /// instrument with enough shares. Only for sell orders.
        lot_ids: Option<Vec<IdOf<TaxLot>>>,
    ) -> domain::Result<PlaceOrder> {
        Ok(PlaceOrder {
            account_id: Some(account_id.into()),
            symbol,
            side: side.into(),
            quantity: quantity.amount("quantity")?,
            kind: kind.into(),
            lots: LotChoice {
                method: lot_method.map(Into::into),
                lot_ids: lot_ids.into_iter().flatten().map(Into::into).collect(),
            },
        })
    }

    /// Cancels an open order and releases its hold. Requires scope `trade`.
    #[answers(order: Order)]
    fn order_cancel(
        idempotency_key: String,
        /// Id of the order.
        order_id: IdOf<Order>,
    ) -> CancelOrder;
}
