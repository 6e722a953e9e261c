//! GraphQL type for tax lots. The rules are in `domain::trading::lots`.

use super::{instruments::Instrument, orders::Fill};
use crate::graphql::{
    accounts::Account,
    core::{
        breadth::{Lookup, Maybe, One, lookup},
        loaders::QuoteOf,
        scalars::{Date, Decimal, Money},
    },
    trading::gains::GainTerm,
};
use async_graphql::{Enum, ID, InputObject};
use domain::{
    kernel::{calendar, lists::Filter},
    trading::{instruments, lots::rules},
};
use entity::{Money as Cents, tax_lot};
use macros::{Leaf, breadth};

/// Shares that were bought together, with what they cost. A purchase is split into several lots if only some
/// of its shares replace shares that were sold at a loss.
#[derive(Clone)]
pub struct TaxLot(pub tax_lot::Model);

/// Shares that were bought together, with what they cost. A purchase is split into several lots if only some
/// of its shares replace shares that were sold at a loss.
#[breadth]
impl TaxLot {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Account that holds the shares.
    fn account(&self) -> One<Account> {
        One::of(self.0.account_id)
    }

    /// Instrument that was bought.
    fn instrument(&self) -> One<Instrument> {
        One::of(self.0.instrument_id)
    }

    /// Fill that bought the shares. Null for shares that were held before lots were kept.
    fn fill(&self) -> Maybe<Fill> {
        Maybe::of(self.0.fill_id)
    }

    /// Trade date in New York.
    fn acquired_on(&self) -> Date {
        self.0.acquired_on.into()
    }

    /// Date from which the holding period is counted: before `acquiredOn` for shares that replace shares sold at a
    /// loss.
    fn held_since(&self) -> Date {
        self.0.held_since.into()
    }

    /// First date on which a sale is long-term.
    fn long_term_on(&self) -> Date {
        rules::long_term_from(self.0.held_since).into()
    }

    /// Number of shares that have not been sold.
    fn quantity(&self) -> Decimal {
        self.0.open_quantity.into()
    }

    /// Number of shares when the lot was opened, before any split.
    fn original_quantity(&self) -> Decimal {
        self.0.bought_quantity.into()
    }

    /// Cost of the shares that have not been sold, with the disallowed losses that were added to it.
    fn cost_basis(&self) -> Money {
        self.0.open_basis.into()
    }

    /// What all shares of the lot cost when it was opened.
    fn original_cost(&self) -> Money {
        self.0.cost.into()
    }

    /// Disallowed loss of other shares that was added to the cost because these shares replace them.
    fn wash_sale_adjustment(&self) -> Money {
        self.0.wash_adjustment.into()
    }

    /// Whether a sale now would be short-term or long-term. Null while market prices are unavailable.
    fn term(&self) -> Lookup<QuoteOf, Option<GainTerm>> {
        let held_since = self.0.held_since;
        lookup(Some(QuoteOf(self.0.instrument_id)), move |_, quote| {
            Ok(quote.map(|quote| rules::term(held_since, calendar::new_york_date(quote.at)).into()))
        })
    }

    /// Value of the shares that have not been sold, at the last price. Null while market prices are unavailable.
    fn market_value(&self) -> Lookup<QuoteOf, Option<Money>> {
        let quantity = self.0.open_quantity;
        lookup(Some(QuoteOf(self.0.instrument_id)), move |_, quote| {
            Ok(quote.and_then(|quote| Cents::cost(quantity, quote.last)).map(Money::from))
        })
    }

    /// Gain or loss if these shares were sold at the last price. Null while market prices are unavailable.
    fn unrealized_gain(&self) -> Lookup<QuoteOf, Option<Money>> {
        let (quantity, basis) = (self.0.open_quantity, self.0.open_basis);
        lookup(Some(QuoteOf(self.0.instrument_id)), move |_, quote| {
            let worth = quote.and_then(|quote| Cents::cost(quantity, quote.last));
            Ok(worth.and_then(|worth| worth.minus(basis)).map(Money::from))
        })
    }
}

/// Order in which sales close tax lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::tax_lot::LotMethod")]
pub enum LotMethod {
    /// Oldest lots first.
    Fifo,
    /// Newest lots first.
    Lifo,
    /// Lots with the highest cost per share first.
    Hifo,
    /// Short-term losses first, then long-term losses, long-term gains and short-term gains; within each
    /// group, the lots with the highest cost per share first. This order is fixed: with wash sales, another method can
    /// cost less.
    MinTax,
    /// Lots that an order names.
    Specific,
}

/// Filter for tax lots. A lot must match all the fields that are given.
#[derive(Clone, Default, InputObject)]
pub struct TaxLotFilter {
    /// Only lots of the instrument with this ticker symbol, case-insensitive.
    symbol: Option<String>,
}

impl TaxLotFilter {
    /// Returns the conditions on the rows.
    pub fn conditions(self) -> Vec<Filter> {
        self.symbol.map(|symbol| instruments::of_symbol(&symbol)).into_iter().collect()
    }
}
