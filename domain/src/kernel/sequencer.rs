//! Numbers and seals committed rows: consecutive positions per partner, each hash covering the previous one.
//!
//! This happens after the commit, so that no transaction that moves money waits for another's place in the
//! chain.

mod batch;

use super::{
    audit_log::line_digest,
    db::{Db, WriteTransaction},
    digest,
    events::Feed,
    heads::{self, Heads},
    secrets::Vault,
};
use crate::{Error, Result};
use batch::Batch;
use entity::chain_head::{self, Chain};
use sea_orm::Iterable;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

const BATCH: u64 = 1000;
/// Interval at which rows that other processes have committed or sealed are looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Wakes the sequencer, and lets callers wait until their commits are sealed.
#[derive(Clone, Debug)]
pub struct Sequencer {
    requested: Arc<AtomicU64>,
    wake: Arc<Notify>,
    done: Arc<watch::Sender<u64>>,
}

impl Default for Sequencer {
    fn default() -> Self {
        Self { requested: Arc::default(), wake: Arc::default(), done: Arc::new(watch::Sender::new(0)) }
    }
}

impl Sequencer {
    /// Signals that something was committed.
    pub fn wake(&self) -> u64 {
        let ticket = self.requested.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake.notify_one();
        ticket
    }

    /// Waits until everything committed before this call is sealed, for at most two seconds.
    pub async fn caught_up(&self) {
        let ticket = self.wake();
        let mut done = self.done.subscribe();
        _ = tokio::time::timeout(Duration::from_secs(2), done.wait_for(|sealed| *sealed >= ticket)).await;
    }

    /// Seals committed rows continuously until the process ends.
    pub async fn run(&self, db: &Db, feed: &Feed, vault: &Vault) {
        let mut broken = BTreeSet::new();
        let mut caught_up_at = Instant::now();
        loop {
            let is_woken = tokio::time::timeout(POLL_INTERVAL, self.wake.notified()).await.is_ok();
            let ticket = self.requested.load(Ordering::SeqCst);
            // The last round began after this request and has served it.
            if is_woken && ticket == *self.done.borrow() {
                continue;
            }
            let mut sealed = seal_and_publish(db, feed, vault, &mut broken, is_woken).await;
            // Events of this server wait neither for this query nor for the next poll.
            if sealed.is_ok() && (!is_woken || caught_up_at.elapsed() >= POLL_INTERVAL) {
                caught_up_at = Instant::now();
                sealed = feed.catch_up(db).await;
            }
            match sealed {
                Ok(()) => {
                    self.done.send_replace(ticket);
                }
                Err(error) => {
                    tracing::error!(cause = %error.cause(), "sealing the event log failed and is retried");
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            }
        }
    }
}

/// Seals all committed rows and publishes the events.
pub async fn seal_all(db: &Db, feed: &Feed, vault: &Vault) -> Result<()> {
    seal_and_publish(db, feed, vault, &mut BTreeSet::new(), true).await
}

/// Seals all committed rows and publishes the events. Unless something was committed, first looks whether there
/// is anything to seal. `broken` are the partners with a broken head that has already been logged.
async fn seal_and_publish(
    db: &Db,
    feed: &Feed,
    vault: &Vault,
    broken: &mut BTreeSet<Uuid>,
    committed: bool,
) -> Result<()> {
    if committed || batch::is_waiting(&db.read).await? {
        while seal_batch(db, feed, vault, broken).await? == BATCH {}
    }
    Ok(())
}

async fn seal_batch(db: &Db, feed: &Feed, vault: &Vault, broken: &mut BTreeSet<Uuid>) -> Result<u64> {
    let tx = db.write().await?;
    heads::lock(&tx).await?;
    let Batch { mut events, lines, mut heads } = unsealed_rows(&tx, vault, broken).await?;
    if events.is_empty() && lines.is_empty() {
        tx.commit().await?;
        return Ok(0);
    }
    for event in &mut events {
        let (seq, hash) = next(&mut heads, event.partner_id, Chain::Event, &event.digest)?;
        (event.seq, event.hash) = (Some(seq), Some(hash));
    }
    let mut sealed = Vec::with_capacity(lines.len());
    for line in &lines {
        let (seq, hash) = next(&mut heads, line.partner_id, Chain::AuditLog, &line_digest(line))?;
        sealed.push((line.id, seq, hash));
    }
    let key = vault.head_key();
    for head in heads.values_mut() {
        heads::sign(&key, head);
    }
    let numbered = events.iter().filter_map(|event| Some((event.id, event.seq?, event.hash.clone()?)));
    batch::write(&tx, numbered.collect(), sealed, &heads).await?;
    // If a commit succeeds but returns an error, the feed finds the events in the log.
    tx.commit().await?;
    let sealed = Ord::max(events.len(), lines.len()) as u64;
    feed.publish(db, events).await?;
    Ok(sealed)
}

/// Returns unsealed rows, oldest first. Nothing is added to a chain with a missing or altered head: a new
/// signature would hide the damage.
async fn unsealed_rows(tx: &WriteTransaction, vault: &Vault, logged: &mut BTreeSet<Uuid>) -> Result<Batch> {
    let key = vault.head_key();
    let mut left_out: BTreeSet<Uuid> = BTreeSet::new();
    loop {
        let batch = batch::read(tx, BATCH, &left_out).await?;
        let heads = &batch.heads;
        let partners: BTreeSet<Uuid> = batch
            .events
            .iter()
            .map(|event| event.partner_id)
            .chain(batch.lines.iter().map(|line| line.partner_id))
            .collect();
        let is_genuine = |head: &chain_head::Model| heads::is_genuine(&key, head);
        let is_whole =
            |partner: &Uuid| Chain::iter().all(|chain| heads.get(&(*partner, chain)).is_some_and(is_genuine));
        let broken: Vec<Uuid> = partners.into_iter().filter(|partner| !is_whole(partner)).collect();
        if broken.is_empty() {
            logged.retain(|partner| left_out.contains(partner));
            return Ok(batch);
        }
        for partner in broken {
            if logged.insert(partner) {
                tracing::error!(%partner, "a chain head of this partner is missing or altered; \
                    sealing has stopped for this partner");
            }
            left_out.insert(partner);
        }
    }
}

/// Advances a head by one row; returns the row's number and hash.
fn next(heads: &mut Heads, partner: Uuid, chain: Chain, digest: &[u8]) -> Result<(i64, Vec<u8>)> {
    let head = heads.get_mut(&(partner, chain)).ok_or_else(|| Error::broken("a chain has no head"))?;
    head.sealed += 1;
    head.hash = digest::link(&head.hash, digest);
    Ok((head.sealed, head.hash.clone()))
}
