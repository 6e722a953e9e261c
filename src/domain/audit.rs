//! The audit: lines that say who asked for what, and the proof that the books add up and nothing was altered.

use super::{
    Result,
    actor::Caller,
    clock,
    db::Db,
    digest::{self, RowDigest},
    events,
    ids::Ids,
    ledger,
};
use crate::app::App;
use chrono::{DateTime, Utc};
use entity::{
    Kind, audit_log, event, fill, ledger_account, ledger_account::LedgerKind, ledger_hold, ledger_release, ledger_transfer, order,
    order::Side, position, transfer, transfer::Status,
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::{collections::HashMap, fmt};
use uuid::Uuid;

/// A line in the making.
#[derive(Clone, Debug)]
pub struct Line {
    pub partner_id: Uuid,
    pub principal_id: Uuid,
    pub operation: &'static str,
    pub object_id: Option<Uuid>,
    /// `done`, or the code of the refusal.
    pub decision: &'static str,
    pub request_id: Uuid,
}

impl Line {
    /// Writes the line in the transaction of what it tells.
    pub async fn write(self, connection: &impl ConnectionTrait, ids: Ids) -> Result<()> {
        audit_log::ActiveModel {
            id: Set(ids.next(Kind::AuditLine)),
            partner_id: Set(self.partner_id),
            principal_id: Set(self.principal_id),
            operation: Set(self.operation.to_owned()),
            object_id: Set(self.object_id),
            decision: Set(self.decision.to_owned()),
            request_id: Set(self.request_id),
            recorded_at: Set(clock::system_now()),
            seq: Set(None),
            hash: Set(None),
        }
        .insert(connection)
        .await?;
        Ok(())
    }
}

/// Writes down in a transaction of its own that a caller looked at somebody's affairs.
pub async fn looked(app: &App, caller: &Caller, request_id: Uuid, operation: &'static str, object_id: Option<Uuid>) -> Result<()> {
    let line =
        Line { partner_id: caller.whose.partner_id, principal_id: caller.principal_id, operation, object_id, decision: "done", request_id };
    alone(app, line).await
}

async fn alone(app: &App, line: Line) -> Result<()> {
    let tx = app.db.write().await?;
    line.write(&tx, app.ids).await?;
    tx.commit().await?;
    app.sequencer.wake();
    Ok(())
}

/// Writes down in a transaction of its own that a caller tried to prove who she is, and failed.
pub async fn failed(app: &App, caller: &Caller, request_id: Uuid, operation: &'static str, decision: &'static str) -> Result<()> {
    let line =
        Line { partner_id: caller.whose.partner_id, principal_id: caller.principal_id, operation, object_id: None, decision, request_id };
    alone(app, line).await
}

/// A line's digest: SHA-256 over its columns.
pub fn line_digest(line: &audit_log::Model) -> RowDigest {
    digest::of(&[
        line.id.as_bytes(),
        line.partner_id.as_bytes(),
        line.principal_id.as_bytes(),
        line.operation.as_bytes(),
        line.object_id.as_ref().map_or(&[][..], |id| id.as_bytes()),
        line.decision.as_bytes(),
        line.request_id.as_bytes(),
        &line.recorded_at.timestamp_micros().to_be_bytes(),
    ])
}

/// What an audit looked at, and the first thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was checked, and how many rows of it.
    pub checked: Vec<(&'static str, u64)>,
    /// Rows that wait to be sealed, and since when the oldest has.
    pub waiting: u64,
    pub oldest_waiting: Option<DateTime<Utc>>,
    pub wrong: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, rows) in &self.checked {
            writeln!(f, "checked {what}: {rows}")?;
        }
        match self.oldest_waiting {
            Some(since) => writeln!(f, "waiting to be sealed: {}, the oldest since {since}", self.waiting)?,
            None => writeln!(f, "waiting to be sealed: 0")?,
        }
        match &self.wrong {
            Some(wrong) => write!(f, "WRONG: {wrong}"),
            None => f.write_str("The books add up and nothing was altered."),
        }
    }
}

/// Re-derives every balance, digest and hash from the rows, in one unchanging state of the database.
pub async fn run(db: &Db) -> Result<Report> {
    let reader = super::db::Reader::snapshot(db.read.clone());
    let connection = reader.connection().await?;
    let mut audit = Audit { connection, report: Report::default() };
    audit.everything().await?;
    Ok(audit.report)
}

struct Audit<C> {
    connection: C,
    report: Report,
}

#[derive(Default, PartialEq, Eq, Debug)]
struct Sums {
    debits: i128,
    credits: i128,
    held: i128,
}

const PAGE: u64 = 2_000;

/// Walks a table in the order of its key, a page at a time.
macro_rules! walk {
    ($audit:expr, $entity:ident, $row:ident => $body:block) => {{
        let mut after = Uuid::nil();
        let mut rows = 0_u64;
        loop {
            let page = $entity::Entity::find()
                .filter($entity::Column::Id.gt(after))
                .order_by_asc($entity::Column::Id)
                .limit(PAGE)
                .all(&$audit.connection)
                .await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            rows += page.len() as u64;
            for $row in page $body
        }
        rows
    }};
}

impl<C: ConnectionTrait> Audit<C> {
    fn wrong(&mut self, what: String) {
        self.report.wrong.get_or_insert(what);
    }

    async fn everything(&mut self) -> Result<()> {
        let (sums, movements) = self.movements().await?;
        let units = self.accounts(sums).await?;
        self.positions(units).await?;
        self.pending_deposits().await?;
        self.fills().await?;
        self.unsettled_fills().await?;
        self.holds_of_ended_orders().await?;
        self.events(movements).await?;
        self.lines().await
    }

    /// Every movement's own digest; sums by account; digests by cause.
    async fn movements(&mut self) -> Result<(HashMap<Uuid, Sums>, HashMap<Uuid, Vec<RowDigest>>)> {
        let mut sums: HashMap<Uuid, Sums> = HashMap::new();
        let mut by_cause: HashMap<Uuid, Vec<RowDigest>> = HashMap::new();
        let rows = walk!(self, ledger_transfer, row => {
            let digest = ledger::digest(&row);
            if row.digest != digest {
                self.wrong(format!("ledger_transfer {} does not match its digest", row.id));
            }
            sums.entry(row.debit_account_id).or_default().debits += i128::from(row.amount);
            sums.entry(row.credit_account_id).or_default().credits += i128::from(row.amount);
            by_cause.entry(row.cause_id).or_default().push(digest);
        });
        self.report.checked.push(("ledger movements", rows));
        let mut left: HashMap<Uuid, (Uuid, i64)> = HashMap::new();
        let rows = walk!(self, ledger_hold, row => {
            sums.entry(row.account_id).or_default().held += i128::from(row.amount);
            left.insert(row.id, (row.account_id, row.amount));
        });
        let released = walk!(self, ledger_release, row => {
            match left.get_mut(&row.hold_id) {
                Some((account, left)) if *left >= row.amount => {
                    *left -= row.amount;
                    sums.entry(*account).or_default().held -= i128::from(row.amount);
                }
                _ => self.wrong(format!("ledger_release {} gives back more than was held", row.id)),
            }
        });
        self.report.checked.push(("ledger holds and releases", rows + released));
        Ok((sums, by_cause))
    }

    /// Every balance against its movements; every asset sums to zero. Answers with customers' units.
    async fn accounts(&mut self, mut sums: HashMap<Uuid, Sums>) -> Result<HashMap<(Uuid, String), i64>> {
        let mut assets: HashMap<String, i128> = HashMap::new();
        let mut units = HashMap::new();
        let rows = walk!(self, ledger_account, row => {
            let derived = sums.remove(&row.id).unwrap_or_default();
            let kept = Sums { debits: row.debits.into(), credits: row.credits.into(), held: row.held.into() };
            if derived != kept {
                self.wrong(format!("ledger_account {} says {kept:?}, its rows sum to {derived:?}", row.id));
            }
            if row.no_overdraft && row.available() < 0 {
                self.wrong(format!("ledger_account {} is overdrawn", row.id));
            }
            *assets.entry(row.asset.clone()).or_default() += kept.credits - kept.debits;
            if row.kind == LedgerKind::Units {
                units.insert((row.owner_id, row.asset.clone()), row.balance());
            }
        });
        self.report.checked.push(("ledger accounts", rows));
        if let Some(stray) = sums.keys().next() {
            self.wrong(format!("movements name ledger_account {stray}, which does not exist"));
        }
        if let Some((asset, sum)) = assets.iter().find(|(_, sum)| **sum != 0) {
            self.wrong(format!("the accounts in {asset} sum to {sum}, not to zero"));
        }
        self.report.checked.push(("assets that sum to zero", assets.len() as u64));
        Ok(units)
    }

    async fn positions(&mut self, mut units: HashMap<(Uuid, String), i64>) -> Result<()> {
        let symbols: HashMap<Uuid, String> = entity::instrument::Entity::find()
            .all(&self.connection)
            .await?
            .into_iter()
            .map(|instrument| (instrument.id, instrument.symbol))
            .collect();
        let rows = walk!(self, position, row => {
            let symbol = symbols.get(&row.instrument_id).cloned().unwrap_or_default();
            let in_ledger = units.remove(&(row.account_id, symbol)).unwrap_or(0);
            if in_ledger != row.quantity.units() {
                self.wrong(format!("position {} holds {}, the ledger {in_ledger} units", row.id, row.quantity.units()));
            }
        });
        if let Some(((account, symbol), _)) = units.iter().find(|(_, units)| **units != 0) {
            self.wrong(format!("account {account} has {symbol} in the ledger and no position"));
        }
        self.report.checked.push(("positions", rows));
        Ok(())
    }

    /// What accounts await by ACH against the transfers that are pending.
    async fn pending_deposits(&mut self) -> Result<()> {
        let mut expected: HashMap<Uuid, i64> = HashMap::new();
        let rows = walk!(self, transfer, row => {
            if row.status == Status::Pending {
                *expected.entry(row.account_id).or_default() += row.amount.units();
            }
        });
        let pending = ledger_account::Entity::find()
            .filter(ledger_account::Column::Kind.eq(LedgerKind::PendingDeposit))
            .all(&self.connection)
            .await?;
        for account in pending {
            let expected = expected.remove(&account.owner_id).unwrap_or(0);
            if account.balance() != expected {
                self.wrong(format!("ledger_account {} awaits {}, its pending transfers are {expected}", account.id, account.balance()));
            }
        }
        self.report.checked.push(("transfers", rows));
        Ok(())
    }

    async fn fills(&mut self) -> Result<()> {
        let mut filled: HashMap<Uuid, i64> = HashMap::new();
        let fills = walk!(self, fill, row => { *filled.entry(row.order_id).or_default() += row.quantity.units(); });
        let orders = walk!(self, order, row => {
            if filled.remove(&row.id).unwrap_or(0) != row.filled_quantity.units() {
                self.wrong(format!("order {} says it is filled by {}, its fills say otherwise", row.id, row.filled_quantity));
            }
        });
        self.report.checked.push(("orders", orders));
        self.report.checked.push(("fills", fills));
        Ok(())
    }

    /// What we owe the clearing house and are owed by it against the trades that have not settled.
    async fn unsettled_fills(&mut self) -> Result<()> {
        let mut waiting: HashMap<(Uuid, LedgerKind), i64> = HashMap::new();
        for row in fill::Entity::find().filter(fill::Column::SettledAt.is_null()).all(&self.connection).await? {
            let (kind, sign) = match row.side {
                Side::Buy => (LedgerKind::ClearingPayable, 1),
                Side::Sell => (LedgerKind::ClearingReceivable, -1),
            };
            *waiting.entry((row.partner_id, kind)).or_default() += sign * row.amount.units();
        }
        let clearing = [LedgerKind::ClearingPayable, LedgerKind::ClearingReceivable];
        let accounts = ledger_account::Entity::find().filter(ledger_account::Column::Kind.is_in(clearing)).all(&self.connection).await?;
        for account in accounts.iter().filter(|account| account.owner_id == account.partner_id) {
            let expected = waiting.remove(&(account.partner_id, account.kind)).unwrap_or(0);
            if account.balance() != expected {
                self.wrong(format!("ledger_account {} stands at {}, its unsettled fills at {expected}", account.id, account.balance()));
            }
        }
        Ok(())
    }

    /// An order that has ended holds nothing.
    async fn holds_of_ended_orders(&mut self) -> Result<()> {
        let mut left: HashMap<Uuid, (Uuid, i64)> = HashMap::new();
        _ = walk!(self, ledger_hold, row => { left.insert(row.id, (row.purpose_id, row.amount)); });
        _ = walk!(self, ledger_release, row => {
            if let Some((_, left)) = left.get_mut(&row.hold_id) {
                *left -= row.amount;
            }
        });
        let open: HashMap<Uuid, Uuid> =
            left.into_iter().filter(|(_, (_, left))| *left > 0).map(|(hold, (purpose, _))| (purpose, hold)).collect();
        _ = walk!(self, order, row => {
            if let Some(hold) = open.get(&row.id).filter(|_| !row.status.is_open()) {
                self.wrong(format!("ledger_hold {hold} is open, its order {} has ended", row.id));
            }
        });
        Ok(())
    }

    /// Every event's digest with its movements, then the chain of each partner.
    async fn events(&mut self, mut movements: HashMap<Uuid, Vec<RowDigest>>) -> Result<()> {
        let rows = walk!(self, event, row => {
            let caused = movements.remove(&row.id).unwrap_or_default();
            if row.digest != events::digest(&row, &caused) {
                self.wrong(format!("event {} does not match its digest and its ledger movements", row.id));
            }
            if row.seq.is_none() {
                self.waits(row.id);
            }
        });
        if let Some(cause) = movements.keys().next() {
            self.wrong(format!("ledger movements name event {cause}, which does not exist"));
        }
        self.report.checked.push(("events", rows));
        let partners = self.partners().await?;
        for partner in &partners {
            let (mut last, mut hash) = (0, digest::GENESIS.to_vec());
            loop {
                let page = events::page(&self.connection, *partner, last, PAGE).await?;
                if page.is_empty() {
                    break;
                }
                for row in page {
                    let link = digest::link(&hash, &row.digest);
                    if row.seq != Some(last + 1) || row.hash.as_ref() != Some(&link) {
                        self.wrong(format!("event {} does not continue the chain of its partner", row.id));
                    }
                    (last, hash) = (row.seq.unwrap_or(last + 1), link);
                }
            }
        }
        self.report.checked.push(("chains of events", partners.len() as u64));
        Ok(())
    }

    fn waits(&mut self, id: Uuid) {
        self.report.waiting += 1;
        let since = id.get_timestamp().and_then(|timestamp| {
            let (seconds, nanos) = timestamp.to_unix();
            DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
        });
        self.report.oldest_waiting = self.report.oldest_waiting.into_iter().chain(since).min();
    }

    async fn lines(&mut self) -> Result<()> {
        let mut rows = 0;
        for partner in self.partners().await? {
            let (mut last, mut hash) = (0_i64, digest::GENESIS.to_vec());
            loop {
                let page = audit_log::Entity::find()
                    .filter(audit_log::Column::PartnerId.eq(partner))
                    .filter(audit_log::Column::Seq.gt(last))
                    .order_by_asc(audit_log::Column::Seq)
                    .limit(PAGE)
                    .all(&self.connection)
                    .await?;
                if page.is_empty() {
                    break;
                }
                for row in page {
                    let link = digest::link(&hash, &line_digest(&row));
                    if row.seq != Some(last + 1) || row.hash.as_ref() != Some(&link) {
                        self.wrong(format!("audit_log {} does not continue the chain of its partner", row.id));
                    }
                    (last, hash) = (row.seq.unwrap_or(last + 1), link);
                    rows += 1;
                }
            }
        }
        let waiting: Vec<Uuid> = audit_log::Entity::find()
            .select_only()
            .column(audit_log::Column::Id)
            .filter(audit_log::Column::Seq.is_null())
            .into_tuple()
            .all(&self.connection)
            .await?;
        for line in waiting {
            self.waits(line);
        }
        self.report.checked.push(("lines of the audit log", rows));
        Ok(())
    }

    async fn partners(&self) -> Result<Vec<Uuid>> {
        Ok(entity::partner::Entity::find().select_only().column(entity::partner::Column::Id).into_tuple().all(&self.connection).await?)
    }
}
