//! Executions: what a venue reports about an order.
//!
//! `Working::apply` is the only way in which a fill enters the books. The paper venue's reports reach it in the
//! transaction that decided them; the reports of any other venue come through [`apply`].

mod working;

pub(super) use working::Working;

use super::{bars::Bar, fill_rules::Rule, market::Quote};
use crate::{
    Error, Result,
    kernel::{clock, command::CommandContext},
};
use entity::{
    Price, Quantity, fill,
    order::{self, RejectCode},
};
use sea_orm::{EntityTrait, QuerySelect, sea_query::LockType};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a venue reports about an order, by the id under which the order was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub order_id: Uuid,
    pub kind: ReportKind,
}

/// Kind of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// Shares were traded.
    Fill(Execution),
    /// The stop price was reached.
    Triggered,
    /// The venue canceled what is not filled, for example of an immediate-or-cancel order.
    Canceled,
}

/// A trade at a venue. Reports may arrive late, twice, and in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Id of the trade, unique at the venue: a report with a known id changes nothing.
    pub id: String,
    pub quantity: Quantity,
    pub price: Price,
    pub explanation: Explanation,
}

/// Why the venue filled an order at this price: the rule, and the quote or bar that it was applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub rule: Rule,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bar: Option<Bar>,
}

impl Explanation {
    /// Reads the explanation of a fill; none for fills from before it was stored.
    pub fn of(fill: &fill::Model) -> Result<Option<Self>> {
        let read = |text: &str| {
            serde_json::from_str(text).map_err(|_| Error::broken("a fill's explanation cannot be read"))
        };
        fill.explanation.as_deref().map(read).transpose()
    }

    fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|_| Error::broken("a fill's explanation cannot be written"))
    }
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The order was changed.
    Yes,
    /// The execution was known already; nothing was changed.
    Duplicate,
    /// The order has ended; nothing was changed.
    Ended,
    /// The account cannot pay for the trade, or it is worth less than a cent; nothing was changed.
    Unpayable(RejectCode),
}

/// Applies a report of a venue to its order.
///
/// A fill moves cash and shares in one ledger entry, releases its part of the hold, opens or closes tax lots, updates
/// the position, schedules the settlement and records the events. It is applied once, in whatever order the reports
/// of an order arrive: the execution's id decides. Quantities are added up, so totals never fall. The partner is
/// locked first, because lots of all accounts of a person may change.
///
/// # Errors
/// If the order does not exist, or more shares were traded than are open.
pub async fn apply(ctx: &CommandContext<'_>, report: Report) -> Result<Applied> {
    clock::locked(ctx.tx, ctx.partner.id).await?;
    // What is read next must include what others did before they released their lock.
    order::Entity::find_by_id(report.order_id).lock(LockType::NoKeyUpdate).one(ctx.tx).await?;
    let mut working = Working::lock(ctx, report.order_id)
        .await?
        .ok_or_else(|| Error::broken("a venue reports about an order that does not exist"))?;
    working.apply(ctx, report.kind).await
}
