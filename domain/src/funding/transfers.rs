//! ACH transfers in both directions: finding them, sending them to the bank, and canceling them.

use super::{bank_accounts, returns, withdrawals};
use crate::{
    Actor, Code, Error, Refusal, Result, Scope, Visible,
    kernel::{
        calendar, clock,
        command::{Command, CommandContext},
        db::WriteTransaction,
        events::Event,
        ledger::{self, Entry, USD},
        lists::{Filter, SortedPage},
        pages::Slice,
        rows,
        scheduler::Due,
        visible::Owner,
    },
    providers::{Providers, ach::AchRail},
    trading::restrictions,
};
use chrono::{DateTime, NaiveDate, Utc};
use entity::{
    Kind, Money, account, bank_account,
    ledger_account::LedgerKind,
    partner::Mode,
    timer::TimerKind,
    transfer::{self, Direction, Failure, ReturnCode, Status},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Select, sea_query::LockType,
};
use serde::Serialize;
use std::sync::Arc;
use uuid::Uuid;

/// Returns the connection to the ACH network that the partner uses.
pub fn rail<'a>(ctx: &CommandContext<'a>) -> Result<&'a Arc<dyn AchRail>> {
    let providers = ctx.app.feature::<Providers>();
    match ctx.partner.mode {
        Mode::Sandbox => Ok(&providers.sandbox_ach),
        Mode::Live => providers
            .live_ach
            .as_ref()
            .ok_or(Error::Unavailable("No ACH rail is configured for live partners.")),
    }
}

/// Returns a new transfer that is not sent yet.
pub(super) fn new(
    ctx: &CommandContext<'_>,
    account_id: Uuid,
    bank_account_id: Uuid,
    direction: Direction,
    amount: Money,
) -> transfer::Model {
    transfer::Model {
        id: ctx.app.ids.next(Kind::Transfer),
        partner_id: ctx.partner.id,
        account_id,
        bank_account_id,
        direction,
        amount,
        status: Status::Pending,
        expected_on: ctx.today(),
        created_at: ctx.now,
        settled_at: None,
        instant_amount: Money::ZERO,
        invest_when_settled: false,
        presentments: 0,
        set_aside: Money::ZERO,
        unsettled_aside: Money::ZERO,
        unsettled_until: None,
        may_be_lower: false,
        submits_at: None,
        settles_at: None,
        submitted_at: None,
        returned_at: None,
        ended_at: None,
        return_code: None,
        failure: None,
    }
}

/// Schedules that a transfer is sent to the bank at the time that it names.
pub(super) async fn schedule_submission(ctx: &CommandContext<'_>, transfer: &transfer::Model) {
    if let Some(at) = transfer.submits_at {
        ctx.schedule::<SubmitTransfer>(transfer.id, at).await;
    }
}

/// Schedules the return of a transfer that has just settled, if the rail plans one.
pub(super) async fn plan_return(ctx: &CommandContext<'_>, transfer: &transfer::Model) -> Result<()> {
    if let Some(code) = planned_return(ctx, transfer).await? {
        let at = rail(ctx)?.returns_at(code, ctx.today());
        ctx.schedule::<returns::ReturnAsPlanned>(transfer.id, at).await;
    }
    Ok(())
}

/// Returns how the rail returns a transfer once it has settled, if it plans to.
pub(super) async fn planned_return(
    ctx: &CommandContext<'_>,
    transfer: &transfer::Model,
) -> Result<Option<ReturnCode>> {
    let bank_account = ctx.tx.row::<bank_account::Entity>(transfer.bank_account_id).await?;
    let bank_account = bank_account.ok_or_else(|| Error::broken("a transfer has no bank account"))?;
    let number = bank_accounts::number(ctx.app, &bank_account)?;
    Ok(rail(ctx)?.planned_return(number.reveal(), transfer.direction))
}

/// Sends a transfer to the bank; one that was returned and may be presented again, for the second or third time. Does
/// nothing if it is not due to be sent any more. A withdrawal from an account that is not active fails instead.
pub struct SubmitTransfer;

impl Due for SubmitTransfer {
    const KIND: TimerKind = TimerKind::TransferSubmit;

    async fn prefetch(tx: &WriteTransaction, transfer_ids: &[Uuid]) -> Result<()> {
        tx.prefetch::<transfer::Entity>(transfer_ids).await
    }

    async fn run(ctx: &CommandContext<'_>, transfer_id: Uuid) -> Result<()> {
        let transfer = ctx.tx.row::<transfer::Entity>(transfer_id).await?;
        let is_due = |transfer: &transfer::Model| transfer.submits_at.is_some_and(|at| at <= ctx.now);
        let Some(transfer) = transfer.filter(is_due) else { return Ok(()) };
        let waits =
            matches!(transfer.status, Status::Pending | Status::Returned | Status::AwaitingSettlement);
        if !waits {
            return Ok(());
        }
        let is_withdrawal = transfer.direction == Direction::Withdrawal;
        if is_withdrawal && !withdrawals::may_pay_out(ctx, transfer.account_id).await? {
            withdrawals::stop(ctx, transfer, Status::Failed, Some(Failure::AccountNotActive)).await?;
        } else {
            submit(ctx, transfer).await?;
        }
        Ok(())
    }
}

/// Sends a transfer to the bank before its time.
pub async fn submit_now(ctx: &CommandContext<'_>, transfer: transfer::Model) -> Result<transfer::Model> {
    ctx.unschedule::<SubmitTransfer>(transfer.id).await?;
    submit(ctx, transfer).await
}

/// Sends a transfer to the bank now.
pub(super) async fn submit(ctx: &CommandContext<'_>, transfer: transfer::Model) -> Result<transfer::Model> {
    let is_again = transfer.status == Status::Returned;
    let presentments = transfer.presentments + 1;
    let mut row: transfer::ActiveModel = transfer.into();
    row.status = Set(Status::Submitted);
    row.presentments = Set(presentments);
    row.submits_at = Set(None);
    row.submitted_at = Set(Some(ctx.now));
    row.settled_at = Set(None);
    row.return_code = Set(None);
    let transfer = ctx.tx.update(row).await?;
    let settles_at =
        transfer.settles_at.ok_or_else(|| Error::broken("a transfer has no time of settlement"))?;
    let mut event = ctx.event();
    match transfer.direction {
        Direction::Deposit => {
            ctx.schedule::<super::deposits::SettleDeposit>(transfer.id, settles_at).await;
            if is_again {
                let mut entry = Entry::default();
                let [in_transit, pending] = ctx
                    .ledger_accounts([
                        ctx.house_account(LedgerKind::BankAchInTransit, USD),
                        (transfer.account_id, LedgerKind::PendingDeposit, USD),
                    ])
                    .await?;
                entry.post(&in_transit, &pending, transfer.amount.units());
                entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
            }
            event.record(ctx.tx, Event::DepositSubmitted((&transfer).into())).await?;
        }
        Direction::Withdrawal => {
            ctx.schedule::<withdrawals::CompleteWithdrawal>(transfer.id, settles_at).await;
            event.record(ctx.tx, Event::WithdrawalSubmitted((&transfer).into())).await?;
        }
    }
    Ok(transfer)
}

/// Cancels a transfer.
#[derive(Clone, Debug, Serialize)]
pub struct CancelTransfer {
    pub transfer_id: Uuid,
}

/// Cancels a transfer that was not sent to the bank: a deposit until the end of the day in New York, a withdrawal
/// until its cash is sent. Requires scope `transfer`.
///
/// The books are as before: what a deposit let the account spend is taken back, the money of a withdrawal is cash
/// again. Its open sales are canceled; shares that were sold stay sold.
///
/// # Errors
/// `NOT_FOUND`, or `TRANSFER_NOT_CANCELABLE` if the transfer was sent, has ended, or if the money of a deposit was
/// spent.
impl Command for CancelTransfer {
    const NAME: &'static str = "transfer.cancel";
    const SCOPE: Scope = Scope::Transfer;
    const FOR_ONESELF: bool = true;
    type Output = transfer::Model;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<transfer::Model> {
        // Timers hold the same lock.
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let transfer = locked(ctx, self.transfer_id).await?;
        if !can_cancel(&transfer) {
            let text = "The transfer has ended or was already sent to the bank.";
            return Err(Refusal::new(Code::TransferNotCancelable, "transferId", text).into());
        }
        if transfer.direction == Direction::Deposit {
            let kinds = [LedgerKind::Cash, LedgerKind::Unsettled];
            let free: i64 = ledger::lock(ctx.tx, transfer.account_id, kinds)
                .await?
                .iter()
                .map(|account| account.available().max(0))
                .sum();
            let instant = transfer.instant_credit();
            let is_spent = instant.is_positive()
                && (free < instant.units()
                    || !restrictions::purchases_with(ctx, &transfer).await?.is_empty());
            if is_spent {
                let text = "The money of the deposit was spent.";
                return Err(Refusal::new(Code::TransferNotCancelable, "transferId", text).into());
            }
        }
        stop(ctx, transfer, Status::Canceled, None).await
    }
}

/// Locks a transfer that the caller may see.
pub(super) async fn locked(ctx: &CommandContext<'_>, id: Uuid) -> Result<transfer::Model> {
    let select = transfer::Entity::by_id_within(ctx.access_scope, id).lock(LockType::NoKeyUpdate);
    select.one(ctx.tx).await?.ok_or_else(|| Refusal::not_found("transferId").into())
}

/// Returns whether a transfer can be canceled, as far as its status decides.
pub const fn can_cancel(transfer: &transfer::Model) -> bool {
    match transfer.direction {
        Direction::Deposit => matches!(transfer.status, Status::Pending) && transfer.submits_at.is_some(),
        Direction::Withdrawal => {
            matches!(transfer.status, Status::Pending | Status::Selling | Status::AwaitingSettlement)
        }
    }
}

/// Ends the transfers of a disabled bank account that were not sent, and does not present others again.
pub(super) async fn stop_unsent(ctx: &CommandContext<'_>, bank_account_id: Uuid) -> Result<()> {
    let unsent = transfer::Entity::find()
        .filter(transfer::Column::BankAccountId.eq(bank_account_id))
        .filter(transfer::Entity::under_way())
        .filter(transfer::Column::Status.ne(Status::Submitted))
        .order_by_asc(transfer::Column::Id);
    for id in ids(ctx, unsent).await? {
        let Some(transfer) = still_unsent(ctx, id).await? else { continue };
        if transfer.status == Status::Returned {
            let mut row: transfer::ActiveModel = transfer.into();
            row.submits_at = Set(None);
            ctx.tx.update(row).await?;
        } else {
            stop(ctx, transfer, Status::Failed, Some(Failure::BankAccountDisabled)).await?;
        }
    }
    Ok(())
}

/// Returns the ids of these transfers, in their order.
pub(super) async fn ids(ctx: &CommandContext<'_>, select: Select<transfer::Entity>) -> Result<Vec<Uuid>> {
    Ok(select.select_only().column(transfer::Column::Id).into_tuple::<Uuid>().all(ctx.tx).await?)
}

/// Returns a transfer that waits to be sent, as it is now: one that ends can have ended others.
pub(super) async fn still_unsent(ctx: &CommandContext<'_>, id: Uuid) -> Result<Option<transfer::Model>> {
    let found = ctx.tx.row::<transfer::Entity>(id).await?;
    Ok(found.filter(|found| found.is_under_way() && found.status != Status::Submitted))
}

/// Ends a transfer that was not sent to the bank, and undoes its postings.
async fn stop(
    ctx: &CommandContext<'_>,
    transfer: transfer::Model,
    to: Status,
    failure: Option<Failure>,
) -> Result<transfer::Model> {
    if transfer.direction == Direction::Withdrawal {
        return withdrawals::stop(ctx, transfer, to, failure).await;
    }
    let instant = transfer.instant_credit();
    if instant.is_positive() && to == Status::Failed {
        returns::freeze_for_free_riding(ctx, &transfer).await?;
    }
    let transfer = end(ctx, transfer, to, failure).await?;
    let mut event = ctx.event();
    returns::undo_unsettled(ctx, &mut event, &transfer, instant).await?;
    let recorded = if to == Status::Canceled { Event::DepositCanceled } else { Event::DepositFailed };
    event.record(ctx.tx, recorded((&transfer).into())).await?;
    Ok(transfer)
}

/// Changes the row of a transfer that ends before it is sent to the bank.
pub(super) async fn end(
    ctx: &CommandContext<'_>,
    transfer: transfer::Model,
    to: Status,
    failure: Option<Failure>,
) -> Result<transfer::Model> {
    ctx.unschedule::<SubmitTransfer>(transfer.id).await?;
    let mut row: transfer::ActiveModel = transfer.into();
    row.status = Set(to);
    row.failure = Set(failure);
    row.submits_at = Set(None);
    row.ended_at = Set(Some(ctx.now));
    ctx.tx.update(row).await
}

/// Returns the date in New York of a time, if there is one.
pub(super) fn date_of(time: Option<DateTime<Utc>>) -> Option<NaiveDate> {
    time.map(calendar::new_york_date)
}

/// Transfers are visible to those who see their brokerage account.
impl Visible for transfer::Entity {
    const ID: transfer::Column = transfer::Column::Id;
    const OWNER: Owner<transfer::Column> =
        Owner::of::<account::Entity>(transfer::Column::PartnerId, transfer::Column::AccountId);
}

/// Returns the transfer with this id if the caller may see it. Requires scope `read`.
pub async fn find(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    id: Uuid,
) -> Result<Option<transfer::Model>> {
    Ok(transfer::Entity::by_id_within(transfer::Entity::access(actor)?, id).one(connection).await?)
}

/// Returns a page of the transfers that the caller may see and that match all filters. Requires scope `read`.
pub async fn list(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    page: &SortedPage<transfer::Column>,
    filters: &[Filter],
) -> Result<Slice<transfer::Model>> {
    rows::page::<transfer::Entity>(connection, transfer::Entity::access(actor)?, page, filters).await
}

/// Returns the transfer in this direction with this id if the caller may see it. Requires scope `read`.
pub async fn find_directed(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    direction: Direction,
    id: Uuid,
) -> Result<Option<transfer::Model>> {
    Ok(find(connection, actor, id).await?.filter(|transfer| transfer.direction == direction))
}
