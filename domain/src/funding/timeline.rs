//! The states of a transfer: those that it reached, from the event log, and those that are expected.

use super::{return_codes, transfers::date_of};
use crate::{
    Result, Visible,
    kernel::{
        actor::AccessScope,
        calendar,
        events::{Event, Subject},
    },
};
use chrono::{DateTime, NaiveDate, Utc};
use entity::{
    event,
    transfer::{self, Direction, Failure, ReturnCode, Status},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use std::collections::HashMap;
use uuid::Uuid;

/// A state of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub status: Status,
    /// Date in New York on which the state was reached or is expected; none if that is not known.
    pub on: Option<NaiveDate>,
    /// Time at which it was reached; none if it is expected.
    pub at: Option<DateTime<Utc>>,
    pub return_code: Option<ReturnCode>,
    pub reason: String,
}

/// Returns the timelines of those of these transfers that are within the access scope, by their ids.
pub async fn of(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Step>>> {
    let select = transfer::Entity::referenced_within(access_scope)
        .filter(transfer::Column::Id.is_in(ids.iter().copied()));
    let transfers = select.all(connection).await?;
    let logged = event::Entity::find()
        .filter(event::Column::StreamId.is_in(transfers.iter().map(|transfer| transfer.id)))
        .order_by_asc(event::Column::StreamVersion)
        .all(connection)
        .await?;
    let mut reached: HashMap<Uuid, Vec<Step>> = HashMap::new();
    for row in &logged {
        let event = Event::of(row)?;
        let Subject::Transfer(state) = event.subject() else { continue };
        let steps = reached.entry(state.id).or_default();
        if steps.last().is_none_or(|last: &Step| last.status != state.status) {
            steps.push(Step {
                status: state.status,
                on: Some(calendar::new_york_date(row.occurred_at)),
                at: Some(row.occurred_at),
                return_code: state.return_code,
                reason: reason(state.status, state.return_code, state.failure),
            });
        }
    }
    let of = |transfer: &transfer::Model| {
        let mut steps = reached.remove(&transfer.id).unwrap_or_default();
        steps.extend(expected(transfer));
        (transfer.id, steps)
    };
    Ok(transfers.iter().map(of).collect())
}

/// Returns the states that a transfer will reach if nothing happens to it.
fn expected(transfer: &transfer::Model) -> Vec<Step> {
    let step =
        |status, on| Step { status, on, at: None, return_code: None, reason: reason(status, None, None) };
    let last = match transfer.direction {
        Direction::Deposit => Status::Settled,
        Direction::Withdrawal => Status::Completed,
    };
    let sent = || step(Status::Submitted, date_of(transfer.submits_at));
    let ended = || step(last, Some(transfer.expected_on));
    // A withdrawal that has no time of submission sells shares first.
    let awaits = || step(Status::AwaitingSettlement, None);
    match transfer.status {
        Status::Pending if transfer.submits_at.is_none() && transfer.direction == Direction::Withdrawal => {
            let sells = transfer.set_aside < transfer.amount;
            let selling = sells.then(|| step(Status::Selling, None));
            selling.into_iter().chain([awaits(), sent(), ended()]).collect()
        }
        Status::Selling => vec![awaits(), sent(), ended()],
        Status::Pending | Status::AwaitingSettlement => vec![sent(), ended()],
        Status::Returned if transfer.submits_at.is_some() => vec![sent(), ended()],
        Status::Submitted => vec![ended()],
        _ => Vec::new(),
    }
}

fn reason(status: Status, code: Option<ReturnCode>, failure: Option<Failure>) -> String {
    if let (Status::Returned, Some(code)) = (status, code) {
        return format!("The bank returned the transfer: {}.", return_codes::meaning(code));
    }
    match (status, failure) {
        (Status::Failed, Some(Failure::BankAccountDisabled)) => "The bank account was disabled.",
        (Status::Failed, Some(Failure::AccountNotActive)) => "The account was not active.",
        (Status::Failed, Some(Failure::NothingToPay)) => "The sales raised nothing.",
        (Status::Failed, Some(Failure::DepositReturned)) => "A deposit was returned.",
        (Status::Pending, _) => "Requested.",
        (Status::Selling, _) => "Shares are sold to raise the amount.",
        (Status::AwaitingSettlement, _) => "The money is set aside and waits for the settlement of sales.",
        (Status::Submitted, _) => "Sent to the bank.",
        (Status::Settled, _) => "The money is settled cash.",
        (Status::Completed, _) => "The money is in the bank account.",
        (Status::Returned, _) => "The bank returned the transfer.",
        (Status::Canceled, _) => "Canceled on request.",
        (Status::Failed, None) => "Failed.",
    }
    .to_owned()
}
