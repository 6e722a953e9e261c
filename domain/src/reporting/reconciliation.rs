//! The proof that the books add up and nothing was altered.

use crate::{
    Result,
    kernel::{db::Db, digest::RowDigest, ledger, secrets::HeadKey},
    providers::files::Files,
};
use chrono::{DateTime, Utc};
use entity::{
    fill,
    ledger_account::{self, LedgerKind},
    ledger_hold, ledger_release, ledger_transfer,
    order::{self, Side},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::{collections::HashMap, fmt};
use uuid::Uuid;

/// What an audit looked at, and the first thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was checked, and how many rows of it.
    pub checked: Vec<(&'static str, u64)>,
    /// Rows that wait to be sealed, and since when the oldest has.
    pub waiting: u64,
    pub oldest_waiting: Option<DateTime<Utc>>,
    /// What an operator should know and what is not wrong.
    pub notes: Vec<String>,
    /// Whether the heads of the chains could not be verified for want of the key.
    pub unverified: bool,
    pub wrong: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, rows) in &self.checked {
            writeln!(f, "checked {what}: {rows}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        match self.oldest_waiting {
            Some(since) => writeln!(f, "waiting to be sealed: {}, the oldest since {since}", self.waiting)?,
            None => writeln!(f, "waiting to be sealed: 0")?,
        }
        match &self.wrong {
            Some(wrong) => write!(f, "WRONG: {wrong}"),
            None if self.unverified => {
                f.write_str("The books add up. The ends of the chains were not checked.")
            }
            None => f.write_str("The books add up and nothing was altered."),
        }
    }
}

/// Re-derives every balance, digest, hash and derived column from the rows, in one unchanging state of the
/// database, and looks for the files of documents where `files` says where they are.
///
/// `key` verifies the heads of the chains; there is none before a server has opened the database for the
/// first time.
pub async fn run(db: &Db, key: Option<&HeadKey>, files: Option<&Files>) -> Result<Report> {
    let connection = crate::kernel::tables::snapshot(db).await?;
    let mut audit = Audit { connection, key, report: Report::default() };
    audit.everything(files).await?;
    Ok(audit.report)
}

/// How many documents there are; a fault that names the first when some have no file, or one of another size.
pub async fn documents(db: &Db, files: &Files) -> Result<Result<u64, String>> {
    let connection = crate::kernel::tables::snapshot(db).await?;
    let mut audit = Audit { connection, key: None, report: Report::default() };
    let documents = audit.documents(files).await?;
    Ok(audit.report.wrong.map_or(Ok(documents), Err))
}

struct Audit<'a, C> {
    connection: C,
    key: Option<&'a HeadKey>,
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

mod chains;
mod derived;
mod documents;

/// A movement of the ledger, as far as other rows are derived from it.
struct Movement {
    debit: Uuid,
    credit: Uuid,
    amount: i64,
    digest: RowDigest,
}

/// Movements by the event that caused them.
type ByCause = HashMap<Uuid, Vec<Movement>>;

/// What an account of the ledger stands for.
struct LedgerPlace {
    owner: Uuid,
    kind: LedgerKind,
    asset: String,
    balance: i64,
}

type LedgerPlaces = HashMap<Uuid, LedgerPlace>;

impl<C: ConnectionTrait> Audit<'_, C> {
    fn wrong(&mut self, what: String) {
        self.report.wrong.get_or_insert(what);
    }

    async fn everything(&mut self, files: Option<&Files>) -> Result<()> {
        let (sums, movements) = self.movements().await?;
        let places = self.accounts(sums).await?;
        let causes = self.events(&movements).await?;
        self.lines().await?;
        self.derived(&movements, &places, &causes).await?;
        self.unsettled_fills().await?;
        self.holds_of_ended_orders().await?;
        if let Some(files) = files {
            let documents = self.documents(files).await?;
            self.report.checked.push(("documents", documents));
        }
        Ok(())
    }

    /// Every movement's own digest; sums by account; digests by cause.
    async fn movements(&mut self) -> Result<(HashMap<Uuid, Sums>, ByCause)> {
        let mut sums: HashMap<Uuid, Sums> = HashMap::new();
        let mut by_cause = ByCause::new();
        let rows = walk!(self, ledger_transfer, row => {
            let digest = ledger::digest(&row);
            if row.digest != digest {
                self.wrong(format!("ledger_transfer {} does not match its digest", row.id));
            }
            sums.entry(row.debit_account_id).or_default().debits += i128::from(row.amount);
            sums.entry(row.credit_account_id).or_default().credits += i128::from(row.amount);
            let movement = Movement { debit: row.debit_account_id, credit: row.credit_account_id,
                amount: row.amount, digest };
            by_cause.entry(row.cause_id).or_default().push(movement);
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

    /// Every balance against its movements; every asset sums to zero.
    async fn accounts(&mut self, mut sums: HashMap<Uuid, Sums>) -> Result<LedgerPlaces> {
        let mut assets: HashMap<String, i128> = HashMap::new();
        let mut places = LedgerPlaces::new();
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
            let balance = row.balance();
            places.insert(row.id, LedgerPlace { owner: row.owner_id, kind: row.kind, asset: row.asset, balance });
        });
        self.report.checked.push(("ledger accounts", rows));
        if let Some(stray) = sums.keys().next() {
            self.wrong(format!("movements name ledger_account {stray}, which does not exist"));
        }
        if let Some((asset, sum)) = assets.iter().find(|(_, sum)| **sum != 0) {
            self.wrong(format!("the accounts in {asset} sum to {sum}, not to zero"));
        }
        self.report.checked.push(("assets that sum to zero", assets.len() as u64));
        Ok(places)
    }

    /// What we owe the clearing house and are owed by it against the trades that have not settled.
    async fn unsettled_fills(&mut self) -> Result<()> {
        let mut waiting: HashMap<(Uuid, LedgerKind), i64> = HashMap::new();
        for row in
            fill::Entity::find().filter(fill::Column::SettledAt.is_null()).all(&self.connection).await?
        {
            let (kind, sign) = match row.side {
                Side::Buy => (LedgerKind::ClearingPayable, 1),
                Side::Sell => (LedgerKind::ClearingReceivable, -1),
            };
            *waiting.entry((row.partner_id, kind)).or_default() += sign * row.amount.units();
        }
        let clearing = [LedgerKind::ClearingPayable, LedgerKind::ClearingReceivable];
        let accounts = ledger_account::Entity::find()
            .filter(ledger_account::Column::Kind.is_in(clearing))
            .all(&self.connection)
            .await?;
        for account in accounts.iter().filter(|account| account.owner_id == account.partner_id) {
            let expected = waiting.remove(&(account.partner_id, account.kind)).unwrap_or(0);
            if account.balance() != expected {
                self.wrong(format!(
                    "ledger_account {} stands at {}, its unsettled fills at {expected}",
                    account.id,
                    account.balance()
                ));
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
        let open: HashMap<Uuid, Uuid> = left
            .into_iter()
            .filter(|(_, (_, left))| *left > 0)
            .map(|(hold, (purpose, _))| (purpose, hold))
            .collect();
        _ = walk!(self, order, row => {
            if let Some(hold) = open.get(&row.id).filter(|_| !row.status.is_open()) {
                self.wrong(format!("ledger_hold {hold} is open, its order {} has ended", row.id));
            }
        });
        Ok(())
    }
}
