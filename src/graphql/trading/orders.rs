//! GraphQL types, queries and mutations for orders. The rules are in `domain::trading::orders`.

mod fills;
mod lists;
mod preview;

use super::{
    instruments::Instrument,
    lots::{LotMethod, TaxLot},
};
use crate::{
    graphql::{
        accounts::Account,
        core::{
            breadth::{ListOf, Maybe, One},
            context::Viewpoint,
            ids::IdOf,
            pages::PageArgs,
            scalars::{DateTime, Decimal, Money, MoneyInput},
        },
        funding::transfers::Transfer,
    },
    wire::Result,
};
use async_graphql::{Enum, ID, InputObject};
use domain::{
    Checks, Scope,
    trading::{
        lots::LotChoice,
        orders::{CancelOrder, PlaceOrder, ReplaceOrder},
    },
};
use entity::{Price, Quantity, order};
use macros::{Leaf, breadth, mutations};

pub use fills::Fill;
pub use lists::{OrderFilter, OrderQuery};
pub use preview::OrderPreviewQuery;

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

    /// How long the order stays open.
    fn time_in_force(&self) -> TimeInForce {
        self.0.time_in_force.into()
    }

    /// Number of shares ordered, with at most four decimals. For an order by amount, the number of shares that
    /// the amount is worth, until it is filled.
    fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// Amount of money to trade. Null for an order by quantity.
    fn notional(&self) -> Option<Money> {
        self.0.notional.map(Money::from)
    }

    /// Highest price of a purchase or lowest price of a sale. Null unless the type is LIMIT or STOP_LIMIT.
    fn limit_price(&self) -> Option<Money> {
        self.0.limit_price.map(Money::from)
    }

    /// Price at which the order is triggered. Null unless the type is STOP or STOP_LIMIT.
    fn stop_price(&self) -> Option<Money> {
        self.0.stop_price.map(Money::from)
    }

    /// Time when the stop price was reached; null until then.
    fn triggered_at(&self) -> Option<DateTime> {
        self.0.triggered_at.map(DateTime)
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

    /// Order in which the sale closes tax lots. Null for a purchase, and if the account's method applies.
    fn lot_method(&self) -> Option<LotMethod> {
        self.0.lot_method.map(LotMethod::from)
    }

    /// Reason for the rejection, or for the cancellation of what could not be paid. Null otherwise.
    fn reject_code(&self) -> Option<OrderRejectCode> {
        self.0.reject_code.map(OrderRejectCode::from)
    }

    /// Withdrawal that the shares are sold for. Null for an order that was placed on request.
    fn withdrawal(&self) -> Maybe<Transfer> {
        Maybe::of(self.0.withdrawal_id)
    }

    /// Whether the caller can cancel the order now. A sale for a withdrawal ends with the withdrawal.
    fn viewer_can_cancel(&self, view: &Viewpoint) -> bool {
        self.0.status.is_open() && self.0.withdrawal_id.is_none() && view.actor().may(Scope::Trade)
    }

    /// Whether the caller can replace the price or quantity of the order now.
    fn viewer_can_replace(&self, view: &Viewpoint) -> bool {
        self.0.status.is_open() && self.0.withdrawal_id.is_none() && view.actor().may(Scope::Trade)
    }

    /// Time when the order was placed, by the partner's clock.
    fn submitted_at(&self) -> DateTime {
        self.0.submitted_at.into()
    }

    /// Time when the order expires if it is still open then. Null for orders from before it was stored.
    fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(DateTime)
    }

    /// Time when the price or quantity was last replaced; null if it was not.
    fn replaced_at(&self) -> Option<DateTime> {
        self.0.replaced_at.map(DateTime)
    }

    /// Time when the order was filled; null until then.
    fn filled_at(&self) -> Option<DateTime> {
        self.0.filled_at.map(DateTime)
    }

    /// Time when the order was canceled; null otherwise.
    fn canceled_at(&self) -> Option<DateTime> {
        self.0.canceled_at.map(DateTime)
    }

    /// Time when the order expired; null otherwise.
    fn expired_at(&self) -> Option<DateTime> {
        self.0.expired_at.map(DateTime)
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
    /// Trades at the limit price or better.
    Limit,
    /// Becomes a market order when the stop price is reached.
    Stop,
    /// Becomes a limit order when the stop price is reached.
    StopLimit,
}

/// How long an order stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::order::TimeInForce")]
pub enum TimeInForce {
    /// Until the market closes: 16:00 in New York, 13:00 on early closes. In a market that never closes, until
    /// 16:00 in New York on the next trading day.
    Day,
    /// Good till canceled: until it is canceled, at most 90 days.
    Gtc,
    /// Immediate or cancel: what cannot be filled at once is canceled. When orders are filled by bars, the next
    /// bar decides.
    Ioc,
    /// Fill or kill: filled at once completely, or canceled.
    Fok,
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
    /// Expired at the end of its time in force; the hold is released.
    Expired,
    /// Rejected; the hold is released.
    Rejected,
}

/// Reason why an order was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::order::RejectCode")]
pub enum OrderRejectCode {
    /// The price changed: the buying power is too low, or the shares to buy cost less than one cent. An order with
    /// fills is then canceled instead of rejected.
    InsufficientBuyingPower,
    /// The price fell: the shares to sell are worth less than one cent.
    Invalid,
}

/// Quantity, amount, limit price and stop price of an order.
type Numbers = (Option<Quantity>, Option<entity::Money>, Option<Price>, Option<Price>);

/// Returns the numbers of an order, or all that cannot be read.
fn terms(
    quantity: Option<Decimal>,
    notional: Option<MoneyInput>,
    limit_price: Option<MoneyInput>,
    stop_price: Option<MoneyInput>,
) -> domain::Result<Numbers> {
    let price = |input: Option<MoneyInput>, field: &str| {
        input.map(|price| price.amount.amount(&format!("{field}.amount"))).transpose()
    };
    let mut checks = Checks::default();
    let quantity = checks.note(quantity.map(|quantity| quantity.amount("quantity")).transpose());
    let notional = checks.note(notional.map(|amount| amount.cents("notional")).transpose());
    let limit_price = checks.note(price(limit_price, "limitPrice"));
    let stop_price = checks.note(price(stop_price, "stopPrice"));
    checks.done()?;
    Ok((quantity.flatten(), notional.flatten(), limit_price.flatten(), stop_price.flatten()))
}

/// What an order asks for.
#[derive(Clone, InputObject)]
pub struct OrderTerms {
    /// Id of the account that buys or sells.
    account_id: IdOf<Account>,
    /// Ticker symbol (case-insensitive) or instrument id.
    symbol: String,
    /// Buy or sell.
    side: OrderSide,
    /// Number of shares, above zero and with at most four decimals. Either this or `notional` is required.
    quantity: Option<Decimal>,
    /// Amount of money to trade, only for market orders with `timeInForce: DAY`. The number of shares is this
    /// amount divided by the price, rounded down to four decimals.
    notional: Option<MoneyInput>,
    /// Order type.
    #[graphql(name = "type", default_with = "OrderType::Market")]
    kind: OrderType,
    /// Highest price of a purchase or lowest price of a sale: a multiple of 0.01 from one dollar on, otherwise
    /// of 0.0001. Required for LIMIT and STOP_LIMIT, and not allowed otherwise.
    limit_price: Option<MoneyInput>,
    /// Price at which the order is triggered, in the same steps. Required for STOP and STOP_LIMIT, and not
    /// allowed otherwise.
    stop_price: Option<MoneyInput>,
    /// How long the order stays open.
    #[graphql(default_with = "TimeInForce::Day")]
    time_in_force: TimeInForce,
    /// Order in which a sale closes tax lots. If omitted, `SPECIFIC` with `lotIds`, otherwise the
    /// account's method. `SPECIFIC` needs `lotIds`.
    /// Only for sell orders.
    lot_method: Option<LotMethod>,
    /// Ids of the tax lots to sell, in this order, at most 100. They must be open lots of the account and the
    /// instrument with enough shares. Only for sell orders.
    lot_ids: Option<Vec<IdOf<TaxLot>>>,
}

impl OrderTerms {
    fn parse(self) -> domain::Result<PlaceOrder> {
        let (quantity, notional, limit_price, stop_price) =
            terms(self.quantity, self.notional, self.limit_price, self.stop_price)?;
        Ok(PlaceOrder {
            account_id: Some(self.account_id.into()),
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
                lot_ids: self.lot_ids.into_iter().flatten().map(Into::into).collect(),
            },
        })
    }
}

#[mutations]
impl OrderMutation {
    /// Places an order and holds its cash or shares. A retry with the same `idempotencyKey` and input returns
    /// the same order. Requires scope `trade`.
    #[answers(order: Order)]
    fn order_place(
        idempotency_key: String,
        /// What to trade.
        #[graphql(flatten)]
        order: OrderTerms,
    ) -> domain::Result<PlaceOrder> {
        order.parse()
    }

    /// Cancels an open order and releases its hold. Requires scope `trade`.
    #[answers(order: Order)]
    fn order_cancel(idempotency_key: String, order_id: IdOf<Order>) -> CancelOrder;

    /// Replaces the quantity or the prices of an open order, and changes what it holds accordingly. Omitted
    /// fields stay unchanged. The order keeps its id and its fills. Requires scope `trade`.
    #[answers(order: Order)]
    fn order_replace(
        idempotency_key: String,
        order_id: IdOf<Order>,
        /// New total number of shares; must be above the number already filled.
        quantity: Option<Decimal>,
        /// New limit price.
        limit_price: Option<MoneyInput>,
        /// New stop price. Not allowed once the stop price was reached.
        stop_price: Option<MoneyInput>,
    ) -> domain::Result<ReplaceOrder> {
        let (quantity, _, limit_price, stop_price) = terms(quantity, None, limit_price, stop_price)?;
        Ok(ReplaceOrder { order_id: order_id.into(), quantity, limit_price, stop_price })
    }
}
