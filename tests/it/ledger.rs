//! The ledger against a plain model: random movements, holds, reversals, refusals and crashes.

use crate::support::{Options, TestApp};
use chrono::{DateTime, Utc};
use coffer::domain::{
    events::{Fact, Happening},
    ledger::{self, Entry, OpenHold},
};
use entity::{
    Kind,
    ledger_account::{self, LedgerKind},
    ledger_release::Reason,
    ledger_transfer,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

/// What may be done in one step; accounts are named by their place in `KINDS`, 0 to 3 in dollars and 4 and 5 in shares.
#[derive(Clone, Debug)]
enum Step {
    Post {
        debit: usize,
        credit: usize,
        amount: i64,
        also: Option<(usize, usize, i64)>,
    },
    Hold {
        account: usize,
        amount: i64,
    },
    Release {
        which: usize,
        posted: bool,
    },
    Reverse {
        which: usize,
    },
    /// The work is done and lost before its commit.
    LostPost {
        debit: usize,
        credit: usize,
        amount: i64,
    },
    Restart,
}

const KINDS: [(LedgerKind, &str, bool); 6] = [
    (LedgerKind::Cash, "USD", true),
    (LedgerKind::Unsettled, "USD", true),
    (LedgerKind::BankFbo, "USD", false),
    (LedgerKind::ClearingPayable, "USD", false),
    (LedgerKind::Cash, "VTI", true),
    (LedgerKind::Custody, "VTI", false),
];

fn pair() -> impl Strategy<Value = (usize, usize)> {
    prop_oneof![
        4 => (0..4_usize, 1..4_usize).prop_map(|(debit, step)| (debit, (debit + step) % 4)),
        1 => prop_oneof![Just((4, 5)), Just((5, 4))],
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let amount = 1..200_i64;
    prop_oneof![
        6 => (pair(), amount.clone(), proptest::option::of((pair(), amount.clone())))
            .prop_map(|((debit, credit), amount, also)| Step::Post { debit, credit, amount, also: also.map(|((d, c), a)| (d, c, a)) }),
        3 => (0..6_usize, amount.clone()).prop_map(|(account, amount)| Step::Hold { account, amount }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, posted)| Step::Release { which, posted }),
        1 => any::<usize>().prop_map(|which| Step::Reverse { which }),
        1 => (pair(), amount).prop_map(|((debit, credit), amount)| Step::LostPost { debit, credit, amount }),
        1 => Just(Step::Restart),
    ]
}

/// What each account should say, and what is still held and may still be reversed.
#[derive(Default)]
struct Model {
    balance: [i64; 6],
    held: [i64; 6],
    holds: Vec<(Uuid, usize, i64)>,
    movements: Vec<(usize, usize, i64, bool)>,
}

impl Model {
    fn allows(&self, changes: &[(usize, i64, i64)]) -> bool {
        (0..6).all(|account| {
            let sum = |pick: fn(&(usize, i64, i64)) -> i64| changes.iter().filter(|change| change.0 == account).map(pick).sum::<i64>();
            let touched = changes.iter().any(|change| change.0 == account);
            !touched || !KINDS[account].2 || self.balance[account] + sum(|c| c.1) - self.held[account] - sum(|c| c.2) >= 0
        })
    }

    fn apply(&mut self, changes: &[(usize, i64, i64)]) {
        for (account, balance, held) in changes {
            self.balance[*account] += balance;
            self.held[*account] += held;
        }
    }
}

struct Run {
    app: TestApp,
    owner: Uuid,
    model: Model,
    at: DateTime<Utc>,
    movement_ids: Vec<Uuid>,
}

impl Run {
    async fn accounts(&self) -> Vec<ledger_account::Model> {
        let tx = self.app.app.db.write().await.unwrap();
        let mut accounts = Vec::new();
        for (kind, asset, _) in KINDS {
            accounts.push(ledger::account(&tx, self.app.app.ids, self.app.partner.id, self.owner, kind, asset).await.unwrap());
        }
        tx.commit().await.unwrap();
        accounts
    }

    /// Writes an entry with its event, or lets the transaction go; whether the ledger took it.
    async fn write(&mut self, entry: Entry, commit: bool) -> bool {
        self.at += chrono::Duration::seconds(1);
        let ids = self.app.app.ids;
        let tx = self.app.app.db.write().await.unwrap();
        let mut fact = Fact::new(ids, self.app.partner.id, None, self.at);
        let cause = fact.id;
        let taken = entry.write(&tx, ids, &mut fact).await.unwrap();
        if taken && commit {
            fact.record_first(&tx, Happening::TradeSettled, ids.next(Kind::Fill), json!({})).await.unwrap();
            tx.commit().await.unwrap();
            let rows = ledger_transfer::Entity::find()
                .filter(ledger_transfer::Column::CauseId.eq(cause))
                .order_by_asc(ledger_transfer::Column::Id)
                .all(&self.app.app.db.read)
                .await
                .unwrap();
            self.movement_ids.extend(rows.iter().map(|row| row.id));
        }
        taken
    }

    async fn step(mut self, step: Step) -> Self {
        let accounts = self.accounts().await;
        match step {
            Step::Post { debit, credit, amount, also } => {
                let legs: Vec<_> = std::iter::once((debit, credit, amount)).chain(also).collect();
                let changes: Vec<_> = legs.iter().flat_map(|(d, c, amount)| [(*d, -amount, 0), (*c, *amount, 0)]).collect();
                let mut entry = Entry::default();
                for (debit, credit, amount) in &legs {
                    entry.post(&accounts[*debit], &accounts[*credit], *amount);
                }
                let allowed = self.model.allows(&changes);
                assert_eq!(self.write(entry, true).await, allowed, "{legs:?}");
                if allowed {
                    self.model.apply(&changes);
                    self.model.movements.extend(legs.into_iter().map(|(debit, credit, amount)| (debit, credit, amount, false)));
                }
            }
            Step::Hold { account, amount } => {
                let purpose = self.app.app.ids.next(Kind::Order);
                let mut entry = Entry::default();
                entry.hold(&accounts[account], amount, purpose);
                let allowed = self.model.allows(&[(account, 0, amount)]);
                assert_eq!(self.write(entry, true).await, allowed);
                if allowed {
                    self.model.apply(&[(account, 0, amount)]);
                    self.model.holds.push((purpose, account, amount));
                }
            }
            Step::Release { which, posted } if !self.model.holds.is_empty() => {
                let (purpose, account, amount) = self.model.holds.remove(which % self.model.holds.len());
                let open = ledger::open_holds(&self.app.app.db.read, purpose).await.unwrap();
                assert_eq!(open, [OpenHold { id: open[0].id, account_id: accounts[account].id, left: amount }]);
                let mut entry = Entry::default();
                entry.release(&open[0], if posted { Reason::Posted } else { Reason::Voided });
                assert!(self.write(entry, true).await);
                self.model.apply(&[(account, 0, -amount)]);
                assert_eq!(ledger::open_holds(&self.app.app.db.read, purpose).await.unwrap(), []);
            }
            Step::Reverse { which } if !self.model.movements.is_empty() => {
                let place = which % self.model.movements.len();
                let (debit, credit, amount, reversed) = self.model.movements[place];
                let row = ledger_transfer::Entity::find_by_id(self.movement_ids[place]).one(&self.app.app.db.read).await.unwrap().unwrap();
                assert_eq!((row.debit_account_id, row.credit_account_id, row.amount), (accounts[debit].id, accounts[credit].id, amount));
                let mut entry = Entry::default();
                entry.reverse(&row);
                let changes = [(credit, -amount, 0), (debit, amount, 0)];
                if reversed {
                    let tx = self.app.app.db.write().await.unwrap();
                    let mut fact = Fact::new(self.app.app.ids, self.app.partner.id, None, self.at);
                    let twice = entry.write(&tx, self.app.app.ids, &mut fact).await;
                    assert!(matches!(twice, Err(_) | Ok(false)), "a movement was taken back twice");
                } else {
                    let allowed = self.model.allows(&changes);
                    assert_eq!(self.write(entry, true).await, allowed);
                    if allowed {
                        self.model.apply(&changes);
                        self.model.movements[place].3 = true;
                        self.model.movements.push((credit, debit, amount, false));
                    }
                }
            }
            Step::LostPost { debit, credit, amount } => {
                let mut entry = Entry::default();
                entry.post(&accounts[debit], &accounts[credit], amount);
                let allowed = self.model.allows(&[(debit, -amount, 0), (credit, amount, 0)]);
                assert_eq!(self.write(entry, false).await, allowed);
            }
            Step::Restart => self.app = self.app.restarted(Options::default()).await,
            Step::Release { .. } | Step::Reverse { .. } => {}
        }
        self.agrees().await;
        self
    }

    async fn agrees(&self) {
        for (place, account) in self.accounts().await.iter().enumerate() {
            let expected = (self.model.balance[place], self.model.held[place]);
            assert_eq!((account.balance(), account.held), expected, "{:?}", account.kind);
            let by_rows = ledger::balance_at(&self.app.app.db.read, account.id, self.at).await.unwrap();
            assert_eq!(by_rows, expected.0);
        }
    }
}

async fn against_a_model(app: TestApp, cases: usize) {
    let mut runner = TestRunner::deterministic();
    let owner = app.app.ids.next(Kind::Account);
    let mut run = Run { app, owner, model: Model::default(), at: "2026-07-09T16:00:00Z".parse().unwrap(), movement_ids: Vec::new() };
    for _ in 0..cases {
        let steps = proptest::collection::vec(step(), 30).new_tree(&mut runner).unwrap().current();
        run.owner = run.app.app.ids.next(Kind::Account);
        (run.model, run.movement_ids) = (Model::default(), Vec::new());
        for step in steps {
            run = run.step(step).await;
        }
        run.app.app.sequencer.caught_up().await;
        assert_eq!(run.app.audit().await.wrong, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_entries_agree_with_a_model_sqlite() {
    against_a_model(TestApp::sqlite().await, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_entries_agree_with_a_model_postgres() {
    if let Some(app) = TestApp::postgres().await {
        against_a_model(app, 10).await;
    }
}
