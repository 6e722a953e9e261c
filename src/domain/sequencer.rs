//! Numbers and seals what has been committed: dense positions per partner, each hash covering the one before.
//!
//! It runs after the commit, so that no money transaction waits for another's place in the chain.

use super::{
    Result, audit,
    db::{Db, WriteTransaction},
    digest::{self, GENESIS},
    events::Feed,
};
use entity::{audit_log, event};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

const BATCH: u64 = 1000;

/// Wakes the sequencer and lets callers wait until what they committed is sealed.
#[derive(Clone, Debug)]
pub struct Sequencer {
    asked: Arc<AtomicU64>,
    wake: Arc<Notify>,
    done: Arc<watch::Sender<u64>>,
}

impl Default for Sequencer {
    fn default() -> Self {
        Self { asked: Arc::default(), wake: Arc::default(), done: Arc::new(watch::Sender::new(0)) }
    }
}

impl Sequencer {
    /// Says that something was committed.
    pub fn wake(&self) -> u64 {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake.notify_one();
        ticket
    }

    /// Returns once everything committed before this call is sealed, or after two seconds.
    pub async fn caught_up(&self) {
        let ticket = self.wake();
        let mut done = self.done.subscribe();
        _ = tokio::time::timeout(Duration::from_secs(2), done.wait_for(|sealed| *sealed >= ticket)).await;
    }

    /// Seals whatever waits, again and again, until the process ends.
    pub async fn run(&self, db: &Db, feed: &Feed) {
        let mut unsure = Vec::new();
        loop {
            _ = tokio::time::timeout(Duration::from_millis(250), self.wake.notified()).await;
            let ticket = self.asked.load(Ordering::SeqCst);
            match seal_and_publish(db, feed, &mut unsure).await {
                Ok(()) => {
                    self.done.send_replace(ticket);
                }
                Err(error) => {
                    tracing::error!(cause = %error.cause(), "sealing the event log failed and is tried again");
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
            }
        }
    }
}

/// Seals everything that waits, and tells the feed.
pub async fn seal_all(db: &Db, feed: &Feed) -> Result<()> {
    seal_and_publish(db, feed, &mut Vec::new()).await
}

/// The same. `unsure` are events whose sealing may have been committed although the commit failed, so that nobody was told of them.
async fn seal_and_publish(db: &Db, feed: &Feed, unsure: &mut Vec<Uuid>) -> Result<()> {
    if !unsure.is_empty() {
        let sealed = event::Entity::find()
            .filter(event::Column::Id.is_in(unsure.iter().copied()))
            .filter(event::Column::Seq.is_not_null())
            .order_by_asc(event::Column::Id)
            .all(&db.read)
            .await?;
        unsure.clear();
        sealed.into_iter().for_each(|event| feed.publish(event));
    }
    while seal_batch(db, feed, unsure).await? == BATCH {}
    Ok(())
}

async fn seal_batch(db: &Db, feed: &Feed, unsure: &mut Vec<Uuid>) -> Result<u64> {
    let waiting = event::Entity::find().filter(event::Column::Seq.is_null()).limit(1).one(&db.read).await?;
    let unsealed_lines = audit_log::Entity::find().filter(audit_log::Column::Seq.is_null()).limit(1).one(&db.read).await?;
    if waiting.is_none() && unsealed_lines.is_none() {
        return Ok(0);
    }
    let tx = db.write().await?;
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared("SELECT pg_advisory_xact_lock(7165)").await?;
    }
    let events = seal_events(&tx).await?;
    let lines = seal_audit_log(&tx).await?;
    if let Err(error) = tx.commit().await {
        unsure.extend(events.iter().map(|event| event.id));
        return Err(error);
    }
    let sealed = events.len() as u64;
    for event in events {
        feed.publish(event);
    }
    Ok(sealed.max(lines))
}

async fn seal_events(tx: &WriteTransaction) -> Result<Vec<event::Model>> {
    let mut events =
        event::Entity::find().filter(event::Column::Seq.is_null()).order_by_asc(event::Column::Id).limit(BATCH).all(tx).await?;
    let mut chain = Chain::new("event");
    for event in &mut events {
        let (seq, hash) = chain.next(tx, event.partner_id, &event.digest).await?;
        (event.seq, event.hash) = (Some(seq), Some(hash));
    }
    chain.write(tx, events.iter().map(|event| (event.id, event.seq, event.hash.clone()))).await?;
    Ok(events)
}

async fn seal_audit_log(tx: &WriteTransaction) -> Result<u64> {
    let lines =
        audit_log::Entity::find().filter(audit_log::Column::Seq.is_null()).order_by_asc(audit_log::Column::Id).limit(BATCH).all(tx).await?;
    let mut chain = Chain::new("audit_log");
    let mut sealed = Vec::with_capacity(lines.len());
    for line in &lines {
        let (seq, hash) = chain.next(tx, line.partner_id, &audit::line_digest(line)).await?;
        sealed.push((line.id, Some(seq), Some(hash)));
    }
    chain.write(tx, sealed.into_iter()).await?;
    Ok(lines.len() as u64)
}

/// The growing ends of every partner's chain in one table.
struct Chain {
    table: &'static str,
    ends: HashMap<Uuid, (i64, Vec<u8>)>,
}

impl Chain {
    fn new(table: &'static str) -> Self {
        Self { table, ends: HashMap::new() }
    }

    async fn next(&mut self, tx: &WriteTransaction, partner: Uuid, digest: &[u8]) -> Result<(i64, Vec<u8>)> {
        let (last, previous) = match self.ends.remove(&partner) {
            Some(end) => end,
            None => self.end_of(tx, partner).await?,
        };
        let end = (last + 1, digest::link(&previous, digest));
        self.ends.insert(partner, end.clone());
        Ok(end)
    }

    async fn end_of(&self, tx: &WriteTransaction, partner: Uuid) -> Result<(i64, Vec<u8>)> {
        let marker = if tx.get_database_backend() == DbBackend::Postgres { "$1" } else { "?" };
        let text =
            format!("SELECT seq, hash FROM {} WHERE partner_id = {marker} AND seq IS NOT NULL ORDER BY seq DESC LIMIT 1", self.table);
        let row = tx.query_one_raw(Statement::from_sql_and_values(tx.get_database_backend(), text, [partner.into()])).await?;
        match row {
            Some(row) => Ok((row.try_get("", "seq")?, row.try_get("", "hash")?)),
            None => Ok((0, GENESIS.to_vec())),
        }
    }

    /// Numbers and hashes every row in one statement.
    async fn write(&self, tx: &WriteTransaction, sealed: impl Iterator<Item = (Uuid, Option<i64>, Option<Vec<u8>>)>) -> Result<()> {
        let backend = tx.get_database_backend();
        let mut values: Vec<Value> = Vec::new();
        let mut rows = Vec::new();
        for (id, seq, hash) in sealed {
            let at = values.len();
            rows.push(match backend {
                DbBackend::Postgres => format!("(${}::uuid, ${}::bigint, ${}::bytea)", at + 1, at + 2, at + 3),
                _ => "(?, ?, ?)".to_owned(),
            });
            values.extend([id.into(), seq.into(), hash.into()]);
        }
        if rows.is_empty() {
            return Ok(());
        }
        let table = self.table;
        let text = format!(
            "WITH sealed (row_id, place, link) AS (VALUES {}) \
             UPDATE {table} SET seq = sealed.place, hash = sealed.link FROM sealed WHERE {table}.id = sealed.row_id",
            rows.join(", ")
        );
        tx.execute_raw(Statement::from_sql_and_values(backend, text, values)).await?;
        Ok(())
    }
}
