//! Checks of deposits, withdrawals and what accounts owe against the movements of their events.

use super::{AccountBalance, Audit, PAGE, derived::Books};
use crate::{Result, kernel::events::EventType};
use entity::{
    Money,
    ledger_account::LedgerKind,
    order,
    transfer::{self, Direction, Status},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Cents that are expected in accounts of a kind, by their owners.
type Expected = HashMap<(Uuid, LedgerKind), i64>;

impl<C: ConnectionTrait> Audit<'_, C> {
    /// Checks each transfer against the movements of its events, and against its transfers what is pending and what is
    /// in transit.
    pub(super) async fn transfers(&mut self, books: &Books<'_>) -> Result<()> {
        let mut sales: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        let orders = order::Entity::find().filter(order::Column::WithdrawalId.is_not_null());
        for row in orders.all(&self.connection).await? {
            sales.entry(row.withdrawal_id.unwrap_or_default()).or_default().push(row.id);
        }
        let mut expected = Expected::new();
        let rows = walk!(self, transfer, row => {
            match row.direction {
                Direction::Deposit => self.deposit(books, &mut expected, &row),
                Direction::Withdrawal => {
                    let sales = sales.remove(&row.id).unwrap_or_default();
                    self.withdrawal(books, &mut expected, &row, &sales);
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
        let announced = into(EventType::DepositPending, LedgerKind::PendingDeposit)
            + into(EventType::DepositPending, LedgerKind::Unsettled);
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
            *expected.entry((row.account_id, LedgerKind::PendingDeposit)).or_default() += amount - credit;
            *expected.entry((row.partner_id, LedgerKind::BankAchInTransit)).or_default() -= amount;
        }
        let arrived = books.moved(row.id, EventType::DepositSettled, |debit, credit| {
            debit.kind == LedgerKind::BankFbo && credit.kind == LedgerKind::BankAchInTransit
        });
        let left = books.moved(row.id, EventType::DepositReturned, |debit, credit| {
            credit.kind == LedgerKind::BankFbo && debit.owner == row.account_id
        });
        let has_settled = row.status == Status::Settled;
        let kept = if has_settled { amount } else { 0 };
        let is_right = arrived - left == kept
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
        sales: &[Uuid],
    ) {
        let paid = row.set_aside.units();
        let is_pending = |account: &AccountBalance| {
            account.kind == LedgerKind::PendingWithdrawal && account.owner == row.account_id
        };
        let set_aside = |subject, event| books.moved(subject, event, |_, credit| is_pending(credit));
        let of_sales: i64 = sales.iter().map(|sale| set_aside(*sale, EventType::OrderFilled)).sum();
        let total = set_aside(row.id, EventType::WithdrawalPending)
            + set_aside(row.id, EventType::WithdrawalSelling)
            + of_sales;
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
            *expected.entry((row.account_id, LedgerKind::PendingWithdrawal)).or_default() += paid;
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
