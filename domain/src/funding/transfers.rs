//! ACH deposits, from the request to settled cash.

use super::bank_accounts;
use crate::{
    Actor, Error, Refusal, Result, Scope, Visible, accounts,
    kernel::{
        calendar,
        command::{Command, CommandContext},
        db::WriteTransaction,
        events::Event,
        ledger::{Entry, USD},
        lists::{Filter, SortedPage},
        pages::Slice,
        partner_settings::PartnerSettings,
        rows,
        scheduler::Due,
        visible::Owner,
    },
    providers::Providers,
};
use entity::{
    Kind, Money, account,
    ledger_account::LedgerKind,
    partner::Mode,
    timer::TimerKind,
    transfer::{self, Direction, Status},
};
use sea_orm::{ActiveValue::Set, ConnectionTrait};
use serde::Serialize;
use uuid::Uuid;

/// Creates a deposit.
#[derive(Clone, Debug, Serialize)]
pub struct CreateDeposit {
    pub account_id: Uuid,
    pub bank_account_id: Uuid,
    pub amount: Money,
}

/// Pulls money from a bank account of an account's owner into the account; each owner of a joint account may
/// pay in. Requires scope `transfer`. A signed-in user may only use their own bank accounts.
///
/// The amount is in US dollars, above zero. It is `pending` and not usable as cash until the debit settles at
/// 08:30 New York time on the next banking day (documented: settled in T+1 days).
impl Command for CreateDeposit {
    const NAME: &'static str = "deposit.create";
    const SCOPE: Scope = Scope::Transfer;
    const FOR_ONESELF: bool = true;
    type Output = transfer::Model;

    fn check(&self, _: Mode) -> Result<()> {
        if !self.amount.is_positive() {
            return Err(Refusal::invalid("amount", "must be above zero").into());
        }
        check_limit(self.amount, PartnerSettings::MAX_DEPOSIT)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<transfer::Model> {
        let account = accounts::usable(ctx.tx, ctx.access_scope, self.account_id).await?;
        check_limit(self.amount, ctx.settings()?.deposit_limit)?;
        let payers = accounts::owners(&account).filter(|owner| ctx.access_scope.covers(*owner));
        let bank_account =
            bank_accounts::of_users(ctx.tx, ctx.access_scope, payers, self.bank_account_id).await?;
        let rail = match ctx.partner.mode {
            Mode::Sandbox => &ctx.app.feature::<Providers>().sandbox_ach,
            Mode::Live => ctx
                .app
                .feature::<Providers>()
                .live_ach
                .as_ref()
                .ok_or(Error::Unavailable("No ACH rail is configured for live partners."))?,
        };
        let settles_at = rail.debit_settles_at(ctx.now);
        let transfer = transfer::Model {
            id: ctx.app.ids.next(Kind::Transfer),
            partner_id: ctx.partner.id,
            account_id: account.id,
            bank_account_id: bank_account.id,
            direction: Direction::Deposit,
            amount: self.amount,
            status: Status::Pending,
            expected_on: calendar::new_york_date(settles_at),
            created_at: ctx.now,
            settled_at: None,
        };
        ctx.tx.insert(&transfer).await;
        ctx.schedule::<SettleDeposit>(transfer.id, settles_at).await;
        let mut event = ctx.event();
        let mut entry = Entry::default();
        let [in_transit, pending] = ctx
            .ledger_accounts([
                ctx.house_account(LedgerKind::BankAchInTransit, USD),
                (account.id, LedgerKind::PendingDeposit, USD),
            ])
            .await?;
        entry.post(&in_transit, &pending, transfer.amount.units());
        entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
        event.record(ctx.tx, Event::DepositPending((&transfer).into())).await?;
        Ok(transfer)
    }
}

fn check_limit(amount: Money, limit: Money) -> Result<()> {
    if amount > limit {
        return Err(Refusal::invalid("amount", format!("must be at most {limit}")).into());
    }
    Ok(())
}

/// Settles a pending deposit: its money becomes cash. Does nothing if the deposit is not pending.
pub struct SettleDeposit;

impl Due for SettleDeposit {
    const KIND: TimerKind = TimerKind::DepositSettle;

    async fn prefetch(tx: &WriteTransaction, transfer_ids: &[Uuid]) -> Result<()> {
        tx.prefetch::<transfer::Entity>(transfer_ids).await
    }

    async fn run(ctx: &CommandContext<'_>, transfer_id: Uuid) -> Result<()> {
        let transfer = ctx.tx.row::<transfer::Entity>(transfer_id).await?;
        let Some(transfer) = transfer.filter(|transfer| transfer.status == Status::Pending) else {
            return Ok(());
        };
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
        entry.post(&fbo, &in_transit, transfer.amount.units()).post(&pending, &cash, transfer.amount.units());
        entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
        event.record(ctx.tx, Event::DepositSettled((&transfer).into())).await
    }
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

/// Returns the deposit with this id if the caller may see it. Requires scope `read`.
pub async fn find_deposit(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    id: Uuid,
) -> Result<Option<transfer::Model>> {
    Ok(find(connection, actor, id).await?.filter(|transfer| transfer.direction == Direction::Deposit))
}
