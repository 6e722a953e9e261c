//! GraphQL type for realized gains and losses.

use super::{instruments::Instrument, lots::TaxLot, orders::Fill};
use crate::graphql::{
    accounts::Account,
    core::{
        breadth::One,
        scalars::{Date, Decimal, Money},
    },
};
use async_graphql::{Enum, ID, InputObject};
use domain::{kernel::lists::Filter, trading::gains};
use entity::lot_closing;
use macros::{Leaf, breadth};

/// Gain or loss of shares of one tax lot that one fill sold.
#[derive(Clone)]
pub struct RealizedGain(pub lot_closing::Model);

/// Gain or loss of shares of one tax lot that one fill sold.
#[breadth]
impl RealizedGain {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Account that sold the shares.
    fn account(&self) -> One<Account> {
        One::of(self.0.account_id)
    }

    /// Instrument that was sold.
    fn instrument(&self) -> One<Instrument> {
        One::of(self.0.instrument_id)
    }

    /// Tax lot that the shares belonged to.
    fn lot(&self) -> One<TaxLot> {
        One::of(self.0.lot_id)
    }

    /// Fill that sold the shares.
    fn fill(&self) -> One<Fill> {
        One::of(self.0.fill_id)
    }

    /// Number of shares sold.
    fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// Date from which the holding period is counted.
    fn acquired_on(&self) -> Date {
        self.0.held_since.into()
    }

    /// Trade date of the sale in New York.
    fn sold_on(&self) -> Date {
        self.0.closed_on.into()
    }

    /// Whether the shares were held for more than one year.
    fn term(&self) -> GainTerm {
        self.0.term.into()
    }

    /// What the shares were sold for, less fees.
    fn proceeds(&self) -> Money {
        self.0.proceeds.into()
    }

    /// What the shares cost, with the disallowed losses that were added to it.
    fn cost_basis(&self) -> Money {
        self.0.basis.into()
    }

    /// Part of the loss that is disallowed because shares were bought within 30 days before or after the sale, in
    /// any account of the owners. Zero for a gain. Until 30 days after the sale it can still grow.
    fn disallowed_loss(&self) -> Money {
        self.0.disallowed.into()
    }

    /// Gain, or loss if negative, that counts for taxes: proceeds minus cost, without the disallowed loss.
    fn gain(&self) -> Money {
        gains::gain(&self.0).into()
    }
}

/// Holding period of shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::lot_closing::Term")]
pub enum GainTerm {
    /// One year or less.
    Short,
    /// More than one year.
    Long,
}

/// Filter for realized gains. A gain must match all the fields that are given.
#[derive(Clone, Default, InputObject)]
pub struct RealizedGainFilter {
    /// Only gains of sales in this calendar year, by the trade date in New York.
    year: Option<i32>,
    /// Only gains with this holding period.
    term: Option<GainTerm>,
}

impl RealizedGainFilter {
    /// Returns the conditions on the rows.
    pub fn conditions(self) -> Vec<Filter> {
        let term = self.term.map(lot_closing::Term::from);
        let of_term = Filter::one_of(lot_closing::Column::Term, term);
        self.year.map(gains::of_year).into_iter().flatten().chain(of_term).collect()
    }
}
