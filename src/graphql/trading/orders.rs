//! GraphQL types, queries and mutations for orders. The rules are in `domain::trading::orders`.

mod lists;

use super::instruments::Instrument;
use crate::{
    graphql::{
        accounts::Account,
        core::{
            context::RequestContext,
            mutations::{Input, mutations, payload},
            pages::{Connection, Item},
            scalars::{DateTime, Decimal, Money},
        },
    },
    wire::Result,
};
use async_graphql::{Context, Enum, ID, InputObject, Object};
use domain::{
    Scope,
    kernel::ids,
    trading::orders::{CancelOrder, PlaceOrder},
};
use entity::{Kind, account, fill, instrument, order};
use uuid::Uuid;

pub use lists::{OrderFilter, OrderQuery};

/// Order to buy or sell shares.
pub struct Order(pub order::Model);

/// Order to buy or sell shares.
#[Object]
impl Order {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Account that buys or sells.
    async fn account(&self, ctx: &Context<'_>) -> Result<Account> {
        Ok(Account(ctx.loaders().get::<account::Entity>(self.0.account_id).await?))
    }

    /// Instrument to trade.
    async fn instrument(&self, ctx: &Context<'_>) -> Result<Instrument> {
        Ok(Instrument(ctx.loaders().get::<instrument::Entity>(self.0.instrument_id).await?))
    }

    /// Buy or sell.
    async fn side(&self) -> OrderSide {
        self.0.side.into()
    }

    /// Order type.
    #[graphql(name = "type")]
    async fn kind(&self) -> OrderType {
        self.0.kind.into()
    }

    /// Order status.
    async fn status(&self) -> OrderStatus {
        self.0.status.into()
    }

    /// Number of shares ordered, with at most four decimals.
    async fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// Number of shares filled so far.
    async fn filled_quantity(&self) -> Decimal {
        self.0.filled_quantity.into()
    }

    /// Average price of the filled shares. Null before the first fill.
    async fn filled_average_price(&self) -> Option<Money> {
        self.0.filled_average_price.map(Money::from)
    }

    /// Fills, newest first.
    async fn fills(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
    ) -> Result<Connection<Fill>> {
        let page = ctx.page::<Fill>(first, after, last, before)?;
        let slice = ctx.loaders().children::<fill::Entity>(self.0.id, page, Vec::new()).await?;
        Ok(Connection::new(slice, Fill))
    }

    /// Reason for the rejection. Null unless rejected.
    async fn reject_code(&self) -> Option<OrderRejectCode> {
        self.0.reject_code.map(OrderRejectCode::from)
    }

    /// Whether the caller can cancel the order now.
    async fn viewer_can_cancel(&self, ctx: &Context<'_>) -> bool {
        self.0.status.is_open() && ctx.actor().may(Scope::Trade)
    }

    /// Time when the order was placed, by the partner's clock.
    async fn submitted_at(&self) -> DateTime {
        self.0.submitted_at.into()
    }

    /// Time when the order was filled; null until then.
    async fn filled_at(&self) -> Option<DateTime> {
        self.0.filled_at.map(DateTime)
    }

    /// Time when the order was canceled; null otherwise.
    async fn canceled_at(&self) -> Option<DateTime> {
        self.0.canceled_at.map(DateTime)
    }

    /// Time when the order was rejected; null otherwise.
    async fn failed_at(&self) -> Option<DateTime> {
        self.0.failed_at.map(DateTime)
    }
}

impl Item for Order {
    const KIND: Kind = Kind::Order;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}

impl From<order::Model> for Order {
    fn from(row: order::Model) -> Self {
        Self(row)
    }
}

/// Side of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::order::Side")]
pub enum OrderSide {
    /// Buy.
    Buy,
    /// Sell.
    Sell,
}

/// Type of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::order::OrderKind")]
pub enum OrderType {
    /// Trades at the current market price.
    Market,
}

/// Status of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::order::RejectCode")]
pub enum OrderRejectCode {
    /// The price changed: the buying power is too low, or the shares to buy cost less than one cent.
    InsufficientBuyingPower,
    /// The price fell: the shares to sell are worth less than one cent.
    Invalid,
}

/// Execution of all or part of an order.
pub struct Fill(pub fill::Model);

/// Execution of all or part of an order.
#[Object]
impl Fill {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Order that was filled.
    async fn order(&self, ctx: &Context<'_>) -> Result<Order> {
        Ok(Order(ctx.loaders().get::<order::Entity>(self.0.order_id).await?))
    }

    /// Account that bought or sold.
    async fn account(&self, ctx: &Context<'_>) -> Result<Account> {
        Ok(Account(ctx.loaders().get::<account::Entity>(self.0.account_id).await?))
    }

    /// Instrument that was traded.
    async fn instrument(&self, ctx: &Context<'_>) -> Result<Instrument> {
        let order = ctx.loaders().get::<order::Entity>(self.0.order_id).await?;
        Ok(Instrument(ctx.loaders().get::<instrument::Entity>(order.instrument_id).await?))
    }

    /// Buy or sell.
    async fn side(&self) -> OrderSide {
        self.0.side.into()
    }

    /// Number of shares traded.
    async fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// Price of one share.
    async fn price(&self) -> Money {
        self.0.price.into()
    }

    /// Total price of the trade; positive for purchases and sales.
    async fn amount(&self) -> Money {
        self.0.amount.into()
    }

    /// Time of the trade.
    async fn traded_at(&self) -> DateTime {
        self.0.traded_at.into()
    }

    /// Time when the trade is due to settle.
    async fn settles_at(&self) -> DateTime {
        self.0.settles_at.into()
    }

    /// Time when the trade settled; null until then.
    async fn settled_at(&self) -> Option<DateTime> {
        self.0.settled_at.map(DateTime)
    }
}

impl Item for Fill {
    const KIND: Kind = Kind::Fill;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}

/// Input for orderPlace.
#[derive(InputObject)]
pub struct OrderPlaceInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: String,
    /// Id of the account that buys or sells.
    account_id: ID,
    /// Ticker symbol (case-insensitive) or instrument id.
    symbol: String,
    /// Buy or sell.
    side: OrderSide,
    /// Number of shares, above zero and with at most four decimals.
    quantity: Decimal,
    /// Order type.
    #[graphql(name = "type", default_with = "OrderType::Market")]
    kind: OrderType,
}

impl Input for OrderPlaceInput {
    type Command = PlaceOrder;

    fn key(&self) -> Option<&str> {
        Some(&self.idempotency_key)
    }

    fn parse(self) -> domain::Result<PlaceOrder> {
        Ok(PlaceOrder {
            account_id: Some(ids::parse(Kind::Account, &self.account_id)),
            symbol: self.symbol,
            side: self.side.into(),
            quantity: self.quantity.amount("quantity")?,
            kind: self.kind.into(),
        })
    }
}

payload!(
    /// Result of orderPlace.
    OrderPlacePayload {
        /// The order. Null if the request was refused.
        order: Order
    }
);

/// Input for orderCancel.
#[derive(InputObject)]
pub struct OrderCancelInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: String,
    /// Id of the order.
    order_id: ID,
}

impl Input for OrderCancelInput {
    type Command = CancelOrder;

    fn key(&self) -> Option<&str> {
        Some(&self.idempotency_key)
    }

    fn parse(self) -> domain::Result<CancelOrder> {
        Ok(CancelOrder { order_id: ids::parse(Kind::Order, &self.order_id) })
    }
}

payload!(
    /// Result of orderCancel.
    OrderCancelPayload {
        /// The order. Null if the request was refused.
        order: Order
    }
);

mutations!(OrderMutation {
    /// Places an order and holds its cash or shares. A retry with the same `idempotencyKey` and input returns
    /// the same order. Requires scope `trade`.
    order_place(OrderPlaceInput: "Input for orderPlace.") -> OrderPlacePayload,

    /// Cancels an open order and releases its hold. Requires scope `trade`.
    order_cancel(OrderCancelInput: "Input for orderCancel.") -> OrderCancelPayload,
});
