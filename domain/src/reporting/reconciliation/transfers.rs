//! Checks of deposits, withdrawals and what accounts owe against the movements of their events.

use super::{AccountBalance, Audit, PAGE, derived::Books};
use crate::{Result, kernel::events::EventType};
use entity::{
    Money, fill,
    ledger_account::LedgerKind,
    order,
    transfer::{self, Direction, Status},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Cents that are expected in accounts of a kind, by their owners.
type Expected = HashMap<(Uuid, LedgerKind), i64>;

fn add(expected: &mut Expected, place: (Uuid, LedgerKind), amount: i64) {
    let sum = expected.entry(place).or_default();
    *sum = sum.saturating_add(amount);
}

fn sum(amounts: impl IntoIterator<Item = i64>) -> i64 {
    amounts.into_iter().fold(0, i64::saturating_add)
}

impl<C: ConnectionTrait> Audit<'_, C> {
    /// Checks each transfer against the movements of its events, and against its transfers what is pending and what is
    /// in transit.
    pub(super) async fn transfers(&mut self, books: &Books<'_>) -> Result<()> {
        let mut sales: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        let orders = order::Entity::find().filter(order::Column::WithdrawalId.is_not_null());
        for row in orders.all(&self.connection).await? {
            sales.entry(row.withdrawal_id.unwrap_or_default()).or_default().push(row.id);
        }
        let mut of_fills: HashMap<Uuid, i64> = HashMap::new();
        let fills = fill::Entity::find().filter(fill::Column::SetAside.gt(0_i64));
        for row in fills.all(&self.connection).await? {
            let sum = of_fills.entry(row.order_id).or_default();
            *sum = sum.saturating_add(row.set_aside.units());
        }
        let mut expected = Expected::new();
        let rows = walk!(self, transfer, row => {
            match row.direction {
                Direction::Deposit => self.deposit(books, &mut expected, &row),
                Direction::Withdrawal => {
                    let sales = sales.remove(&row.id).unwrap_or_default();
                    let of_fills = sum(sales.iter().filter_map(|sale| of_fills.remove(sale)));
                    self.withdrawal(books, &mut expected, &row, (&sales, of_fills));
                }
            }
        });
        let kinds = [LedgerKind::PendingDeposit, LedgerKind::PendingWithdrawal, LedgerKind::BankAchInTransit];
        let in_order: BTreeMap<_, _> = books.accounts.iter().collect();
        for (id, account) in in_order.iter().filter(|(_, account)| kinds.contains(&account.kind)) {
            let expected = expected.remove(&(account.owner, account.kind)).unwrap_or(0);
            if account.balance != expected {
                self.wrong(format!(
                    "ledger_account {id} has balance {}, its transfers under way sum to {expected}",
                    account.balance
                ));
            }
        }
        for (id, account) in in_order.iter().filter(|(_, row)| row.kind == LedgerKind::Receivable) {
            if account.balance > 0 {
                self.wrong(format!("ledger_account {id} is what a customer owes, but has a credit"));
            }
        }
        self.report.checked.push(("transfers", rows));
        Ok(())
    }

    fn deposit(&mut self, books: &Books<'_>, expected: &mut Expected, row: &transfer::Model) {
        let (amount, instant) = (row.amount.units(), row.instant_amount.units());
        let is_own = |account: &AccountBalance, kind| account.kind == kind && account.owner == row.account_id;
        let into = |event, kind| books.moved(row.id, event, |_, credit| is_own(credit, kind));
        let announced = sum([LedgerKind::PendingDeposit, LedgerKind::Unsettled]
            .map(|kind| into(EventType::DepositPending, kind)));
        if announced != amount {
            self.wrong(format!(
                "transfer {} has amount {}, its ledger movements sum to {}",
                row.id,
                row.amount,
                Money::from_units(announced)
            ));
        }
        if into(EventType::DepositPending, LedgerKind::Unsettled) != instant {
            self.wrong(format!("transfer {} made another amount available at once", row.id));
        }
        let credit = row.instant_credit().units();
        let is_open = matches!(row.status, Status::Pending | Status::Submitted);
        if is_open {
            add(expected, (row.account_id, LedgerKind::PendingDeposit), amount.saturating_sub(credit));
            add(expected, (row.partner_id, LedgerKind::BankAchInTransit), amount.saturating_neg());
        }
        let arrived = books.moved(row.id, EventType::DepositSettled, |debit, credit| {
            debit.kind == LedgerKind::BankFbo && credit.kind == LedgerKind::BankAchInTransit
        });
        let left = books.moved(row.id, EventType::DepositReturned, |debit, credit| {
            credit.kind == LedgerKind::BankFbo && debit.owner == row.account_id
        });
        let has_settled = row.status == Status::Settled;
        let kept = if has_settled { amount } else { 0 };
        let is_right = arrived.saturating_sub(left) == kept
            && (!has_settled || row.settled_at.is_some())
            && (!is_open || row.settled_at.is_none());
        let ends = [
            (Status::Returned, EventType::DepositReturned, row.returned_at.is_some()),
            (Status::Canceled, EventType::DepositCanceled, row.ended_at.is_some()),
            (Status::Failed, EventType::DepositFailed, row.ended_at.is_some()),
        ];
        self.ended(books, row, &ends, is_right);
    }

    fn withdrawal(
        &mut self,
        books: &Books<'_>,
        expected: &mut Expected,
        row: &transfer::Model,
        (sales, of_fills): (&[Uuid], i64),
    ) {
        let paid = row.set_aside.units();
        let is_pending = |account: &AccountBalance| {
            account.kind == LedgerKind::PendingWithdrawal && account.owner == row.account_id
        };
        let set_aside = |subject, event| books.moved(subject, event, |_, credit| is_pending(credit));
        let fills = [EventType::OrderPartiallyFilled, EventType::OrderFilled];
        let of_sales =
            sum(sales.iter().flat_map(|sale| fills.map(|event_type| set_aside(*sale, event_type))));
        let total = sum([
            set_aside(row.id, EventType::WithdrawalPending),
            set_aside(row.id, EventType::WithdrawalSelling),
            of_sales,
        ]);
        // What had not settled when a withdrawal ended is no longer set aside.
        let is_stopped = matches!(row.status, Status::Canceled | Status::Failed);
        if of_fills > of_sales || (of_fills < of_sales && !is_stopped) {
            self.wrong(format!(
                "transfer {} sets {} of its sales aside, their fills say {}",
                row.id,
                Money::from_units(of_sales),
                Money::from_units(of_fills)
            ));
        }
        if row.unsettled_aside > row.set_aside {
            self.wrong(format!(
                "transfer {} sets {} aside, {} of it unsettled",
                row.id, row.set_aside, row.unsettled_aside
            ));
        }
        if total != paid || paid > row.amount.units() {
            self.wrong(format!(
                "transfer {} sets {} of {} aside, its ledger movements sum to {}",
                row.id,
                row.set_aside,
                row.amount,
                Money::from_units(total)
            ));
        }
        let is_open = row.is_under_way();
        if is_open {
            add(expected, (row.account_id, LedgerKind::PendingWithdrawal), paid);
        }
        let completed = books.moved(row.id, EventType::WithdrawalCompleted, |debit, credit| {
            is_pending(debit) && credit.kind == LedgerKind::BankFbo
        });
        let back = books.moved(row.id, EventType::WithdrawalReturned, |_, credit| {
            credit.kind == LedgerKind::Cash && credit.owner == row.account_id
        });
        let is_right = match row.status {
            Status::Completed => completed == paid && back == 0 && row.settled_at.is_some(),
            Status::Returned => back == paid,
            _ => completed == 0 && back == 0 && row.settled_at.is_none(),
        };
        let ends = [
            (Status::Returned, EventType::WithdrawalReturned, row.returned_at.is_some()),
            (Status::Canceled, EventType::WithdrawalCanceled, row.ended_at.is_some()),
            (Status::Failed, EventType::WithdrawalFailed, row.ended_at.is_some()),
        ];
        self.ended(books, row, &ends, is_right);
    }

    /// Checks that a transfer that has ended has the event and the time of its end.
    fn ended(
        &mut self,
        books: &Books<'_>,
        row: &transfer::Model,
        ends: &[(Status, EventType, bool); 3],
        is_right: bool,
    ) {
        let has_end = |(status, event, has_time): &(Status, EventType, bool)| {
            row.status != *status || (books.happened(row.id, *event) && *has_time)
        };
        let sent = match row.direction {
            Direction::Deposit => EventType::DepositSubmitted,
            Direction::Withdrawal => EventType::WithdrawalSubmitted,
        };
        let was_sent = books.happened(row.id, sent);
        let is_sent_as_told = match row.status {
            Status::Submitted => was_sent,
            Status::Pending | Status::Selling | Status::AwaitingSettlement => !was_sent,
            _ => true,
        };
        if !is_right || !is_sent_as_told || !ends.iter().all(has_end) {
            self.wrong(format!(
                "transfer {} has a status that does not match its events and the ledger",
                row.id
            ));
        }
    }
}
