//! ACH deposits, from the request to settled cash.

use super::{bank_accounts, limits, transfers};
use crate::{
    Result, Scope, accounts,
    kernel::{
        calendar, clock,
        command::{Command, CommandContext},
        db::WriteTransaction,
        events::Event,
        ledger::{self, Entry, USD},
        partner_settings::PartnerSettings,
        scheduler::Due,
    },
    trading::{orders, receivables},
};
use entity::{
    Money,
    ledger_account::LedgerKind,
    partner::Mode,
    timer::TimerKind,
    transfer::{self, Direction, Status},
};
use sea_orm::ActiveValue::Set;
use serde::Serialize;
use uuid::Uuid;

/// Creates a deposit.
#[derive(Clone, Debug, Serialize)]
pub struct CreateDeposit {
    pub account_id: Uuid,
    pub bank_account_id: Uuid,
    pub amount: Money,
    /// Whether the money is not to be invested before it has settled. Left out of the fingerprint if not, as it once
    /// was of all.
    #[serde(skip_serializing_if = "is_false")]
    pub invest_when_settled: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Pulls money from a bank account of an account's owner into the account; each owner of a joint account may
/// pay in. Requires scope `transfer`. A signed-in user may only use their own bank accounts.
///
/// The amount is in US dollars, above zero. The deposit is `pending` until it is sent to the bank at the end of the
/// day in New York, and can be canceled until then. It settles at 08:30 New York time on the next banking day
/// (documented: settled in T+1 days). Until it has settled it is not withdrawable; a part of it can buy shares at once
/// (documented: instantly available) as far as the partner's limits leave room, unless it is to be invested when it
/// has settled, or the account owes money.
///
/// # Errors
/// `INVALID` for an amount that is not above zero or above the limit of one deposit, `LIMIT_EXCEEDED` above that of
/// the day, `NOT_FOUND` for an account or bank account that the caller does not see or that was removed,
/// `BANK_ACCOUNT_DISABLED`, `KYC_NOT_APPROVED`, `ACCOUNT_NOT_ACTIVE`.
impl Command for CreateDeposit {
    const NAME: &'static str = "deposit.create";
    const SCOPE: Scope = Scope::Transfer;
    const FOR_ONESELF: bool = true;
    type Output = transfer::Model;

    fn check(&self, _: Mode) -> Result<()> {
        limits::check_amount(self.amount, PartnerSettings::MAX_DEPOSIT)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<transfer::Model> {
        let settings = ctx.settings()?;
        if settings.daily_deposit_limit != PartnerSettings::MAX_DAILY || settings.instant_limit.is_positive()
        {
            // Sums of several deposits are compared with a limit.
            clock::locked(ctx.tx, ctx.partner.id).await?;
        }
        let account = accounts::usable(ctx.tx, ctx.access_scope, self.account_id).await?;
        limits::check_limit(self.amount, settings.deposit_limit)?;
        let limit = settings.daily_deposit_limit;
        limits::check_day(ctx, account.id, Direction::Deposit, self.amount, limit).await?;
        let payers = accounts::owners(&account).filter(|owner| ctx.access_scope.covers(*owner));
        let bank_account =
            bank_accounts::of_users(ctx.tx, ctx.access_scope, payers, self.bank_account_id).await?;
        let rail = transfers::rail(ctx)?;
        let settles_at = rail.debit_settles_at(ctx.today());
        let instant_amount = self.instant_amount(ctx, settings).await?;
        let transfer = transfer::Model {
            instant_amount,
            invest_when_settled: self.invest_when_settled,
            submits_at: Some(rail.submits_at(ctx.now)),
            settles_at: Some(settles_at),
            expected_on: calendar::new_york_date(settles_at),
            ..transfers::new(ctx, account.id, bank_account.id, Direction::Deposit, self.amount)
        };
        ctx.tx.insert(&transfer).await;
        transfers::schedule_submission(ctx, &transfer).await;
        let mut event = ctx.event();
        let mut entry = Entry::default();
        let [in_transit, pending, unsettled] = ctx
            .ledger_accounts([
                ctx.house_account(LedgerKind::BankAchInTransit, USD),
                (account.id, LedgerKind::PendingDeposit, USD),
                (account.id, LedgerKind::Unsettled, USD),
            ])
            .await?;
        let instant = instant_amount.units();
        entry.post(&in_transit, &pending, transfer.amount.units() - instant);
        entry.post(&in_transit, &unsettled, instant);
        entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
        event.record(ctx.tx, Event::DepositPending((&transfer).into())).await?;
        Ok(transfer)
    }
}

impl CreateDeposit {
    /// Returns the part that can be spent at once.
    async fn instant_amount(&self, ctx: &CommandContext<'_>, settings: PartnerSettings) -> Result<Money> {
        if self.invest_when_settled || !settings.instant_limit.is_positive() {
            return Ok(Money::ZERO);
        }
        let owed = ledger::lock_opened(ctx.tx, self.account_id, [LedgerKind::Receivable]).await?;
        if receivables::owed(&owed).is_positive() {
            return Ok(Money::ZERO);
        }
        let of_account = settings.account_instant_limit.units()
            - limits::instant_credit(ctx, Some(self.account_id)).await?;
        let of_all = settings.instant_limit.units() - limits::instant_credit(ctx, None).await?;
        Ok(Money::from_units(self.amount.units().min(of_account).min(of_all).max(0)))
    }
}

/// Settles a deposit that was sent to the bank: its money becomes cash, and repays what the account owes. Does nothing
/// if the deposit was returned meanwhile.
pub struct SettleDeposit;

impl Due for SettleDeposit {
    const KIND: TimerKind = TimerKind::DepositSettle;

    async fn prefetch(tx: &WriteTransaction, transfer_ids: &[Uuid]) -> Result<()> {
        tx.prefetch::<transfer::Entity>(transfer_ids).await
    }

    async fn run(ctx: &CommandContext<'_>, transfer_id: Uuid) -> Result<()> {
        let transfer = ctx.tx.row::<transfer::Entity>(transfer_id).await?;
        // Deposits from before they were sent to the bank separately are pending until they settle.
        let is_due = |transfer: &transfer::Model| match transfer.status {
            Status::Pending => transfer.settles_at.is_none(),
            Status::Submitted => transfer.settles_at.is_some_and(|at| at <= ctx.now),
            _ => false,
        };
        let Some(transfer) = transfer.filter(is_due) else { return Ok(()) };
        let instant = transfer.instant_credit().units();
        let mut row: transfer::ActiveModel = transfer.into();
        row.status = Set(Status::Settled);
        row.settled_at = Set(Some(ctx.now));
        let transfer = ctx.tx.update(row).await?;
        let mut event = ctx.event();
        let mut entry = Entry::default();
        let [fbo, in_transit, pending, cash] = ctx
            .ledger_accounts([
                ctx.house_account(LedgerKind::BankFbo, USD),
                ctx.house_account(LedgerKind::BankAchInTransit, USD),
                (transfer.account_id, LedgerKind::PendingDeposit, USD),
                (transfer.account_id, LedgerKind::Cash, USD),
            ])
            .await?;
        let amount = transfer.amount.units();
        entry.post(&fbo, &in_transit, amount).post(&pending, &cash, amount - instant);
        entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
        if instant > 0 {
            orders::release_proceeds(ctx, &mut event, transfer.account_id).await?;
        } else {
            receivables::repay_now(ctx, &mut event, transfer.account_id).await?;
        }
        transfers::plan_return(ctx, &transfer).await?;
        event.record(ctx.tx, Event::DepositSettled((&transfer).into())).await
    }
}
