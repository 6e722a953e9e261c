//! Transfers that the bank returns: the money is taken or put back, and what could not be taken back is owed.

use super::{
    bank_accounts,
    return_codes::{self, MAX_PRESENTMENTS},
    transfers, withdrawals,
};
use crate::{
    Code, Refusal, Result, accounts,
    kernel::{
        calendar,
        command::CommandContext,
        events::{Event, EventBuilder},
        ledger::{self, Entry, USD},
        scheduler::Due,
    },
    trading::{orders::raising, restrictions},
};
use chrono::Days;
use entity::{
    Money,
    ledger_account::{self, LedgerKind},
    timer::TimerKind,
    transfer::{self, Direction, ReturnCode, Status},
};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

/// Returns a transfer as the rail has planned. Does nothing if it was returned meanwhile.
pub struct ReturnAsPlanned;

impl Due for ReturnAsPlanned {
    const KIND: TimerKind = TimerKind::TransferReturn;

    async fn run(ctx: &CommandContext<'_>, transfer_id: Uuid) -> Result<()> {
        let Some(transfer) = ctx.tx.row::<transfer::Entity>(transfer_id).await? else { return Ok(()) };
        let is_settled = matches!(transfer.status, Status::Settled | Status::Completed);
        let Some(settled_on) = transfers::date_of(transfer.settled_at).filter(|_| is_settled) else {
            return Ok(());
        };
        if let Some(code) = transfers::planned_return(ctx, &transfer).await?
            && transfers::rail(ctx)?.returns_at(code, settled_on) <= ctx.now
        {
            apply(ctx, transfer, code).await?;
        }
        Ok(())
    }
}

/// Applies the bank's return of a transfer that was sent, settled or completed. The partner must be locked.
///
/// The money of a deposit is taken back: what has not settled from where it waits, the rest from cash and unsettled
/// proceeds. If that does not suffice, all open purchases are canceled, and if that does not either, all withdrawals
/// that were not sent. What is still missing is owed, and repaid by the next cash that arrives. The money of a
/// withdrawal is cash again. Effects of the code follow, and if shares that the deposit paid for were sold meanwhile
/// (free-riding, Regulation T, 12 CFR 220.8), the account is frozen for 90 days.
///
/// A transfer that was returned with the same code already is not changed.
pub async fn apply(
    ctx: &CommandContext<'_>,
    transfer: transfer::Model,
    code: ReturnCode,
) -> Result<transfer::Model> {
    let before = transfer.status;
    match before {
        Status::Submitted | Status::Settled | Status::Completed => {}
        Status::Returned if transfer.return_code == Some(code) => return Ok(transfer),
        _ => {
            let text = "The transfer was not sent to the bank, has ended, or was already returned.";
            return Err(Refusal::new(Code::TransferNotReturnable, "transferId", text).into());
        }
    }
    if !return_codes::is_possible(code, transfer.direction) {
        return Err(Refusal::invalid("code", "is not possible for a transfer in this direction").into());
    }
    let effects = return_codes::effects(code);
    if transfer.direction == Direction::Deposit {
        freeze_for_free_riding(ctx, &transfer).await?;
    }
    if effects.freezes_account {
        let reason = format!("A transfer was returned: {}.", return_codes::meaning(code));
        accounts::freeze(ctx, transfer.account_id, &reason, None).await?;
    }
    if effects.disables_bank_account {
        bank_accounts::disable(ctx, transfer.bank_account_id).await?;
    }
    let instant = transfer.instant_credit();
    let rail = transfers::rail(ctx)?;
    let is_again = return_codes::is_presented_again(code)
        && transfer.presentments < MAX_PRESENTMENTS
        && bank_accounts::is_usable(ctx.tx, transfer.bank_account_id).await?;
    let mut row: transfer::ActiveModel = transfer.into();
    row.status = Set(Status::Returned);
    row.returned_at = Set(Some(ctx.now));
    row.return_code = Set(Some(code));
    if is_again {
        let settles_at = rail.debit_settles_at(ctx.today());
        row.submits_at = Set(Some(rail.submits_at(ctx.now)));
        row.settles_at = Set(Some(settles_at));
        row.expected_on = Set(calendar::new_york_date(settles_at));
    }
    let transfer = ctx.tx.update(row).await?;
    transfers::schedule_submission(ctx, &transfer).await;
    let mut event = ctx.event();
    match transfer.direction {
        Direction::Deposit => {
            if before == Status::Submitted {
                undo_unsettled(ctx, &mut event, &transfer, instant).await?;
            } else {
                take(ctx, &mut event, &transfer, LedgerKind::BankFbo, transfer.amount).await?;
            }
            event.record(ctx.tx, Event::DepositReturned((&transfer).into())).await?;
        }
        Direction::Withdrawal => {
            withdrawals::returned(ctx, &mut event, &transfer, before).await?;
            event.record(ctx.tx, Event::WithdrawalReturned((&transfer).into())).await?;
        }
    }
    Ok(transfer)
}

/// Freezes the account for 90 days if shares that a deposit paid for were sold, and the deposit is not paid after all.
/// Must be called before that is booked.
pub(super) async fn freeze_for_free_riding(
    ctx: &CommandContext<'_>,
    deposit: &transfer::Model,
) -> Result<()> {
    let settles_at = deposit.settles_at.unwrap_or(ctx.now);
    if restrictions::sold_without_paying(ctx, deposit, settles_at).await? {
        let until = ctx.now.checked_add_days(Days::new(restrictions::RESTRICTED_DAYS));
        let reason = "Shares were sold that a returned deposit had paid for.";
        accounts::freeze(ctx, deposit.account_id, reason, until).await?;
    }
    Ok(())
}

/// Undoes a deposit that has not settled; `instant` is the part that could be spent.
pub(super) async fn undo_unsettled(
    ctx: &CommandContext<'_>,
    event: &mut EventBuilder,
    deposit: &transfer::Model,
    instant: Money,
) -> Result<()> {
    let mut entry = Entry::default();
    let [in_transit, pending] = ctx
        .ledger_accounts([
            ctx.house_account(LedgerKind::BankAchInTransit, USD),
            (deposit.account_id, LedgerKind::PendingDeposit, USD),
        ])
        .await?;
    entry.post(&pending, &in_transit, deposit.amount.units() - instant.units());
    entry.write_later(ctx.tx, ctx.app.ids, event).await?;
    take(ctx, event, deposit, LedgerKind::BankAchInTransit, instant).await
}

/// Takes an amount back from an account in favor of a house account: what has not settled first from unsettled money,
/// what has settled first from cash. What is missing is owed.
async fn take(
    ctx: &CommandContext<'_>,
    event: &mut EventBuilder,
    deposit: &transfer::Model,
    house: LedgerKind,
    amount: Money,
) -> Result<()> {
    if !amount.is_positive() {
        return Ok(());
    }
    let account_id = deposit.account_id;
    // Whoever cancels or fills a purchase locks it before the cash.
    raising::lock_purchases(ctx, account_id).await?;
    if free(&cash_accounts(ctx, account_id).await?) < amount.units() {
        raising::cancel_purchases(ctx, account_id).await?;
    }
    if free(&cash_accounts(ctx, account_id).await?) < amount.units() {
        withdrawals::stop_unsent(ctx, account_id).await?;
    }
    let [cash, unsettled] = cash_accounts(ctx, account_id).await?;
    let [house] = ctx.ledger_accounts([ctx.house_account(house, USD)]).await?;
    let mut entry = Entry::default();
    let mut left = amount.units();
    let sources = if deposit.settled_at.is_some() { [&cash, &unsettled] } else { [&unsettled, &cash] };
    for source in sources {
        let taken = source.available().clamp(0, left);
        entry.post(source, &house, taken);
        left -= taken;
    }
    if left > 0 {
        let [receivable] = ctx.ledger_accounts([(account_id, LedgerKind::Receivable, USD)]).await?;
        entry.post(&receivable, &house, left);
    }
    entry.write_later(ctx.tx, ctx.app.ids, event).await
}

async fn cash_accounts(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<[ledger_account::Model; 2]> {
    ledger::lock(ctx.tx, account_id, [LedgerKind::Cash, LedgerKind::Unsettled]).await
}

fn free(accounts: &[ledger_account::Model; 2]) -> i64 {
    accounts.iter().map(|account| account.available().max(0)).sum()
}
