//! Delivers sealed events to the subscribers in this process.

use super::page;
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

/// Number of events that are kept for slow subscribers of a partner. Those who fall further behind read the
/// log.
const CAPACITY: usize = 1024;
/// Number of events that are read from the log at a time.
const PAGE: u64 = 200;

/// Live events of each partner with subscribers. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Feed(Arc<Mutex<HashMap<Uuid, Channel>>>);

#[derive(Debug)]
struct Channel {
    events: broadcast::Sender<Arc<event::Model>>,
    /// Position of the last event sent; none before the first.
    last: Option<i64>,
}

impl Feed {
    fn channels(&self) -> MutexGuard<'_, HashMap<Uuid, Channel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives the events of a partner from now on.
    pub(super) fn subscribe(&self, partner_id: Uuid) -> broadcast::Receiver<Arc<event::Model>> {
        let mut channels = self.channels();
        let channel = channels
            .entry(partner_id)
            .or_insert_with(|| Channel { events: broadcast::Sender::new(CAPACITY), last: None });
        channel.events.subscribe()
    }

    /// Sends an event to the subscribers of its partner. Repeated events are skipped.
    fn send(&self, event: event::Model) {
        let mut channels = self.channels();
        let Some(channel) = channels.get_mut(&event.partner_id) else { return };
        if channel.last < event.seq {
            channel.last = event.seq;
            _ = channel.events.send(Arc::new(event));
        }
    }

    /// Sends events that this server has sealed, in order. If another server has sealed some before them, those
    /// are read from the log first.
    pub async fn publish(&self, db: &Db, events: Vec<event::Model>) -> Result<()> {
        for event in events {
            let last = self.channels().get(&event.partner_id).and_then(|channel| channel.last);
            let Some(seq) = event.seq else { continue };
            if let Some(last) = last
                && last + 1 < seq
            {
                self.send_from_log(db, event.partner_id, last, seq - 1).await?;
            }
            self.send(event);
        }
        Ok(())
    }

    /// Sends events that other servers have sealed, or whose commit on this server seemed to fail. One query
    /// if there are none.
    pub async fn catch_up(&self, db: &Db) -> Result<()> {
        let last: HashMap<Uuid, Option<i64>> = {
            let mut channels = self.channels();
            channels.retain(|_, channel| channel.events.receiver_count() > 0);
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
            let events = page(&db.read, partner_id, last, PAGE).await?;
            let Some(newest) = events.last().and_then(|event| event.seq) else { break };
            for event in events {
                self.send(event);
            }
            last = newest;
        }
        Ok(())
    }
}
