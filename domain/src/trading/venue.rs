//! Venues: where orders are traded. Today the paper venue, which fills by quotes and bars.
//!
//! The seam fits a broker behind FIX: an order is sent under its own id (`ClOrdID`), executions have ids and
//! may be reported late, twice and in any order, and a cancellation can be refused because the order was filled.

use super::{
    executions::{Execution, Explanation, Report, ReportKind},
    fill_rules::{self, Decision, Open},
    market::{self, Priced, Source},
    matching::OpenBook,
    orders::state::Terms,
};
use crate::{
    Result,
    kernel::{command::CommandContext, partner_settings::FillMode},
};
use entity::{instrument, order};

/// What a venue answers to a request to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReply {
    /// The order will not be filled any more.
    Canceled,
    /// The order has already ended at the venue.
    TooLate,
}

/// An order for a venue.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    pub order: &'a order::Model,
    pub instrument: &'a instrument::Model,
    pub open: Open,
    /// Number of the order's next fill.
    pub next_number: i32,
}

/// A place where orders are traded. A report enters the books only through the module `executions`.
pub trait Venue: Send + Sync {
    /// Sends an order and returns what the venue reports at once; none if the order rests.
    fn submit(
        &self,
        ctx: &CommandContext<'_>,
        submission: Submission<'_>,
    ) -> impl Future<Output = Result<Vec<Report>>> + Send;

    /// Takes an order back.
    fn cancel(
        &self,
        ctx: &CommandContext<'_>,
        order: &order::Model,
    ) -> impl Future<Output = Result<CancelReply>> + Send;

    /// Returns reports about the resting orders of a book that were not returned before, at most `most`; none if
    /// there are no more until its prices change.
    fn executions(
        &self,
        ctx: &CommandContext<'_>,
        after: &mut OpenBook<'_>,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Report>>> + Send;
}

/// The built-in venue. It fills by the quotes of the partner's market or, if the partner replays bars or chooses
/// so, by its bars.
#[derive(Clone, Copy, Debug)]
pub struct Paper;

impl Paper {
    /// Returns the quote by which an order is filled now; `None` if orders are filled by bars.
    pub(super) async fn quote(
        ctx: &CommandContext<'_>,
        instrument: &instrument::Model,
    ) -> Result<Option<Priced>> {
        let priced = market::priced(ctx.app, ctx.tx, ctx.partner, instrument, ctx.now).await?;
        let by_bars = ctx.settings()?.fill_mode == FillMode::Bars || priced.source == Source::Bars;
        Ok((!by_bars).then_some(priced))
    }
}

/// Returns the reports of a decision about an order, in order.
pub(super) fn reports(
    order_id: uuid::Uuid,
    terms: &Terms,
    decision: Decision,
    execution_id: impl FnOnce() -> String,
    explain: impl FnOnce(fill_rules::Rule) -> Explanation,
) -> Vec<Report> {
    let triggered = (decision.triggered && !terms.triggered).then_some(ReportKind::Triggered);
    let fill = decision.execution.map(|fill| {
        ReportKind::Fill(Execution {
            id: execution_id(),
            quantity: fill.quantity,
            price: fill.price,
            explanation: explain(fill.rule),
        })
    });
    let canceled = decision.cancels_rest.then_some(ReportKind::Canceled);
    [triggered, fill, canceled].into_iter().flatten().map(|kind| Report { order_id, kind }).collect()
}

impl Venue for Paper {
    async fn submit(&self, ctx: &CommandContext<'_>, submission: Submission<'_>) -> Result<Vec<Report>> {
        let Submission { order, instrument, open, next_number } = submission;
        let Some(Priced { quote, .. }) = Self::quote(ctx, instrument).await? else { return Ok(Vec::new()) };
        let terms = Terms::from(order);
        let decision = fill_rules::by_quote(&terms, open, &quote);
        let id = || format!("{}-{next_number}", order.id);
        Ok(reports(order.id, &terms, decision, id, |rule| Explanation {
            rule,
            quote: Some(quote),
            bar: None,
        }))
    }

    async fn cancel(&self, _: &CommandContext<'_>, order: &order::Model) -> Result<CancelReply> {
        // The book forgets the order when it next meets it.
        Ok(if order.status.is_open() { CancelReply::Canceled } else { CancelReply::TooLate })
    }

    async fn executions(
        &self,
        ctx: &CommandContext<'_>,
        after: &mut OpenBook<'_>,
        most: usize,
    ) -> Result<Vec<Report>> {
        after.next_reports(ctx, most).await
    }
}
