//! The event log: events are written in the transaction of the change and numbered after the commit.
//!
//! Numbers are consecutive within a partner, so a reader can prove that no event is missing.

use super::{
    clock,
    db::Db,
    digest::{self, RowDigest},
    ids::Ids,
};
use crate::{Error, Result};
use chrono::{DateTime, Duration, Utc};
use entity::{Kind, event};
use futures_util::{Stream, stream};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::{Value, json};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::broadcast;
use uuid::Uuid;

/// Type of an event. Its name in the log is `EventType::name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    PartnerCreated,
    ApiKeyIssued,
    ApiKeyRevoked,
    UserCreated,
    UserUpdated,
    UserStatusChanged,
    KycCreated,
    KycUpdated,
    KycAnswered,
    KycExpired,
    KycDocumentUploaded,
    KycHitCleared,
    KycWatchListHitFound,
    KycReviewed,
    AccountCreated,
    AccountUpdated,
    AccountFrozen,
    AccountUnfrozen,
    AccountClosed,
    BankAccountCreated,
    BankAccountUpdated,
    BankAccountDeleted,
    DepositPending,
    DepositSettled,
    OrderAccepted,
    OrderNew,
    OrderFilled,
    OrderCanceled,
    OrderRejected,
    TradeSettled,
    SandboxClockChanged,
    SandboxQuoteSet,
    SandboxMarketHoursSet,
}

impl EventType {
    /// All event types.
    pub const ALL: [Self; 33] = [
        Self::PartnerCreated,
        Self::ApiKeyIssued,
        Self::ApiKeyRevoked,
        Self::UserCreated,
        Self::UserUpdated,
        Self::UserStatusChanged,
        Self::KycCreated,
        Self::KycUpdated,
        Self::KycAnswered,
        Self::KycExpired,
        Self::KycDocumentUploaded,
        Self::KycHitCleared,
        Self::KycWatchListHitFound,
        Self::KycReviewed,
        Self::AccountCreated,
        Self::AccountUpdated,
        Self::AccountFrozen,
        Self::AccountUnfrozen,
        Self::AccountClosed,
        Self::BankAccountCreated,
        Self::BankAccountUpdated,
        Self::BankAccountDeleted,
        Self::DepositPending,
        Self::DepositSettled,
        Self::OrderAccepted,
        Self::OrderNew,
        Self::OrderFilled,
        Self::OrderCanceled,
        Self::OrderRejected,
        Self::TradeSettled,
        Self::SandboxClockChanged,
        Self::SandboxQuoteSet,
        Self::SandboxMarketHoursSet,
    ];

    /// Returns the name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PartnerCreated => "partner.created",
            Self::ApiKeyIssued => "api_key.issued",
            Self::ApiKeyRevoked => "api_key.revoked",
            Self::UserCreated => "user.created",
            Self::UserUpdated => "user.updated",
            Self::UserStatusChanged => "user.status_changed",
            Self::KycCreated => "kyc.created",
            Self::KycUpdated => "kyc.updated",
            Self::KycAnswered => "kyc.answered",
            Self::KycExpired => "kyc.expired",
            Self::KycDocumentUploaded => "kyc.document_uploaded",
            Self::KycHitCleared => "kyc.hit_cleared",
            Self::KycWatchListHitFound => "kyc.watch_list_hit_found",
            Self::KycReviewed => "kyc.reviewed",
            Self::AccountCreated => "account.created",
            Self::AccountUpdated => "account.updated",
            Self::AccountFrozen => "account.frozen",
            Self::AccountUnfrozen => "account.unfrozen",
            Self::AccountClosed => "account.closed",
            Self::BankAccountCreated => "bank_account.created",
            Self::BankAccountUpdated => "bank_account.updated",
            Self::BankAccountDeleted => "bank_account.deleted",
            Self::DepositPending => "deposit.pending",
            Self::DepositSettled => "deposit.settled",
            Self::OrderAccepted => "order.accepted",
            Self::OrderNew => "order.new",
            Self::OrderFilled => "order.filled",
            Self::OrderCanceled => "order.canceled",
            Self::OrderRejected => "order.rejected",
            Self::TradeSettled => "trade.settled",
            Self::SandboxClockChanged => "sandbox.clock_changed",
            Self::SandboxQuoteSet => "sandbox.quote_set",
            Self::SandboxMarketHoursSet => "sandbox.market_hours_set",
        }
    }

    /// Returns the event type with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event_type| event_type.name() == name)
    }
}

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

    /// Writes the event as the first of its stream.
    pub async fn record_first(
        self,
        connection: &impl ConnectionTrait,
        event_type: EventType,
        stream_id: Uuid,
        facts: Value,
    ) -> Result<()> {
        self.write(connection, event_type, stream_id, 1, &facts).await
    }

    /// Writes the event after the last one of its stream.
    pub async fn record(
        self,
        connection: &impl ConnectionTrait,
        event_type: EventType,
        stream_id: Uuid,
        facts: Value,
    ) -> Result<()> {
        let last: Option<i32> = event::Entity::find()
            .select_only()
            .column_as(event::Column::StreamVersion.max(), "version")
            .filter(event::Column::StreamId.eq(stream_id))
            .into_tuple::<Option<i32>>()
            .one(connection)
            .await?
            .flatten();
        self.write(connection, event_type, stream_id, last.unwrap_or(0) + 1, &facts).await
    }

    async fn write(
        self,
        connection: &impl ConnectionTrait,
        event_type: EventType,
        stream_id: Uuid,
        version: i32,
        facts: &Value,
    ) -> Result<()> {
        let mut row = event::Model {
            id: self.id,
            partner_id: self.partner_id,
            stream_id,
            stream_version: version,
            actor_id: self.actor_id,
            kind: event_type.name().to_owned(),
            payload: json!(facts).to_string(),
            occurred_at: self.at,
            digest: Vec::new(),
            seq: None,
            hash: None,
        };
        row.digest = digest(&row, &self.movements).to_vec();
        event::ActiveModel::from(row).reset_all().insert(connection).await?;
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

/// Delivers sealed events to the listeners in this process.
#[derive(Clone, Debug)]
pub struct Feed(broadcast::Sender<Arc<event::Model>>);

impl Default for Feed {
    fn default() -> Self {
        Self(broadcast::Sender::new(4096))
    }
}

impl Feed {
    /// Sends an event to every listener; having none is fine.
    pub fn publish(&self, event: event::Model) {
        _ = self.0.send(Arc::new(event));
    }
}

/// Time for which events can be read from a cursor.
const RETAINED: Duration = Duration::days(30);

/// Returns the position after which `cursor` resumes.
///
/// Refused if the cursor is not an event of this partner; `CursorExpired` if that event is older than the
/// retention period.
pub async fn position_of(connection: &impl ConnectionTrait, partner_id: Uuid, cursor: &str) -> Result<i64> {
    let unknown = || Error::from(crate::Refusal::invalid("after", "is not a valid cursor"));
    let seq: i64 = cursor.parse().ok().filter(|seq: &i64| seq.to_string() == cursor).ok_or_else(unknown)?;
    if seq == 0 {
        return Ok(0);
    }
    let event = event::Entity::find()
        .filter(event::Column::PartnerId.eq(partner_id))
        .filter(event::Column::Seq.eq(seq))
        .one(connection)
        .await?
        .ok_or_else(unknown)?;
    let written = event.id.get_timestamp().map_or(0, |timestamp| timestamp.to_unix().0);
    let oldest = (clock::system_now() - RETAINED).timestamp();
    if i64::try_from(written).unwrap_or(0) < oldest { Err(Error::CursorExpired) } else { Ok(seq) }
}

/// Returns the newest sealed position in a partner's log, 0 if it is empty.
pub async fn head(connection: &impl ConnectionTrait, partner_id: Uuid) -> Result<i64> {
    Ok(event::Entity::find()
        .select_only()
        .column_as(event::Column::Seq.max(), "seq")
        .filter(event::Column::PartnerId.eq(partner_id))
        .filter(event::Column::Seq.is_not_null())
        .into_tuple::<Option<i64>>()
        .one(connection)
        .await?
        .flatten()
        .unwrap_or(0))
}

/// Returns at most `limit` sealed events after position `after`, in order.
pub async fn page(
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    after: i64,
    limit: u64,
) -> Result<Vec<event::Model>> {
    Ok(event::Entity::find()
        .filter(event::Column::PartnerId.eq(partner_id))
        .filter(event::Column::Seq.gt(after))
        .order_by_asc(event::Column::Seq)
        .limit(limit)
        .all(connection)
        .await?)
}

struct Follower {
    db: Db,
    partner_id: Uuid,
    last: i64,
    live: broadcast::Receiver<Arc<event::Model>>,
    behind: bool,
    ready: VecDeque<Arc<event::Model>>,
}

/// Streams every event after position `after`, first from the log, then live; without `after`, only new
/// events. No event is missed or repeated: after a gap in the numbers, the reader continues from the log.
pub async fn follow(
    db: &Db,
    feed: &Feed,
    partner_id: Uuid,
    after: Option<i64>,
) -> Result<impl Stream<Item = Result<Arc<event::Model>>> + Send + use<>> {
    let live = feed.0.subscribe();
    let last = match after {
        Some(seq) => seq,
        None => head(&db.read, partner_id).await?,
    };
    let follower = Follower { db: db.clone(), partner_id, last, live, behind: true, ready: VecDeque::new() };
    Ok(stream::try_unfold(follower, |mut follower| async move {
        Ok(follower.next().await?.map(|event| (event, follower)))
    }))
}

impl Follower {
    async fn next(&mut self) -> Result<Option<Arc<event::Model>>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.last = event.seq.unwrap_or(self.last);
                return Ok(Some(event));
            }
            if self.behind {
                let page = page(&self.db.read, self.partner_id, self.last, 200).await?;
                self.behind = page.len() == 200;
                self.ready.extend(page.into_iter().map(Arc::new));
                if self.ready.is_empty() {
                    self.behind = false;
                } else {
                    continue;
                }
            }
            match self.live.recv().await {
                Ok(event) if event.partner_id != self.partner_id => {}
                Ok(event) => match event.seq {
                    Some(seq) if seq == self.last + 1 => self.ready.push_back(event),
                    Some(seq) if seq > self.last => self.behind = true,
                    _ => {}
                },
                Err(broadcast::error::RecvError::Lagged(_)) => self.behind = true,
                Err(broadcast::error::RecvError::Closed) => return Ok(None),
            }
        }
    }
}

fn payload(event: &event::Model) -> Value {
    serde_json::from_str(&event.payload).unwrap_or_default()
}

/// Returns the status that the object of the event moved to, if any.
pub fn status(event: &event::Model) -> Option<String> {
    payload(event).get("status").and_then(Value::as_str).map(str::to_owned)
}

/// Returns the price per share of a fill; older events have none.
pub fn price(event: &event::Model) -> Option<String> {
    payload(event).get("price").and_then(Value::as_str).map(str::to_owned)
}

/// Whether the event concerns an order, and, if `account` is given, one of that account.
pub fn is_of_order(event: &event::Model, account: Option<Uuid>) -> bool {
    let of_account = |account: Uuid| {
        payload(event).get("account_id").and_then(Value::as_str) == Some(account.to_string().as_str())
    };
    event.kind.starts_with("order.") && account.is_none_or(of_account)
}

/// What an event is about, which decides who may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Something that only the partner may see.
    Partner,
    User(Uuid),
    Account(Uuid),
}

/// Returns what an event is about.
pub fn about(event: &event::Model) -> Subject {
    if event.kind == EventType::KycWatchListHitFound.name() {
        // Users must not learn of watch list hits.
        return Subject::Partner;
    }
    if Kind::of(event.stream_id) == Some(Kind::Account) {
        return Subject::Account(event.stream_id);
    }
    let payload = payload(event);
    let id =
        |field: &str| payload.get(field).and_then(Value::as_str).and_then(|text| Uuid::try_parse(text).ok());
    match (id("user_id"), id("account_id")) {
        (Some(user), _) => Subject::User(user),
        (None, Some(account)) => Subject::Account(account),
        (None, None) if Kind::of(event.stream_id) == Some(Kind::User) => Subject::User(event.stream_id),
        (None, None) => Subject::Partner,
    }
}

/// Returns the watch list hit that the event concerns, if any.
pub fn hit(event: &event::Model) -> Option<Uuid> {
    payload(event).get("hit_id").and_then(Value::as_str).and_then(|text| Uuid::try_parse(text).ok())
}

/// Returns the fault for an event that this version cannot read.
pub fn unreadable(event: &event::Model) -> Error {
    Error::broken(format!("event {} of type {} cannot be read", event.id, event.kind))
}
