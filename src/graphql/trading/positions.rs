//! GraphQL type for positions.

use super::instruments::Instrument;
use crate::graphql::{
    accounts::Account,
    core::{
        breadth::{Lookup, One, lookup},
        loaders::QuoteOf,
        scalars::{Decimal, Money},
    },
};
use async_graphql::ID;
use entity::{Money as Cents, position};
use macros::breadth;

/// Shares of one instrument held in one account.
#[derive(Clone)]
pub struct Position(pub position::Model);

/// Shares of one instrument held in one account.
#[breadth]
impl Position {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Account that holds the shares.
    fn account(&self) -> One<Account> {
        One::of(self.0.account_id)
    }

    /// Instrument that is held.
    fn instrument(&self) -> One<Instrument> {
        One::of(self.0.instrument_id)
    }

    /// Number of shares held, including fractions.
    fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// Total price paid for the shares that are held.
    fn cost_basis(&self) -> Money {
        self.0.cost_basis.into()
    }

    /// Value at the last price. Null while market prices are unavailable.
    fn market_value(&self) -> Lookup<QuoteOf, Option<Money>> {
        let quantity = self.0.quantity;
        lookup(Some(QuoteOf(self.0.instrument_id)), move |_, quote| {
            Ok(quote.and_then(|quote| Cents::cost(quantity, quote.last)).map(Money::from))
        })
    }
}
