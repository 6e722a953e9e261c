//! GraphQL types, queries and mutations for statements of accounts.

use crate::{
    graphql::{
        accounts::Account,
        core::{
            breadth::{Lookup, Maybe, One, found, lookup},
            context::Viewpoint,
            ids::IdOf,
            loaders::OwnPartner,
            scalars::{Date, DateTime, Money, parsed},
        },
    },
    wire::Result,
};
use async_graphql::{Enum, ID, InputObject};
use domain::{
    Scope,
    kernel::lists::Filter,
    reporting::statements::{self, CreateStatement},
};
use entity::statement;
use macros::{Leaf, breadth, mutations};

/// Statement of an account for a period: cash, positions, trades, transfers, dividends, fees and realized gains.
#[derive(Clone)]
pub struct Statement(pub statement::Model);

/// Statement of an account for a period: cash, positions, trades, transfers, dividends, fees and realized gains.
#[breadth]
impl Statement {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Account that the statement is about.
    fn account(&self) -> One<Account> {
        One::of(self.0.account_id)
    }

    /// First day of the period, in New York.
    fn period_start(&self) -> Date {
        self.0.start_on.into()
    }

    /// Last day of the period, in New York.
    fn period_end(&self) -> Date {
        self.0.end_on.into()
    }

    /// Value of the account before the period: cash, and shares at their prices at the close before.
    fn opening_balance(&self) -> Money {
        self.0.opening_balance.into()
    }

    /// Value of the account at the end of the period: cash, and shares at their prices at the last close.
    fn closing_balance(&self) -> Money {
        self.0.closing_balance.into()
    }

    /// Time when the statement was made, by the partner's clock.
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// New download URL for GET, valid for 30 minutes without credentials. Each download is written to the audit log.
    fn url(
        &self,
        #[graphql(desc = "Format of the file.", default_with = "StatementFormat::Pdf")]
        format: StatementFormat,
    ) -> Lookup<OwnPartner, String> {
        let statement = self.0.clone();
        lookup(Some(OwnPartner), move |view, partner| {
            view.actor().access_scope(Scope::Read)?;
            let partner = found(partner)?;
            let path = statements::link_to(view.app(), view.actor(), &partner, &statement, format.into())?;
            Ok(view.address(&path))
        })
    }
}

/// File format of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "domain::reporting::statements::Format")]
pub enum StatementFormat {
    /// PDF, for people.
    Pdf,
    /// CSV: a line for each part of the statement.
    Csv,
    /// JSON: the whole statement as data.
    Json,
}

/// Filter for statements. A statement must match all the fields that are given.
#[derive(Clone, Default, InputObject)]
pub struct StatementFilter {
    /// Only statements whose period ends on this day or later.
    end_from: Option<Date>,
    /// Only statements whose period ends before this day.
    end_before: Option<Date>,
}

impl StatementFilter {
    /// Returns the conditions on the rows.
    pub fn conditions(self) -> Result<Vec<Filter>> {
        let from = self.end_from.map(|day| parsed(&day, "filter.endFrom")).transpose()?;
        let before = self.end_before.map(|day| parsed(&day, "filter.endBefore")).transpose()?;
        let from = from.map(|day| Filter::from_day(statement::Column::EndOn, day));
        let before = before.map(|day| Filter::before_day(statement::Column::EndOn, day));
        Ok(from.into_iter().chain(before).collect())
    }
}

#[derive(Default)]
pub struct StatementQuery;

#[breadth]
impl StatementQuery {
    /// Returns a statement by id, or null if it was not found. Requires scope `read`.
    fn statement(
        &self,
        view: &Viewpoint,
        #[graphql(desc = "Id of the statement.")] id: ID,
    ) -> Result<Maybe<Statement>> {
        Maybe::find(view, &id)
    }
}

#[mutations]
impl StatementMutation {
    /// Makes a statement of an account for a period that has ended, which is the case from 01:00 in New York on the
    /// next day. If there is one for the same period, it is returned. Statements of whole months are made without
    /// being asked for. Requires scope `manage`.
    #[answers(statement: Statement)]
    fn statement_create(
        account_id: IdOf<Account>,
        /// First day of the period, in New York.
        period_start: Date,
        /// Last day of the period, in New York, at most 366 days in all.
        period_end: Date,
    ) -> domain::Result<CreateStatement> {
        let (period_start, period_end) =
            domain::both(parsed(&period_start, "periodStart"), parsed(&period_end, "periodEnd"))?;
        Ok(CreateStatement { account_id: account_id.into(), period_start, period_end })
    }
}
