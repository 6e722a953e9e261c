//! The event log: events are written in the transaction of the change and numbered after the commit.
//!
//! Numbers are consecutive within a partner, so a reader can prove that no event is missing.

mod catalog;
mod feed;
mod log;
mod numbers;
mod states;
#[cfg(test)]
mod tests;

pub use catalog::{About, Event, EventType, Subject};
pub use feed::Feed;
pub use log::{by_ids, follow, head, newest_of_type, page, position_of};
pub use states::{
    AccountState, BankAccountState, CheckState, CorporateActionState, EntitlementState, OrderFacts,
    OrderState, PositionState, StatementState, TradeState, TransferState, UserState,
};

pub(super) use numbers::Unnumbered;

use super::{
    db::WriteTransaction,
    digest::{self, RowDigest},
    ids::Ids,
};
use crate::{Error, Result};
use chrono::{DateTime, Utc};
use entity::{Kind, event};
use uuid::Uuid;

/// An event to write: its actor, its time and the digests of its ledger movements.
#[derive(Debug)]
pub struct EventBuilder {
    pub id: Uuid,
    pub partner_id: Uuid,
    pub actor_id: Option<Uuid>,
    /// Time of the event by the partner's clock.
    pub at: DateTime<Utc>,
    /// Time of writing by the partner's clock: later than `at` if a timer ran late.
    pub recorded_at: DateTime<Utc>,
    /// Digests of the ledger movements written so far.
    pub movements: Vec<RowDigest>,
}

impl EventBuilder {
    /// Creates an event of `partner_id` at `at` by the partner's clock.
    pub fn new(ids: Ids, partner_id: Uuid, actor_id: Option<Uuid>, at: DateTime<Utc>) -> Self {
        Self { id: ids.next(Kind::Event), partner_id, actor_id, at, recorded_at: at, movements: Vec::new() }
    }

    /// Hands the event over to the transaction, which writes it after the last one of its stream.
    pub async fn record(self, tx: &WriteTransaction, event: Event) -> Result<()> {
        let begins_stream = event.event_type().begins_stream();
        let row = event::Model {
            id: self.id,
            partner_id: self.partner_id,
            stream_id: event.stream(self.partner_id),
            stream_version: 1,
            actor_id: self.actor_id,
            kind: event.event_type().name().to_owned(),
            payload: event.payload()?,
            occurred_at: self.at,
            digest: Vec::new(),
            seq: None,
            hash: None,
        };
        tx.add_event(|events| events.add(row, begins_stream, self.movements)).await;
        Ok(())
    }
}

/// Returns an event's digest: SHA-256 over its columns and the digests of its movements in the order in which
/// they were written.
pub fn digest(row: &event::Model, movements: &[RowDigest]) -> RowDigest {
    let version = row.stream_version.to_be_bytes();
    let occurred = row.occurred_at.timestamp_micros().to_be_bytes();
    let mut parts: Vec<&[u8]> = vec![
        row.id.as_bytes(),
        row.partner_id.as_bytes(),
        row.stream_id.as_bytes(),
        &version,
        row.actor_id.as_ref().map_or(&[][..], |id| id.as_bytes()),
        row.kind.as_bytes(),
        row.payload.as_bytes(),
        &occurred,
    ];
    parts.extend(movements.iter().map(<[u8; 32]>::as_slice));
    digest::of(&parts)
}

/// Returns the fault for an event that this version cannot read.
pub fn unreadable(event: &event::Model) -> Error {
    Error::broken(format!("event {} of type {} cannot be read", event.id, event.kind))
}
