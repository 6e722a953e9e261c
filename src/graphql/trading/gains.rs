//! GraphQL type for realized gains and losses.

use super::{corporate_actions::Entitlement, instruments::Instrument, lots::TaxLot, orders::Fill};
use crate::{
    graphql::{
        accounts::Account,
        core::{
            breadth::{Fetch, Maybe, One, fetch},
            context::Viewpoint,
            scalars::{Date, Decimal, Money},
        },
    },
    wire::Result,
};
use async_graphql::{Enum, ID, InputObject, SimpleObject};
use domain::{
    Visible,
    kernel::{ids, lists::Filter},
    people::users,
    trading::gains,
};
use entity::{Kind, account, lot_closing};
use macros::{Fields, Leaf, breadth};
use uuid::Uuid;

/// Gain or loss on the shares of one tax lot that one fill sold, or that a corporate action
/// paid in cash.
#[derive(Clone)]
pub struct RealizedGain(pub lot_closing::Model);

/// Gain or loss on the shares of one tax lot that one fill sold, or that a corporate action
/// paid in cash.
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

    /// Fill that sold the shares. Null for fractions of shares that a corporate action paid in cash.
    fn fill(&self) -> Maybe<Fill> {
        Maybe::of(self.0.fill_id)
    }

    /// What a corporate action paid in cash for fractions of shares. Null for shares that a fill sold.
    fn entitlement(&self) -> Maybe<Entitlement> {
        Maybe::of(self.0.entitlement_id)
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

/// Whose purchases can make a sale at a loss a wash sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "domain::trading::gains::GainsView")]
pub enum GainsView {
    /// What a broker reports on Form 1099-B: only purchases in the same account.
    Broker,
    /// What the person must report: purchases in all of their accounts, including retirement accounts.
    Person,
}

/// Realized gains of a person in one tax year, in the form of Form 8949.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct GainsReport {
    /// Calendar year of the sales.
    year: i32,
    /// Whose purchases were counted to find wash sales.
    view: GainsView,
    /// Whether purchases in January can still change the report. False from 31 January of the next year on.
    is_provisional: bool,
    /// The lines as CSV with a header: account number, part, box, and the columns (a) to (h) of Form 8949.
    csv: String,
}

#[derive(Default)]
pub struct GainsQuery;

#[breadth]
impl GainsQuery {
    /// Returns the realized gains of a user's taxable accounts in a tax year, or null if the user was not found.
    /// Requires scope `read`.
    fn gains_report(
        &self,
        #[graphql(desc = "Id of the user.")] user_id: ID,
        #[graphql(desc = "Calendar year of the sales, for example 2026.")] year: i32,
        #[graphql(
            desc = "Whose purchases are counted to find wash sales.",
            default_with = "GainsView::Person"
        )]
        view: GainsView,
    ) -> Fetch<Option<GainsReport>> {
        let user_id = ids::parse(Kind::User, &user_id);
        fetch(move |viewpoint| Box::pin(gains_report(viewpoint, user_id, year, view)))
    }
}

async fn gains_report(
    view: &Viewpoint,
    user_id: Uuid,
    year: i32,
    of: GainsView,
) -> Result<Option<GainsReport>> {
    let access_scope = account::Entity::access(view.actor())?;
    let connection = view.loaders().connection().await?;
    if users::find(&*connection, view.actor(), user_id).await?.is_none() {
        return Ok(None);
    }
    let report = gains::report(view.app(), &*connection, access_scope, user_id, year, of.into()).await?;
    Ok(Some(GainsReport {
        year: report.year,
        view: report.view.into(),
        is_provisional: report.is_provisional,
        csv: report.csv()?,
    }))
}
