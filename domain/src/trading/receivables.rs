//! Money that an account owes because a deposit was returned after it was spent.

use crate::{
    Code, Refusal, Result,
    kernel::{
        command::CommandContext,
        events::EventBuilder,
        ledger::{self, Entry},
    },
};
use entity::{
    Money,
    ledger_account::{self, LedgerKind},
};
use uuid::Uuid;

/// Kinds of ledger accounts that decide what is repaid.
pub const KINDS: [LedgerKind; 2] = [LedgerKind::Cash, LedgerKind::Receivable];

/// Returns what the account owes, given its ledger accounts.
pub fn owed(accounts: &[ledger_account::Model]) -> Money {
    let owed = accounts.iter().find(|row| row.kind == LedgerKind::Receivable);
    Money::from_units(owed.map_or(0, |row| row.balance().saturating_neg()))
}

/// Refuses purchases and withdrawals of an account that owes money.
pub fn require_nothing_owed(accounts: &[ledger_account::Model]) -> Result<()> {
    let owed = owed(accounts);
    if !owed.is_positive() {
        return Ok(());
    }
    let text = format!("The account owes ${owed} for a returned deposit. Deposit at least that much first.");
    Err(Refusal::new(Code::BalanceOwed, "accountId", text).into())
}

/// Repays what the account owes as far as its free cash suffices, including cash that `arrives` with the same entry.
pub fn repay(entry: &mut Entry, accounts: &[ledger_account::Model], arrives: i64) {
    let of = |kind| accounts.iter().find(|row| row.kind == kind);
    let (Some(cash), Some(receivable)) = (of(LedgerKind::Cash), of(LedgerKind::Receivable)) else { return };
    let free = cash.available().saturating_add(arrives).max(0);
    entry.post(cash, receivable, free.min(owed(accounts).units()));
}

/// The same for cash that has arrived before. Does nothing for an account that never owed anything.
pub async fn repay_now(ctx: &CommandContext<'_>, event: &mut EventBuilder, account_id: Uuid) -> Result<()> {
    if !ledger::is_opened(ctx.tx, account_id, LedgerKind::Receivable).await? {
        return Ok(());
    }
    let mut entry = Entry::default();
    repay(&mut entry, &ledger::lock_opened(ctx.tx, account_id, KINDS).await?, 0);
    entry.write_later(ctx.tx, ctx.app.ids, event).await
}
