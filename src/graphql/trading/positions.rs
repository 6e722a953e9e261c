//! GraphQL type for positions.

use super::instruments::Instrument;
use crate::graphql::{
    accounts::Account,
    core::{
        breadth::{Lookup, One, lookup},
        loaders::{QuoteOf, ValuationOf},
        scalars::{Decimal, Money},
    },
};
use async_graphql::{ID, SimpleObject};
use domain::trading::positions::Valuation;
use entity::{Money as Cents, Price, position};
use macros::{Fields, breadth};

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

    /// Cost of the shares that are held, the sum of the open tax lots. Losses that wash sales disallowed are added to
    /// it.
    fn cost_basis(&self) -> Money {
        self.0.cost_basis.into()
    }

    /// Average cost of one share. Null for a position that was sold completely.
    fn average_cost(&self) -> Option<Money> {
        Price::average(self.0.cost_basis, self.0.quantity).map(Money::from)
    }

    /// Change of the value since the close of the last session before today; for shares bought today, since
    /// their purchase. Null while market prices are unavailable.
    fn day_change(&self) -> Lookup<ValuationOf, Option<Money>> {
        let key = ValuationOf(self.0.account_id, self.0.instrument_id);
        lookup(Some(key), |_, valuation| Ok(valuation.map(|valuation| valuation.day_change.into())))
    }

    /// Gain or loss if all shares were sold at the last price. Null while market prices are unavailable.
    fn unrealized_gain(&self) -> Lookup<ValuationOf, Option<UnrealizedGain>> {
        let key = ValuationOf(self.0.account_id, self.0.instrument_id);
        lookup(Some(key), |_, valuation| Ok(valuation.map(UnrealizedGain::from)))
    }

    /// Value at the last price. Null while market prices are unavailable.
    fn market_value(&self) -> Lookup<QuoteOf, Option<Money>> {
        let quantity = self.0.quantity;
        lookup(Some(QuoteOf(self.0.instrument_id)), move |_, quote| {
            Ok(quote.and_then(|quote| Cents::cost(quantity, quote.last)).map(Money::from))
        })
    }
}

/// Gain or loss of shares that are held, at the last price. Losses are negative.
#[derive(Fields, SimpleObject)]
pub struct UnrealizedGain {
    /// Gain of all shares.
    total: Money,
    /// Gain of the shares held for at most one year.
    short_term: Money,
    /// Gain of the shares held for more than one year.
    long_term: Money,
}

impl From<Valuation> for UnrealizedGain {
    fn from(valuation: Valuation) -> Self {
        let Valuation { short_term_gain: short, long_term_gain: long, .. } = valuation;
        let total = Cents::from_units(short.units() + long.units());
        Self { total: total.into(), short_term: short.into(), long_term: long.into() }
    }
}
