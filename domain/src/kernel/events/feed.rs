//! Delivers sealed events to the subscribers in this process.

use super::log::{PAGE, page};
use crate::{Result, kernel::db::Db};
use entity::{
    chain_head::{self, Chain},
    event,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::broadcast;
use uuid::Uuid;

/// Number of batches that are kept for slow subscribers of a partner. Those who fall further behind read the
/// log.
const CAPACITY: usize = 256;
/// Number of events in a batch at most.
const BATCH: usize = 16;

/// Events of one partner in the order of their positions. They are sent together, so that they wake each
/// subscriber once.
pub type Batch = Arc<[Arc<event::Model>]>;

/// Live events of each partner with subscribers. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Feed(Arc<Mutex<HashMap<Uuid, Channel>>>);

#[derive(Debug)]
struct Channel {
    batches: broadcast::Sender<Batch>,
    /// Position of the last event sent; none before the first.
    last: Option<i64>,
}

impl Feed {
    fn channels(&self) -> MutexGuard<'_, HashMap<Uuid, Channel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives the events of a partner from now on.
    pub(super) fn subscribe(&self, partner_id: Uuid) -> broadcast::Receiver<Batch> {
        let mut channels = self.channels();
        let channel = channels
            .entry(partner_id)
            .or_insert_with(|| Channel { batches: broadcast::Sender::new(CAPACITY), last: None });
        channel.batches.subscribe()
    }

    /// Sends events to the subscribers of their partner. Repeated events are skipped.
    fn send(&self, partner_id: Uuid, events: &[Arc<event::Model>]) {
        let mut channels = self.channels();
        let Some(channel) = channels.get_mut(&partner_id) else { return };
        let (_, new) = events.split_at(events.partition_point(|event| event.seq <= channel.last));
        for batch in new.chunks(BATCH) {
            channel.last = batch.last().and_then(|event| event.seq);
            _ = channel.batches.send(batch.into());
        }
    }

    /// Sends events that this server has sealed, in order. If another server has sealed some before them, those
    /// are read from the log first.
    pub async fn publish(&self, db: &Db, events: Vec<event::Model>) -> Result<()> {
        let events: Vec<_> = events.into_iter().map(Arc::new).collect();
        for run in events.chunk_by(|one, next| follows(one, next)) {
            let Some(first) = run.first() else { continue };
            let last = self.channels().get(&first.partner_id).and_then(|channel| channel.last);
            let Some(seq) = first.seq else { continue };
            if let Some(last) = last
                && last + 1 < seq
            {
                self.send_from_log(db, first.partner_id, last, seq - 1).await?;
            }
            self.send(first.partner_id, run);
        }
        Ok(())
    }

    /// Sends events that other servers have sealed, or whose commit on this server seemed to fail. One query
    /// if there are none.
    pub async fn catch_up(&self, db: &Db) -> Result<()> {
        let last: HashMap<Uuid, Option<i64>> = {
            let mut channels = self.channels();
            channels.retain(|_, channel| channel.batches.receiver_count() > 0);
            channels.iter().map(|(partner_id, channel)| (*partner_id, channel.last)).collect()
        };
        if last.is_empty() {
            return Ok(());
        }
        let heads: Vec<(Uuid, i64)> = chain_head::Entity::find()
            .select_only()
            .column(chain_head::Column::PartnerId)
            .column(chain_head::Column::Sealed)
            .filter(chain_head::Column::Chain.eq(Chain::Event))
            .filter(chain_head::Column::PartnerId.is_in(last.keys().copied()))
            .into_tuple()
            .all(&db.read)
            .await?;
        for (partner_id, sealed) in heads {
            // Subscribers read older events from the log themselves. If none was sent yet, the newest shows
            // them whether they have missed any.
            let last = last.get(&partner_id).copied().flatten().unwrap_or(sealed - 1);
            if last < sealed {
                self.send_from_log(db, partner_id, last, sealed).await?;
            }
        }
        Ok(())
    }

    /// Sends the events after position `last` up to position `until`.
    async fn send_from_log(&self, db: &Db, partner_id: Uuid, mut last: i64, until: i64) -> Result<()> {
        while last < until {
            let events: Vec<_> =
                page(&db.read, partner_id, last, PAGE).await?.into_iter().map(Arc::new).collect();
            let Some(newest) = events.last().and_then(|event| event.seq) else { break };
            self.send(partner_id, &events);
            last = newest;
        }
        Ok(())
    }
}

/// Whether an event is at the position after another of the same partner.
fn follows(one: &event::Model, next: &event::Model) -> bool {
    one.partner_id == next.partner_id && one.seq.map(|seq| seq + 1) == next.seq
}
