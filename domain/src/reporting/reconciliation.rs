//! Reconciliation: checks that balances match the ledger and that no record was altered.

use crate::{
    Result,
    kernel::{db::Db, digest::RowDigest, ledger, secrets::HeadKey},
    providers::files::Files,
    trading::orders::state::Filled,
};
use chrono::{DateTime, Utc};
use entity::{
    Money, Quantity, fill,
    ledger_account::{self, LedgerKind},
    ledger_hold, ledger_release, ledger_transfer,
    order::{self, Side},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::{collections::HashMap, fmt};
use uuid::Uuid;

/// Result of an audit: what was checked, and the first error found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Checked items with their number of rows.
    pub checked: Vec<(&'static str, u64)>,
    /// Number of rows waiting to be sealed.
    pub waiting: u64,
    /// Time when the oldest row waiting to be sealed was created.
    pub oldest_waiting: Option<DateTime<Utc>>,
    /// Information for the operator that is not an error.
    pub notes: Vec<String>,
    /// Whether the chain heads could not be verified because the key is missing.
    pub unverified: bool,
    /// The first error found.
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
                f.write_str("The books add up. The heads of the chains were not verified.")
            }
            None => f.write_str("The books add up and nothing was altered."),
        }
    }
}

/// Recomputes every balance, digest, hash and derived column from one snapshot of the database and compares
/// them with the stored values. With `files`, also checks the files of documents.
///
/// `key` verifies the heads of the chains; it is absent until a server has opened the database once.
pub async fn run(db: &Db, key: Option<&HeadKey>, files: Option<&Files>) -> Result<Report> {
    let connection = crate::kernel::tables::snapshot(db).await?;
    let mut audit = Audit { connection, key, report: Report::default() };
    audit.check_all(files).await?;
    Ok(audit.report)
}

/// Counts the documents; the inner error describes documents with a missing file or a file of the wrong size.
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

/// Iterates over a table in the order of its ids, a page at a time; returns the number of rows.
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
mod entitlements;
mod lots;
mod transfers;

/// Ledger movement, with the columns that the checks need.
struct Movement {
    debit: Uuid,
    credit: Uuid,
    amount: i64,
    digest: RowDigest,
}

/// Movements by the id of the event that caused them.
type ByCause = HashMap<Uuid, Vec<Movement>>;

/// Owner, kind, asset and balance of a ledger account.
struct AccountBalance {
    owner: Uuid,
    kind: LedgerKind,
    asset: String,
    balance: i64,
}

type AccountBalances = HashMap<Uuid, AccountBalance>;

impl<C: ConnectionTrait> Audit<'_, C> {
    fn wrong(&mut self, what: String) {
        self.report.wrong.get_or_insert(what);
    }

    async fn check_all(&mut self, files: Option<&Files>) -> Result<()> {
        let (sums, movements) = self.movements().await?;
        let balances = self.accounts(sums).await?;
        let causes = self.events(&movements).await?;
        self.lines().await?;
        self.derived(&movements, &balances, &causes).await?;
        self.unsettled_fills().await?;
        self.holds_of_orders().await?;
        if let Some(files) = files {
            let documents = self.documents(files).await?;
            self.report.checked.push(("documents", documents));
        }
        Ok(())
    }

    /// Checks the digest of every movement. Returns the sums by ledger account and the movements by cause.
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
                _ => self.wrong(format!("ledger_release {} releases more than was held", row.id)),
            }
        });
        self.report.checked.push(("ledger holds and releases", rows + released));
        Ok((sums, by_cause))
    }

    /// Checks every balance against its movements, and that every asset sums to zero.
    async fn accounts(&mut self, mut sums: HashMap<Uuid, Sums>) -> Result<AccountBalances> {
        let mut assets: HashMap<String, i128> = HashMap::new();
        let mut balances = AccountBalances::new();
        let rows = walk!(self, ledger_account, row => {
            let derived = sums.remove(&row.id).unwrap_or_default();
            let (debits, credits, held) = (row.debits.into(), row.credits.into(), row.held.into());
            let stored = Sums { debits, credits, held };
            if derived != stored {
                self.wrong(format!("ledger_account {} has {stored:?}, its rows sum to {derived:?}", row.id));
            }
            if row.no_overdraft && row.available() < 0 {
                self.wrong(format!("ledger_account {} is overdrawn", row.id));
            }
            *assets.entry(row.asset.clone()).or_default() += stored.credits - stored.debits;
            let balance = row.balance();
            let (owner, kind, asset) = (row.owner_id, row.kind, row.asset);
            balances.insert(row.id, AccountBalance { owner, kind, asset, balance });
        });
        self.report.checked.push(("ledger accounts", rows));
        if let Some(stray) = sums.keys().next() {
            self.wrong(format!("movements refer to ledger_account {stray}, which does not exist"));
        }
        if let Some((asset, sum)) = assets.iter().find(|(_, sum)| **sum != 0) {
            self.wrong(format!("the accounts in {asset} sum to {sum}, not to zero"));
        }
        self.report.checked.push(("assets that sum to zero", assets.len() as u64));
        Ok(balances)
    }

    /// Checks the amounts owed to and by the clearing house against the trades that have not settled.
    async fn unsettled_fills(&mut self) -> Result<()> {
        let mut waiting: HashMap<(Uuid, LedgerKind), i64> = HashMap::new();
        for row in
            fill::Entity::find().filter(fill::Column::SettledAt.is_null()).all(&self.connection).await?
        {
            let (kind, sign) = match row.side {
                Side::Buy => (LedgerKind::ClearingPayable, 1),
                Side::Sell => (LedgerKind::ClearingReceivable, -1),
            };
            let sum = waiting.entry((row.partner_id, kind)).or_default();
            *sum = sum.saturating_add(sign * row.amount.units());
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
                    "ledger_account {} has balance {}, its unsettled fills sum to {expected}",
                    account.id,
                    account.balance()
                ));
            }
        }
        Ok(())
    }

    /// Checks that orders that have ended hold nothing, and that open ones hold what their open part needs.
    async fn holds_of_orders(&mut self) -> Result<()> {
        let mut left: HashMap<Uuid, (Uuid, i64)> = HashMap::new();
        _ = walk!(self, ledger_hold, row => { left.insert(row.id, (row.purpose_id, row.amount)); });
        _ = walk!(self, ledger_release, row => {
            if let Some((_, left)) = left.get_mut(&row.hold_id) {
                *left = left.saturating_sub(row.amount);
            }
        });
        let mut open: HashMap<Uuid, (Uuid, i64)> = HashMap::new();
        for (hold, (purpose, left)) in left.into_iter().filter(|(_, (_, left))| *left > 0) {
            let (_, sum) = open.entry(purpose).or_insert((hold, 0));
            *sum = sum.saturating_add(left);
        }
        let mut filled: HashMap<Uuid, Filled> = HashMap::new();
        _ = walk!(self, fill, row => {
            let sum = filled.entry(row.order_id).or_default();
            if let Some((next, _)) = sum.and(row.quantity, row.price) {
                *sum = next;
            }
        });
        let rows = walk!(self, order, row => {
            let (hold, left) = open.get(&row.id).copied().unwrap_or((Uuid::nil(), 0));
            let shares = row.quantity.minus(row.filled_quantity).unwrap_or_default();
            if !row.status.is_open() {
                if left > 0 {
                    self.wrong(format!("ledger_hold {hold} is open, its order {} has ended", row.id));
                }
            } else if row.side == Side::Sell {
                let is_right = match row.notional {
                    None => left == shares.units(),
                    Some(_) => left >= shares.units(),
                };
                if !is_right {
                    let held = Quantity::from_units(left);
                    self.wrong(format!("order {} holds {held} shares, but {shares} are open", row.id));
                }
            } else {
                let filled = filled.get(&row.id).copied().unwrap_or_default();
                let needed = match (row.notional, row.limit_price) {
                    (Some(notional), _) => notional.units() - filled.amount.units(),
                    (None, Some(limit)) => filled.still_to_pay(shares, limit),
                    (None, None) => 1 - filled.amount.units().min(1),
                };
                if left < needed {
                    let (held, needed) = (Money::from_units(left), Money::from_units(needed));
                    self.wrong(format!("order {} holds {held}, but its open part needs {needed}", row.id));
                }
            }
        });
        self.report.checked.push(("holds of orders", rows));
        Ok(())
    }
}
