//! GraphQL types for fills.

use super::{Order, OrderSide};
use crate::{
    graphql::{
        accounts::Account,
        core::{
            breadth::{Lookup, One, found, lookup},
            loaders::ById,
            scalars::{DateTime, Decimal, Money},
        },
        trading::{
            bars::Bar,
            confirmations::TradeConfirmation,
            instruments::{Instrument, Quote},
        },
    },
    wire::Result,
};
use async_graphql::{Enum, ID, SimpleObject};
use domain::trading::executions::Explanation;
use entity::fill;
use macros::{Fields, Leaf, breadth};

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

    /// Total price of the trade before fees; positive for purchases and sales.
    fn amount(&self) -> Money {
        self.0.amount.into()
    }

    /// Number of the fill within its order, from 1.
    fn number(&self) -> i32 {
        self.0.number
    }

    /// Why the order was filled at this price. Null for fills from before it was stored.
    fn explanation(&self) -> Result<Option<FillExplanation>> {
        Ok(Explanation::of(&self.0)?.map(FillExplanation::from))
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

/// Why an order was filled at its price: the rule, and the quote or bar that it was applied to.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct FillExplanation {
    /// Rule by which the order was filled.
    rule: FillRule,
    /// Quote at which the order was filled. Null if it was filled by a bar.
    quote: Option<Quote>,
    /// Bar in which the order was filled. Null if it was filled by a quote.
    bar: Option<Bar>,
}

impl From<Explanation> for FillExplanation {
    fn from(explanation: Explanation) -> Self {
        let Explanation { rule, quote, bar } = explanation;
        Self { rule: rule.into(), quote: quote.map(Quote::from), bar: bar.map(Bar::from) }
    }
}

/// Rule by which an order is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "domain::trading::fill_rules::Rule")]
pub enum FillRule {
    /// At the ask of a quote.
    BuyAtAsk,
    /// At the bid of a quote.
    SellAtBid,
    /// At the opening price of a bar.
    BarOpen,
    /// At the limit price, which the bar reached.
    BarLimit,
    /// At the stop price, which the bar reached.
    BarStop,
    /// At the opening price of a bar that opened beyond the stop price.
    BarGap,
}
