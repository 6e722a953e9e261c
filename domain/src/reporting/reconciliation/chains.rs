//! Checks of the hash chains of events and audit lines up to their signed heads.

use super::{Audit, ByCause, PAGE};
use crate::{
    Result,
    kernel::{
        audit_log::line_digest,
        digest::{self, RowDigest},
        events::{self, Event, EventType},
        heads::{self, Heads},
        secrets::HeadKey,
    },
};
use chrono::DateTime;
use entity::{Price, audit_log, chain_head::Chain, event};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Event that other rows are derived from.
pub(super) struct Cause {
    pub event: Uuid,
    /// Price in the payload of a fill's event.
    pub price: Option<Price>,
}

/// Causes by subject id and event type, oldest first.
pub(super) type Causes = HashMap<(Uuid, EventType), Vec<Cause>>;

const CAUSES: [EventType; 18] = [
    EventType::CorporateActionApplied,
    EventType::DepositPending,
    EventType::DepositSubmitted,
    EventType::DepositSettled,
    EventType::DepositReturned,
    EventType::DepositCanceled,
    EventType::DepositFailed,
    EventType::WithdrawalPending,
    EventType::WithdrawalSelling,
    EventType::WithdrawalAwaitingSettlement,
    EventType::WithdrawalSubmitted,
    EventType::WithdrawalCompleted,
    EventType::WithdrawalReturned,
    EventType::WithdrawalCanceled,
    EventType::WithdrawalFailed,
    EventType::OrderPartiallyFilled,
    EventType::OrderFilled,
    EventType::TradeSettled,
];

/// Last row of a chain that has been read so far.
struct ChainEnd {
    sealed: i64,
    hash: Vec<u8>,
}

impl ChainEnd {
    fn start() -> Self {
        Self { sealed: 0, hash: digest::GENESIS.to_vec() }
    }

    /// Moves to the next row and returns whether it continues the chain.
    fn advance(&mut self, seq: Option<i64>, hash: Option<&Vec<u8>>, digest: &[u8]) -> bool {
        let (next, link) = (self.sealed + 1, digest::link(&self.hash, digest));
        let continues = seq == Some(next) && hash == Some(&link);
        (self.sealed, self.hash) = (seq.unwrap_or(next), link);
        continues
    }
}

impl<C: ConnectionTrait> Audit<'_, C> {
    /// Checks the digest of every event and its movements, then the chain of each partner. Returns the events
    /// that other rows are derived from.
    pub(super) async fn events(&mut self, movements: &ByCause) -> Result<Causes> {
        let mut causes = Causes::new();
        let mut unexplained: HashSet<Uuid> = movements.keys().copied().collect();
        let rows = walk!(self, event, row => {
            unexplained.remove(&row.id);
            let caused = movements.get(&row.id).into_iter().flatten();
            let caused: Vec<RowDigest> = caused.map(|movement| movement.digest).collect();
            if row.digest != events::digest(&row, &caused) {
                self.wrong(format!("event {} does not match its digest and its ledger movements", row.id));
            }
            if row.seq.is_none() {
                self.count_waiting(row.id);
            }
            if let Some(cause) = CAUSES.into_iter().find(|cause| cause.name() == row.kind) {
                let price = match Event::of(&row) {
                    Ok(Event::OrderFilled { price, .. }) => price,
                    Ok(Event::OrderPartiallyFilled { price, .. }) => Some(price),
                    _ => None,
                };
                // The fills of an order are one list, whichever of them was the last.
                let cause =
                    if cause == EventType::OrderPartiallyFilled { EventType::OrderFilled } else { cause };
                causes.entry((row.stream_id, cause)).or_default().push(Cause { event: row.id, price });
            }
        });
        if let Some(cause) = unexplained.iter().next() {
            self.wrong(format!("ledger movements refer to event {cause}, which does not exist"));
        }
        self.report.checked.push(("events", rows));
        let partners = self.partners().await?;
        let heads = heads::of(&self.connection, partners.iter().copied()).await?;
        for partner in &partners {
            let mut end = ChainEnd::start();
            loop {
                let page = events::page(&self.connection, *partner, end.sealed, PAGE).await?;
                if page.is_empty() {
                    break;
                }
                for row in page {
                    if !end.advance(row.seq, row.hash.as_ref(), &row.digest) {
                        self.wrong(format!("event {} does not continue the chain of its partner", row.id));
                    }
                }
            }
            self.head(&heads, *partner, Chain::Event, &end);
        }
        self.report.checked.push(("chains of events", partners.len() as u64));
        Ok(causes)
    }

    /// Checks the chain of audit lines of each partner.
    pub(super) async fn lines(&mut self) -> Result<()> {
        let mut rows = 0;
        let partners = self.partners().await?;
        let heads = heads::of(&self.connection, partners.iter().copied()).await?;
        for partner in partners {
            let mut end = ChainEnd::start();
            loop {
                let page = audit_log::Entity::find()
                    .filter(audit_log::Column::PartnerId.eq(partner))
                    .filter(audit_log::Column::Seq.gt(end.sealed))
                    .order_by_asc(audit_log::Column::Seq)
                    .limit(PAGE)
                    .all(&self.connection)
                    .await?;
                if page.is_empty() {
                    break;
                }
                for row in page {
                    if !end.advance(row.seq, row.hash.as_ref(), &line_digest(&row)) {
                        self.wrong(format!(
                            "audit_log {} does not continue the chain of its partner",
                            row.id
                        ));
                    }
                    rows += 1;
                }
            }
            self.head(&heads, partner, Chain::AuditLog, &end);
        }
        let waiting: Vec<Uuid> = audit_log::Entity::find()
            .select_only()
            .column(audit_log::Column::Id)
            .filter(audit_log::Column::Seq.is_null())
            .into_tuple()
            .all(&self.connection)
            .await?;
        for line in waiting {
            self.count_waiting(line);
        }
        self.report.checked.push(("lines of the audit log", rows));
        if self.key.is_some_and(HeadKey::has_signed) {
            self.report.checked.push(("signed heads of chains", heads.len() as u64));
        } else if self.key.is_none() && !heads.is_empty() {
            self.report.unverified = true;
            self.report.notes.push(
                "the heads of the chains were NOT verified: the key that signs them is missing".to_owned(),
            );
        } else {
            self.report.notes.push(
                "the heads of the chains are not signed yet; the server signs them when it next starts"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Checks that a chain's head has a valid signature and matches the last row of the chain.
    fn head(&mut self, heads: &Heads, partner: Uuid, chain: Chain, end: &ChainEnd) {
        let Some(key) = self.key.filter(|key| key.has_signed()) else { return };
        let rows = match chain {
            Chain::Event => "events",
            Chain::AuditLog => "audit lines",
        };
        match heads.get(&(partner, chain)) {
            None => self.wrong(format!("the head of the {rows} of partner {partner} is missing")),
            Some(head) if !heads::is_genuine(key, head) => {
                self.wrong(format!(
                    "the head of the {rows} of partner {partner} does not match its signature"
                ));
            }
            Some(head) if head.sealed != end.sealed => {
                let (sealed, last) = (head.sealed, end.sealed);
                self.wrong(format!(
                    "the head of the {rows} of partner {partner} counts {sealed}, but the last one is \
                    number {last}"
                ));
            }
            Some(head) if head.hash != end.hash => {
                self.wrong(format!(
                    "the head of the {rows} of partner {partner} does not have the hash of the last one"
                ));
            }
            Some(_) => {}
        }
    }

    /// Counts a row that is waiting to be sealed.
    fn count_waiting(&mut self, id: Uuid) {
        self.report.waiting += 1;
        let since = id.get_timestamp().and_then(|timestamp| {
            let (seconds, nanos) = timestamp.to_unix();
            DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
        });
        self.report.oldest_waiting = self.report.oldest_waiting.into_iter().chain(since).min();
    }

    async fn partners(&self) -> Result<Vec<Uuid>> {
        Ok(entity::partner::Entity::find()
            .select_only()
            .column(entity::partner::Column::Id)
            .into_tuple()
            .all(&self.connection)
            .await?)
    }
}
