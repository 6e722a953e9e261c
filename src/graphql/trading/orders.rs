//! The GraphQL face of orders: shapes and translation, no rules.

use super::instruments::Instrument;
use crate::{
    graphql::{
        accounts::Account,
        core::{
            context::RequestContext,
            errors::{OrderUserError, payload},
            pages::{Connection, Item},
            scalars::{DateTime, Decimal, Money},
        },
    },
    wire::{self, Result},
};
use async_graphql::{Context, Enum, ID, InputObject, Object};
use domain::{
    Scope,
    kernel::{command, idempotency::Key, ids},
    trading::orders::{self, CancelOrder, PlaceOrder},
};
use entity::{Kind, account, fill, instrument, order};
use uuid::Uuid;

/// An instruction to buy or sell shares.
pub struct Order(pub order::Model);

/// An instruction to buy or sell shares.
#[Object]
impl Order {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// The account that pays, or receives.
    async fn account(&self, ctx: &Context<'_>) -> Result<Account> {
        Ok(Account(ctx.loaders().get::<account::Entity>(self.0.account_id).await?))
    }

    /// What to trade.
    async fn instrument(&self, ctx: &Context<'_>) -> Result<Instrument> {
        Ok(Instrument(ctx.loaders().get::<instrument::Entity>(self.0.instrument_id).await?))
    }

    /// Which way it goes.
    async fn side(&self) -> OrderSide {
        self.0.side.into()
    }

    /// How it is priced.
    #[graphql(name = "type")]
    async fn kind(&self) -> OrderType {
        self.0.kind.into()
    }

    /// Where it stands.
    async fn status(&self) -> OrderStatus {
        self.0.status.into()
    }

    /// Shares asked for, up to four decimals.
    async fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// Shares traded so far.
    async fn filled_quantity(&self) -> Decimal {
        self.0.filled_quantity.into()
    }

    /// Mean price of what is traded; null before the first fill.
    async fn filled_average_price(&self) -> Option<Money> {
        self.0.filled_average_price.map(Money::from)
    }

    /// What was traded, newest first.
    async fn fills(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Connection<Fill>> {
        let page = ctx.page::<Fill>(first, after, last, before)?;
        let slice = ctx.loaders().children::<fill::Entity>(self.0.id, page, Vec::new()).await?;
        Ok(Connection::new(slice, Fill))
    }

    /// Why it was rejected: a stable code; null for any other order.
    async fn reject_code(&self) -> Option<&str> {
        self.0.reject_code.as_deref()
    }

    /// Whether this viewer may cancel it now.
    async fn viewer_can_cancel(&self, ctx: &Context<'_>) -> bool {
        self.0.status.is_open() && ctx.actor().may(Scope::Trade)
    }

    /// When it was placed, by the partner's clock.
    async fn submitted_at(&self) -> DateTime {
        self.0.submitted_at.into()
    }

    /// When the last share was traded; null before.
    async fn filled_at(&self) -> Option<DateTime> {
        self.0.filled_at.map(DateTime)
    }

    /// When it was canceled; null unless it was.
    async fn canceled_at(&self) -> Option<DateTime> {
        self.0.canceled_at.map(DateTime)
    }

    /// When it was rejected; null unless it was.
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

/// Which way an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::order::Side")]
pub enum OrderSide {
    /// Buy.
    Buy,
    /// Sell.
    Sell,
}

/// How an order is priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::order::OrderKind")]
pub enum OrderType {
    /// The best price now.
    Market,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::order::Status")]
pub enum OrderStatus {
    /// Taken, its cash or shares set aside.
    Accepted,
    /// At the market.
    New,
    /// Partly traded.
    PartiallyFilled,
    /// Traded whole.
    Filled,
    /// Taken back.
    Canceled,
    /// Ended at the close.
    Expired,
    /// Turned away.
    Rejected,
}

impl OrderStatus {
    /// The status called `name` in the event log.
    pub fn parse(name: &str) -> Option<Self> {
        order::Status::parse(name).map(Self::from)
    }
}

/// A part of an order that was traded.
pub struct Fill(pub fill::Model);

/// A part of an order that was traded.
#[Object]
impl Fill {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Shares traded.
    async fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// Price of one share.
    async fn price(&self) -> Money {
        self.0.price.into()
    }

    /// What changed hands, without a sign.
    async fn amount(&self) -> Money {
        self.0.amount.into()
    }

    /// When it was traded.
    async fn traded_at(&self) -> DateTime {
        self.0.traded_at.into()
    }

    /// When it is to be paid for.
    async fn settles_at(&self) -> DateTime {
        self.0.settles_at.into()
    }

    /// When it was paid for; null before.
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

/// Which orders to list.
#[derive(Default, InputObject)]
pub struct OrderFilter {
    /// In any of these states; all when left out.
    statuses: Option<Vec<OrderStatus>>,
}

impl OrderFilter {
    fn states(self) -> Vec<order::Status> {
        self.statuses.unwrap_or_default().into_iter().map(order::Status::from).collect()
    }

    /// The states as the database writes them.
    pub fn texts(self) -> Vec<String> {
        self.states().into_iter().map(order::Status::name).collect()
    }
}

/// Input of orderPlace.
#[derive(InputObject)]
pub struct OrderPlaceInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: String,
    /// The account that pays, or receives.
    account_id: ID,
    /// Ticker, in either case, or an instrument's id.
    symbol: String,
    /// Which way.
    side: OrderSide,
    /// Shares, above zero, up to four decimals.
    quantity: Decimal,
    /// How it is priced.
    #[graphql(name = "type", default_with = "OrderType::Market")]
    kind: OrderType,
}

impl OrderPlaceInput {
    fn parse(self) -> domain::Result<(Key, PlaceOrder)> {
        let key = Key::given(&self.idempotency_key);
        let quantity = key.check_with(self.quantity.amount("quantity"))?;
        let new = PlaceOrder {
            account_id: Some(ids::parse(Kind::Account, &self.account_id)),
            symbol: self.symbol,
            side: self.side.into(),
            quantity,
            kind: self.kind.into(),
        };
        Ok((key, new))
    }
}

payload!(
    /// Outcome of orderPlace.
    OrderPlacePayload {
        /// The order, null when refused.
        order: Order,
        OrderUserError
    }
);

/// Input of orderCancel.
#[derive(InputObject)]
pub struct OrderCancelInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: String,
    /// Which order.
    order_id: ID,
}

payload!(
    /// Outcome of orderCancel.
    OrderCancelPayload {
        /// The order, null when refused.
        order: Order,
        OrderUserError
    }
);

#[derive(Default)]
pub struct OrderQuery;

#[Object]
impl OrderQuery {
    /// An order by id; null when there is none or it is not yours; scope `read`.
    async fn order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Opaque id.")] id: ID,
    ) -> Result<Option<Order>> {
        let id = ids::parse(Kind::Order, &id);
        Ok(orders::find(&*ctx.loaders().connection().await?, ctx.actor(), id).await?.map(Order))
    }

    /// Orders of all the partner's customers, newest first; scope `read`.
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
        #[graphql(desc = "Which ones.")] filter: Option<OrderFilter>,
    ) -> Result<Option<Connection<Order>>> {
        let page = ctx.page::<Order>(first, after, last, before)?;
        let states = filter.unwrap_or_default().states();
        let slice = orders::list(&*ctx.loaders().connection().await?, ctx.actor(), &page, &states).await?;
        Ok(Some(Connection::new(slice, Order)))
    }
}

#[derive(Default)]
pub struct OrderMutation;

#[Object]
impl OrderMutation {
    /// Place an order; scope `trade`. The same `idempotencyKey` and input answer with the same order.
    async fn order_place(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for orderPlace.")] input: OrderPlaceInput,
    ) -> Result<Option<OrderPlacePayload>> {
        let placed = match input.parse() {
            Ok((key, new)) => orders::place(ctx.app(), ctx.actor(), Some(key), new).await,
            Err(error) => Err(command::unreadable::<PlaceOrder>(ctx.actor(), error)),
        };
        Ok(Some(wire::answered(placed)?.into()))
    }

    /// Take back an order that has not ended; scope `trade`.
    async fn order_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for orderCancel.")] input: OrderCancelInput,
    ) -> Result<Option<OrderCancelPayload>> {
        let cancellation = CancelOrder { order_id: ids::parse(Kind::Order, &input.order_id) };
        let key = Key::given(&input.idempotency_key);
        let canceled = orders::cancel(ctx.app(), ctx.actor(), Some(key), cancellation).await;
        Ok(Some(wire::answered(canceled)?.into()))
    }
}
