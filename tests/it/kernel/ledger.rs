//! Compares the ledger with a model, and checks that its rows cannot be altered.

use crate::support::{Options, TestApp, on_both};
use chrono::{DateTime, Duration, Utc};
use domain::{
    Error,
    app::App,
    kernel::{
        db::WriteTransaction,
        events::{Event, EventBuilder, TradeState},
        ledger::{self, Entry, OpenHold},
        sequencer,
    },
};
use entity::{
    Kind, event,
    ledger_account::{self, LedgerKind},
    ledger_release::{self, Reason},
    ledger_transfer,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, EntityTrait,
    PaginatorTrait, QueryFilter,
};
use serde_json::json;
use std::{cell::RefCell, collections::BTreeSet};
use uuid::Uuid;

/// Owner, kind and asset of every account of a case; `MAY_NOT_BE_OVERDRAWN` applies to the same positions.
const ACCOUNTS: [(usize, LedgerKind, &str); 9] = [
    (0, LedgerKind::Cash, "USD"),
    (0, LedgerKind::Unsettled, "USD"),
    (1, LedgerKind::Cash, "USD"),
    (2, LedgerKind::BankFbo, "USD"),
    (2, LedgerKind::ClearingPayable, "USD"),
    (0, LedgerKind::Cash, "VTI"),
    (2, LedgerKind::Custody, "VTI"),
    (1, LedgerKind::Cash, "GOOG"),
    (2, LedgerKind::Custody, "GOOG"),
];
const MAY_NOT_BE_OVERDRAWN: [bool; 9] = [true, true, true, false, false, true, false, true, false];

#[derive(Clone, Debug)]
enum Act {
    Post {
        debit: usize,
        credit: usize,
        amount: i64,
    },
    Hold {
        account: usize,
        amount: i64,
    },
    /// Releases any earlier hold, open or not.
    Release {
        hold: prop::sample::Index,
    },
    /// Reverses any earlier movement, already reversed or not.
    Reverse {
        movement: prop::sample::Index,
    },
}

#[derive(Clone, Debug)]
enum Step {
    Write { acts: Vec<Act>, rolled_back: bool },
    Restart,
}

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![40 => 1..=500_i64, 2 => Just(0), 1 => Just(-5), 1 => prop_oneof![Just(i64::MAX), Just(1_i64 << 62)]]
}

fn act() -> impl Strategy<Value = Act> {
    let cash = (0..5_usize, 0..5_usize, amount()).prop_map(|(debit, credit, amount)| Act::Post {
        debit,
        credit,
        amount,
    });
    let fund = (0..3_usize, amount()).prop_map(|(credit, amount)| Act::Post { debit: 3, credit, amount });
    let units =
        prop_oneof![Just((6, 5)), Just((5, 6)), Just((8, 7)), Just((7, 8)), Just((6, 7)), Just((3, 5))];
    let units = (units, amount()).prop_map(|((debit, credit), amount)| Act::Post { debit, credit, amount });
    prop_oneof![
        4 => cash,
        4 => fund,
        4 => units,
        4 => (0..9_usize, amount()).prop_map(|(account, amount)| Act::Hold { account, amount }),
        4 => any::<prop::sample::Index>().prop_map(|hold| Act::Release { hold }),
        3 => any::<prop::sample::Index>().prop_map(|movement| Act::Reverse { movement }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (prop::collection::vec(act(), 1..=3), prop::bool::weighted(0.15));
    let step = prop_oneof![60 => write.prop_map(|(acts, rolled_back)| Step::Write { acts, rolled_back }),
        1 => Just(Step::Restart)];
    prop::collection::vec(step, 40)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    debits: i128,
    credits: i128,
    held: i128,
}

impl Sums {
    const fn balance(self) -> i128 {
        self.credits - self.debits
    }

    const fn available(self) -> i128 {
        self.balance() - self.held
    }
}

/// What the model expects of an entry.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Written,
    Refused,
    /// An intermediate value may exceed 64 bits, so both are allowed.
    Either,
}

#[derive(Default)]
struct Model {
    sums: [Sums; 9],
    /// Every hold, its account, and whether it is open.
    holds: Vec<(OpenHold, usize, bool)>,
    /// Every movement, and whether it was reversed.
    movements: Vec<(ledger_transfer::Model, bool)>,
    /// Balances after each instant.
    history: Vec<(DateTime<Utc>, [i128; 9])>,
}

impl Model {
    fn judge(&self, acts: &[Act], index_of: impl Fn(Uuid) -> usize) -> (Verdict, [Sums; 9]) {
        let (mut sums, mut well_formed) = (self.sums, true);
        let (mut released, mut reversed) = (BTreeSet::new(), BTreeSet::new());
        for act in acts {
            match act {
                Act::Post { amount: 0, .. } | Act::Hold { amount: 0, .. } => {}
                Act::Post { debit, credit, amount } => {
                    well_formed &=
                        *amount > 0 && debit != credit && ACCOUNTS[*debit].2 == ACCOUNTS[*credit].2;
                    sums[*debit].debits += i128::from(*amount);
                    sums[*credit].credits += i128::from(*amount);
                }
                Act::Hold { account, amount } => {
                    well_formed &= *amount > 0;
                    sums[*account].held += i128::from(*amount);
                }
                Act::Release { hold } => {
                    if !self.holds.is_empty() {
                        let at = hold.index(self.holds.len());
                        let (hold, account, open) = &self.holds[at];
                        well_formed &= *open && released.insert(at);
                        sums[*account].held -= i128::from(hold.left);
                    }
                }
                Act::Reverse { movement } => {
                    if !self.movements.is_empty() {
                        let at = movement.index(self.movements.len());
                        let (movement, is_reversed) = &self.movements[at];
                        well_formed &= !is_reversed && reversed.insert(at);
                        sums[index_of(movement.credit_account_id)].debits += i128::from(movement.amount);
                        sums[index_of(movement.debit_account_id)].credits += i128::from(movement.amount);
                    }
                }
            }
        }
        let max = i128::from(i64::MAX);
        let past = sums.iter().any(|sum| sum.debits > max || sum.credits > max || sum.held > max);
        let moved =
            |before: &Sums, after: &Sums| after.debits - before.debits + (after.held - before.held).abs();
        let between = sums
            .iter()
            .zip(&self.sums)
            .any(|(after, before)| after.available() < -max || moved(before, after) + 1500 > max);
        let overdrawn =
            sums.iter().zip(MAY_NOT_BE_OVERDRAWN).any(|(sum, may_not)| may_not && sum.available() < 0);
        let verdict = match (well_formed && !past && !overdrawn, between) {
            (false, _) => Verdict::Refused,
            (true, true) => Verdict::Either,
            (true, false) => Verdict::Written,
        };
        (verdict, sums)
    }
}

async fn account(
    tx: &WriteTransaction,
    app: &App,
    partner_id: Uuid,
    place: ledger::Place<'_>,
) -> ledger_account::Model {
    let [account] = ledger::lock_all(tx, app.ids, partner_id, [place]).await.unwrap();
    account
}

/// Writes an entry with its rows, which would otherwise be checked at the commit.
async fn write(
    entry: Entry,
    tx: &WriteTransaction,
    app: &App,
    event: &mut EventBuilder,
) -> domain::Result<bool> {
    let complete = entry.write(tx, app.ids, event).await?;
    if complete {
        tx.flush().await?;
    }
    Ok(complete)
}

struct Case<'a> {
    app: &'a RefCell<Option<TestApp>>,
    accounts: Vec<ledger_account::Model>,
    model: Model,
    now: DateTime<Utc>,
}

impl Case<'_> {
    fn index_of(accounts: &[ledger_account::Model], id: Uuid) -> usize {
        accounts.iter().position(|account| account.id == id).unwrap()
    }

    #[expect(clippy::await_holding_refcell_ref, reason = "one task at a time")]
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Restart => {
                let app = self.app.take().unwrap();
                *self.app.borrow_mut() =
                    Some(app.restarted(Options { without_timers: true, ..Options::default() }).await);
            }
            Step::Write { acts, rolled_back } => {
                let app = self.app.borrow();
                self.write(app.as_ref().unwrap(), acts, *rolled_back).await;
            }
        }
        let app = self.app.borrow();
        self.compare(app.as_ref().unwrap()).await;
    }

    async fn write(&mut self, test: &TestApp, acts: &[Act], rolled_back: bool) {
        let app = &test.app;
        self.now += Duration::seconds(1);
        let (verdict, after) = self.model.judge(acts, |id| Self::index_of(&self.accounts, id));
        let mut entry = Entry::default();
        let purpose = app.ids.next(Kind::Order);
        for act in acts {
            match act {
                Act::Post { debit, credit, amount } => {
                    _ = entry.post(&self.accounts[*debit], &self.accounts[*credit], *amount);
                }
                Act::Hold { account, amount } => _ = entry.hold(&self.accounts[*account], *amount, purpose),
                Act::Release { hold } if !self.model.holds.is_empty() => {
                    entry.release(&self.model.holds[hold.index(self.model.holds.len())].0, Reason::Voided);
                }
                Act::Reverse { movement } if !self.model.movements.is_empty() => {
                    entry.reverse(&self.model.movements[movement.index(self.model.movements.len())].0);
                }
                Act::Release { .. } | Act::Reverse { .. } => {}
            }
        }
        let mut fact = EventBuilder::new(app.ids, test.partner.id, None, self.now);
        let cause = fact.id;
        let tx = app.db.write().await.unwrap();
        let written = write(entry, &tx, app, &mut fact).await;
        let accepted = match &written {
            Ok(accepted) => *accepted,
            Err(Error::Database(_) | Error::Broken(_)) => false,
            Err(error) => panic!("{error:?}"),
        };
        match verdict {
            Verdict::Written => assert!(accepted, "{acts:?} is refused: {written:?}"),
            Verdict::Refused => assert!(!accepted, "{acts:?} is written"),
            Verdict::Either => {}
        }
        if !accepted {
            return;
        }
        fact.record(&tx, confirmed(purpose)).await.unwrap();
        if rolled_back {
            return;
        }
        tx.commit().await.unwrap();
        self.model.sums = after;
        for act in acts {
            match act {
                Act::Release { hold } if !self.model.holds.is_empty() => {
                    let at = hold.index(self.model.holds.len());
                    self.model.holds[at].2 = false;
                }
                Act::Reverse { movement } if !self.model.movements.is_empty() => {
                    let at = movement.index(self.model.movements.len());
                    self.model.movements[at].1 = true;
                }
                _ => {}
            }
        }
        for hold in ledger::open_holds(&app.db.read, purpose).await.unwrap() {
            let account = Self::index_of(&self.accounts, hold.account_id);
            self.model.holds.push((hold, account, true));
        }
        let caused = ledger_transfer::Entity::find()
            .filter(ledger_transfer::Column::CauseId.eq(cause))
            .all(&app.db.read)
            .await
            .unwrap();
        self.model.movements.extend(caused.into_iter().map(|movement| (movement, false)));
        self.model.history.push((self.now, self.model.sums.map(Sums::balance)));
    }

    async fn compare(&self, test: &TestApp) {
        let read = &test.app.db.read;
        let rows = ledger_account::Entity::find()
            .filter(ledger_account::Column::Id.is_in(self.accounts.iter().map(|account| account.id)))
            .all(read)
            .await
            .unwrap();
        assert_eq!(rows.len(), ACCOUNTS.len());
        for row in rows {
            let expected = self.model.sums[Self::index_of(&self.accounts, row.id)];
            let found =
                Sums { debits: row.debits.into(), credits: row.credits.into(), held: row.held.into() };
            assert_eq!(found, expected, "{row:?}");
            if expected.available() >= i128::from(i64::MIN) {
                assert_eq!(
                    (i128::from(row.balance()), i128::from(row.available())),
                    (expected.balance(), expected.available())
                );
            }
        }
        let turn = self.model.history.len();
        let account = turn % ACCOUNTS.len();
        for (at, balances) in
            [self.model.history.last(), self.model.history.get(turn / 2)].into_iter().flatten()
        {
            let found = ledger::balance_at(read, self.accounts[account].id, *at).await.unwrap();
            assert_eq!(i128::from(found), balances[account], "account {account} at {at}");
        }
    }
}

#[expect(clippy::await_holding_refcell_ref, reason = "one task at a time")]
async fn case(app: &RefCell<Option<TestApp>>, steps: &[Step]) {
    let mut accounts = Vec::new();
    {
        let app = app.borrow();
        let test = app.as_ref().unwrap();
        let owners = [(); 3].map(|()| test.app.ids.next(Kind::Account));
        let tx = test.app.db.write().await.unwrap();
        for (owner, kind, asset) in ACCOUNTS {
            accounts.push(account(&tx, &test.app, test.partner.id, (owners[owner], kind, asset)).await);
        }
        tx.commit().await.unwrap();
    }
    assert_eq!(accounts.iter().map(|account| account.no_overdraft).collect::<Vec<_>>(), MAY_NOT_BE_OVERDRAWN);
    let mut case =
        Case { app, accounts, model: Model::default(), now: "2026-07-09T16:00:00Z".parse().unwrap() };
    for step in steps {
        case.step(step).await;
    }
}

on_both! {
    async fn the_ledger_agrees_with_the_model(app: TestApp) {
        let app = RefCell::new(Some(app));
        let config =
            Config { cases: 36, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            TestRunner::new(config)
                .run(&steps(), |steps| {
                    runtime.block_on(case(&app, &steps));
                    Ok(())
                })
                .unwrap();
        });
        let test = app.take().unwrap();
        sequencer::seal_all(&test.app.db, &test.app.feed, &test.app.vault).await.unwrap();
        let report = test.audit().await;
        assert_eq!((report.wrong, report.waiting), (None, 0));
        let of = |what: &str| report.checked.iter().find(|(name, _)| *name == what).unwrap().1;
        assert!(
            of("ledger movements") > 300 && of("ledger holds and releases") > 100,
            "{:?}",
            report.checked
        );
    }

    async fn an_entry_that_overdraws_ends_its_transaction_and_leaves_nothing(app: TestApp) {
        let (app, partner_id) = (&app.app, app.partner.id);
        for is_flushed in [false, true] {
            let tx = app.db.write().await.unwrap();
            let owner = app.ids.next(Kind::Account);
            let cash = account(&tx, app, partner_id, (owner, LedgerKind::Cash, "USD")).await;
            let payable = account(&tx, app, partner_id, (partner_id, LedgerKind::ClearingPayable, "USD")).await;
            let mut fact = EventBuilder::new(app.ids, partner_id, None, domain::kernel::clock::system_now());
            let mut entry = Entry::default();
            entry.post(&cash, &payable, 1);
            entry.write_later(&tx, app.ids, &mut fact).await.unwrap();
            fact.record(&tx, confirmed(owner)).await.unwrap();
            if is_flushed {
                assert!(matches!(tx.flush().await, Err(Error::Database(_))));
            }
            // Also if the caller overlooks the error.
            tx.commit().await.unwrap_err();
            let rows = ledger_account::Entity::find().filter(ledger_account::Column::OwnerId.eq(owner));
            assert_eq!(rows.count(&app.db.read).await.unwrap(), 0);
            assert_eq!(ledger_transfer::Entity::find().count(&app.db.read).await.unwrap(), 0);
            let recorded = event::Entity::find().filter(event::Column::Kind.eq("trade.confirmed"));
            assert_eq!(recorded.count(&app.db.read).await.unwrap(), 0);
        }
    }

    async fn a_movement_is_reversed_only_once(app: TestApp) {
        let written = a_movement(&app).await;
        for turn in 1..=2 {
            let tx = app.app.db.write().await.unwrap();
            let mut entry = Entry::default();
            entry.reverse(&written);
            let mut fact =
                EventBuilder::new(app.app.ids, app.partner.id, None, domain::kernel::clock::system_now());
            let outcome = write(entry, &tx, &app.app, &mut fact).await;
            if turn == 1 {
                assert!(outcome.unwrap());
                fact.record(&tx, confirmed(app.app.ids.next(Kind::Order))).await.unwrap();
                tx.commit().await.unwrap();
            } else {
                assert!(matches!(outcome, Err(Error::Database(_))), "{outcome:?}");
            }
        }
        for account in [written.debit_account_id, written.credit_account_id] {
            let row =
                ledger_account::Entity::find_by_id(account).one(&app.app.db.read).await.unwrap().unwrap();
            assert_eq!((row.debits, row.credits, row.held), (700, 700, 0));
        }
        let rows = ledger_transfer::Entity::find().all(&app.app.db.read).await.unwrap();
        assert_eq!(rows.len(), 2);
        sequencer::seal_all(&app.app.db, &app.app.feed, &app.app.vault).await.unwrap();
        assert_eq!(app.audit().await.wrong, None);
    }

    async fn a_hold_is_released_only_once(app: TestApp) {
        let movement = a_movement(&app).await;
        let fbo = ledger_account::Entity::find_by_id(movement.debit_account_id)
            .one(&app.app.db.read)
            .await
            .unwrap()
            .unwrap();
        let purpose = app.app.ids.next(Kind::Order);
        let write_alone = |entry: Entry| {
            let app = app.app.clone();
            let partner_id = fbo.partner_id;
            async move {
                let tx = app.db.write().await.unwrap();
                let mut fact =
                    EventBuilder::new(app.ids, partner_id, None, domain::kernel::clock::system_now());
                let outcome = write(entry, &tx, &app, &mut fact).await;
                if matches!(outcome, Ok(true)) {
                    tx.commit().await.unwrap();
                }
                outcome
            }
        };
        for _ in 0..2 {
            let mut entry = Entry::default();
            entry.hold(&fbo, 40, purpose);
            assert!(write_alone(entry).await.unwrap());
        }
        let holds = ledger::open_holds(&app.app.db.read, purpose).await.unwrap();
        assert_eq!(holds.iter().map(|hold| hold.left).collect::<Vec<_>>(), [40, 40]);
        let mut entry = Entry::default();
        entry.release(&holds[0], Reason::Voided);
        assert!(write_alone(entry).await.unwrap());
        let mut entry = Entry::default();
        entry.release(&holds[0], Reason::Voided);
        assert!(
            write_alone(entry).await.is_err(),
            "the first hold must not be released twice, at the cost of the second"
        );
        assert_eq!(ledger::open_holds(&app.app.db.read, purpose).await.unwrap(), [holds[1].clone()]);
        assert_eq!(ledger_release::Entity::find().all(&app.app.db.read).await.unwrap().len(), 1);
    }

    async fn append_only_rows_cannot_be_altered_or_deleted(app: TestApp) {
        let customer = app.funded_customer("Ada", "1000.00").await;
        app.quote("VTI", "100.00", "100.00").await;
        let order = app
            .gql(crate::support::ORDER_PLACE, json!({ "input": customer.order("o", "BUY", "VTI", "1") }))
            .await;
        app.ended(order.entity("orderPlace", "order")["id"].as_str().unwrap()).await;
        app.app.sequencer.caught_up().await;
        let raw = raw(&app.database_url).await;
        for statement in attacks(raw.get_database_backend()) {
            let refused = raw.execute_unprepared(&statement).await.expect_err(&statement).to_string();
            assert!(
                refused.contains("is append-only") || refused.contains("no more than it held"),
                "{statement}: {refused}"
            );
            _ = raw.execute_unprepared("ROLLBACK").await;
        }
        assert_eq!(app.audit().await.wrong, None);
    }
}

/// Posts seven dollars between accounts that may be overdrawn, so that only the database can refuse later
/// entries.
async fn a_movement(test: &TestApp) -> ledger_transfer::Model {
    let app = &test.app;
    let tx = app.db.write().await.unwrap();
    let (owner, partner_id) = (app.ids.next(Kind::Account), test.partner.id);
    let fbo = account(&tx, app, partner_id, (partner_id, LedgerKind::BankFbo, "USD")).await;
    let payable = account(&tx, app, partner_id, (partner_id, LedgerKind::ClearingPayable, "USD")).await;
    let mut fact = EventBuilder::new(app.ids, test.partner.id, None, domain::kernel::clock::system_now());
    let (cause, mut entry) = (fact.id, Entry::default());
    entry.post(&fbo, &payable, 700);
    assert!(entry.write(&tx, app.ids, &mut fact).await.unwrap());
    fact.record(&tx, confirmed(owner)).await.unwrap();
    tx.commit().await.unwrap();
    ledger_transfer::Entity::find()
        .filter(ledger_transfer::Column::CauseId.eq(cause))
        .one(&app.db.read)
        .await
        .unwrap()
        .unwrap()
}

/// Opens a plain database connection without the settings that Coffer applies.
async fn raw(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Box::pin(Database::connect(options)).await.unwrap()
}

fn attacks(backend: DbBackend) -> Vec<String> {
    let mut attacks = Vec::new();
    for (table, column) in [
        ("ledger_transfer", "amount = amount + 1"),
        ("ledger_hold", "amount = amount + 1"),
        ("ledger_release", "amount = amount + 1"),
        ("event", "payload = '{}'"),
        ("event", "seq = NULL, hash = NULL"),
        ("audit_log", "decision = 'nothing'"),
        ("audit_log", "seq = NULL, hash = NULL"),
    ] {
        attacks.push(format!("UPDATE {table} SET {column}"));
    }
    for table in ["ledger_transfer", "ledger_hold", "ledger_release", "event", "audit_log"] {
        attacks.push(format!("DELETE FROM {table}"));
        if backend == DbBackend::Postgres {
            attacks.push(format!("TRUNCATE {table} CASCADE"));
            let column = if table.starts_with("ledger") { "amount" } else { "hash" };
            attacks.push(format!(
                "INSERT INTO {table} SELECT * FROM {table} WHERE true ON CONFLICT (id) DO UPDATE SET \
                    {column} = EXCLUDED.{column}"
            ));
        } else {
            attacks.push(format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table}"));
        }
    }
    if backend == DbBackend::Sqlite {
        let id = "x'0190000000007000800000000000000c'";
        let event = format!("INSERT OR REPLACE INTO event SELECT {id}, partner_id,");
        let rest = "actor_id, type, '{}', occurred_at, digest,";
        attacks
            .push(format!("{event} stream_id, stream_version, {rest} NULL, NULL FROM event WHERE seq = 2"));
        attacks.push(format!("{event} x'00', 1, {rest} seq, hash FROM event WHERE seq = 2"));
        let line = format!(
            "INSERT OR REPLACE INTO audit_log SELECT {id}, partner_id, principal_id, operation, object_id, 'nothing',"
        );
        attacks.push(format!("{line} request_id, recorded_at, seq, hash FROM audit_log WHERE seq = 2"));
        let fresh = format!(
            "INSERT INTO audit_log SELECT {id}, partner_id, principal_id, operation, object_id, 'nothing',"
        );
        attacks.push(format!(
            "BEGIN; {fresh} request_id, recorded_at, NULL, NULL FROM audit_log WHERE seq = 2; UPDATE OR \
                REPLACE audit_log SET seq = 2 WHERE seq IS NULL"
        ));
        let fresh = format!("INSERT INTO event SELECT {id}, partner_id, x'00', 1,");
        attacks.push(format!(
            "BEGIN; {fresh} {rest} NULL, NULL FROM event WHERE seq = 2; UPDATE OR REPLACE event SET seq = 2 \
                WHERE seq IS NULL"
        ));
    }
    attacks
}

/// Returns an event of its own stream.
fn confirmed(id: Uuid) -> Event {
    Event::TradeConfirmed(TradeState { id, order_id: id, account_id: id })
}
