//! Reading the event log: by position, and live.

use super::{EventType, Feed, feed::Batch};
use crate::{
    Error, Result,
    kernel::{
        clock,
        db::{Db, WriteTransaction},
    },
};
use chrono::Duration;
use entity::event;
use futures_util::{Stream, stream};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::broadcast;
use uuid::Uuid;

/// Time for which events can be read from a cursor.
const RETAINED: Duration = Duration::days(30);
/// Number of events that are read from the log at a time.
pub(super) const PAGE: u64 = 200;

/// Returns the position after which `cursor` resumes.
///
/// Refused if the cursor is not an event of this partner; `CursorExpired` if that event is older than the
/// retention period and others have followed.
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
    let is_old = i64::try_from(written).unwrap_or(0) < oldest;
    // After the newest event nothing can be missing, however old it is.
    if is_old && head(connection, partner_id).await? > seq { Err(Error::CursorExpired) } else { Ok(seq) }
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

/// Returns the newest events of one type in a stream, at most `limit`.
pub async fn newest_of_type(
    connection: &impl ConnectionTrait,
    stream_id: Uuid,
    event_type: EventType,
    limit: u64,
) -> Result<Vec<event::Model>> {
    Ok(event::Entity::find()
        .filter(event::Column::StreamId.eq(stream_id))
        .filter(event::Column::Kind.eq(event_type.name()))
        .order_by_desc(event::Column::StreamVersion)
        .limit(limit)
        .all(connection)
        .await?)
}

/// Returns the events with these ids that were written, in any order. Events that the transaction was handed over, and
/// has not written, are not among them.
pub async fn by_ids(tx: &WriteTransaction, ids: &[Uuid]) -> Result<Vec<event::Model>> {
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let select = event::Entity::find().filter(event::Column::Id.is_in(ids.iter().copied()));
        found.extend(select.all(&tx.past_pending()).await?);
    }
    Ok(found)
}

/// Most ids of one statement.
const CHUNK: usize = 1000;

struct Follower {
    db: Db,
    partner_id: Uuid,
    /// Position of the last event received.
    last: i64,
    live: broadcast::Receiver<Batch>,
    behind: bool,
    /// Wanted events that were received and not yet sent.
    ready: VecDeque<Arc<event::Model>>,
    is_wanted: fn(&event::Model) -> bool,
}

/// Streams the wanted events after position `after`, first from the log, then live; without `after`, only new
/// events. No event is missed or repeated: after a gap in the numbers, the reader continues from the log.
pub async fn follow(
    db: &Db,
    feed: &Feed,
    partner_id: Uuid,
    after: Option<i64>,
    is_wanted: fn(&event::Model) -> bool,
) -> Result<impl Stream<Item = Result<Arc<event::Model>>> + Send + use<>> {
    let live = feed.subscribe(partner_id);
    let last = match after {
        Some(seq) => seq,
        None => head(&db.read, partner_id).await?,
    };
    let (db, ready) = (db.clone(), VecDeque::new());
    let follower = Follower { db, partner_id, last, live, behind: true, ready, is_wanted };
    Ok(stream::try_unfold(follower, |mut follower| async move {
        Ok(follower.next().await?.map(|event| (event, follower)))
    }))
}

impl Follower {
    async fn next(&mut self) -> Result<Option<Arc<event::Model>>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if self.ready.is_empty() {
                    self.ready.shrink_to_fit();
                }
                return Ok(Some(event));
            }
            if self.behind {
                let page = page(&self.db.read, self.partner_id, self.last, PAGE).await?;
                self.behind = page.len() as u64 == PAGE;
                for event in page {
                    self.receive(&Arc::new(event));
                }
                continue;
            }
            match self.live.recv().await {
                Ok(batch) => {
                    let first = batch.first().and_then(|event| event.seq);
                    // The log contains what is missing before the batch.
                    self.behind = first > Some(self.last + 1);
                    if !self.behind {
                        batch.iter().for_each(|event| self.receive(event));
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => self.behind = true,
                Err(broadcast::error::RecvError::Closed) => return Ok(None),
            }
        }
    }

    /// Keeps an event to be sent if it is wanted and was not received before.
    fn receive(&mut self, event: &Arc<event::Model>) {
        let Some(seq) = event.seq.filter(|seq| *seq > self.last) else { return };
        self.last = seq;
        if (self.is_wanted)(event) {
            self.ready.push_back(event.clone());
        }
    }
}
