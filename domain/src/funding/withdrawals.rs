//! ACH withdrawals: from cash, or with the sale of shares.

pub mod sales;

use super::{bank_accounts, limits, transfers};
use crate::{
    Code, Error, Refusal, Result, Scope, accounts,
    kernel::{
        calendar, clock,
        command::{Command, CommandContext},
        events::{Event, EventBuilder},
        ledger::{self, Entry, USD},
        partner_settings::PartnerSettings,
        scheduler::Due,
    },
    trading::{
        balances, market,
        orders::{self, raising},
        receivables,
    },
};
use chrono::{DateTime, Utc};
use entity::{
    Money, fill,
    ledger_account::{self, LedgerKind},
    order::{self, Side},
    partner::Mode,
    timer::TimerKind,
    transfer::{self, Direction, Failure, Status},
};
use sales::ProRata;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use uuid::Uuid;

/// Creates a withdrawal.
#[derive(Clone, Debug, Serialize)]
pub struct CreateWithdrawal {
    pub account_id: Uuid,
    pub bank_account_id: Uuid,
    pub amount: Money,
}

/// Pays money from an account into a bank account of one of its owners. Requires scope `transfer`. A signed-in user
/// may only use their own bank accounts.
///
/// The amount is in US dollars, above zero. It is taken from settled cash, then from proceeds of sales that have not
/// settled, and then shares are sold (documented: this triggers sales): at once if the market is open, otherwise when
/// it opens; of each position in proportion to its value, lots by the account's method. The cash is set aside at once.
///
/// From cash, the money is in the bank account three banking days after the request; with sales it is sent when they
/// settle and arrives two banking days later (documented: 3 to 5 business days). A withdrawal of more than 90 % of the
/// total balance pays what its sales raise if prices fall meanwhile (documented), and never more than the amount; so
/// does one that sells more than 90 % of the value of the shares that no open order holds. Other withdrawals sell again
/// until the amount is raised or nothing is left to sell. All sell again what was not sold when the market closed. If
/// the account is not active when the withdrawal is next due, it fails, and its money is put back.
///
/// # Errors
/// `INSUFFICIENT_FUNDS` above the total balance, of which deposits that have not settled, what open orders hold, and
/// what earlier withdrawals have still to raise cannot be withdrawn; `LIMIT_EXCEEDED` also if the partner keeps new
/// deposits for the bank accounts that they came from; `BALANCE_OWED`; otherwise as for a deposit.
impl Command for CreateWithdrawal {
    const NAME: &'static str = "withdrawal.create";
    const SCOPE: Scope = Scope::Transfer;
    const FOR_ONESELF: bool = true;
    type Output = transfer::Model;

    fn check(&self, _: Mode) -> Result<()> {
        limits::check_amount(self.amount, PartnerSettings::MAX_WITHDRAWAL)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<transfer::Model> {
        let settings = ctx.settings()?;
        // Returns of deposits, and the sums of a day, are not to change meanwhile.
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let kinds = [LedgerKind::Cash, LedgerKind::Unsettled, LedgerKind::Receivable];
        let (account, books) =
            accounts::usable_with_cash(ctx.tx, ctx.access_scope, self.account_id, &kinds).await?;
        limits::check_limit(self.amount, settings.withdrawal_limit)?;
        let limit = settings.daily_withdrawal_limit;
        limits::check_day(ctx, account.id, Direction::Withdrawal, self.amount, limit).await?;
        let payees = accounts::owners(&account).filter(|owner| ctx.access_scope.covers(*owner));
        let bank_account =
            bank_accounts::of_users(ctx.tx, ctx.access_scope, payees, self.bank_account_id).await?;
        receivables::require_nothing_owed(&books)?;
        let days = settings.deposit_hold_days;
        let kept = limits::kept_for_others(ctx, account.id, bank_account.id, days).await?;
        let parts = self.parts(ctx, account.id, &books, (kept, days)).await?;
        let mut transfer = transfer::Model {
            set_aside: Money::from_units(parts.cash + parts.unsettled),
            unsettled_aside: Money::from_units(parts.unsettled),
            may_be_lower: parts.may_be_lower,
            ..transfers::new(ctx, account.id, bank_account.id, Direction::Withdrawal, self.amount)
        };
        let rail = transfers::rail(ctx)?;
        let starts_at = if parts.sales > 0 { next_open(ctx) } else { ctx.now };
        if parts.sales + parts.unsettled == 0 {
            transfer.submits_at = Some(rail.submits_at(ctx.now));
            transfer.settles_at = Some(rail.credit_settles_at(ctx.today()));
        } else {
            let own = (parts.sales > 0).then(|| calendar::trade_settles_at(starts_at));
            transfer.unsettled_until = last_settlement(ctx, account.id).await?;
            let sent_at = own.max(transfer.unsettled_until).unwrap_or(ctx.now);
            transfer.settles_at = Some(rail.credit_after_sales_settles_at(sent_at));
        }
        transfer.expected_on = transfers::date_of(transfer.settles_at).unwrap_or(transfer.expected_on);
        ctx.tx.insert(&transfer).await;
        transfers::schedule_submission(ctx, &transfer).await;
        if transfer.submits_at.is_none() {
            ctx.schedule::<ContinueWithdrawal>(transfer.id, starts_at).await;
        }
        let mut event = ctx.event();
        let mut entry = Entry::default();
        let [cash, unsettled] = ledger::of_kinds(&books, [LedgerKind::Cash, LedgerKind::Unsettled])?;
        let [pending] = ctx.ledger_accounts([(account.id, LedgerKind::PendingWithdrawal, USD)]).await?;
        entry.post(&cash, &pending, parts.cash).post(&unsettled, &pending, parts.unsettled);
        entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
        event.record(ctx.tx, Event::WithdrawalPending((&transfer).into())).await?;
        Ok(transfer)
    }
}

/// Where the money of a withdrawal comes from, in cents.
struct Parts {
    cash: i64,
    unsettled: i64,
    sales: i64,
    may_be_lower: bool,
}

impl CreateWithdrawal {
    async fn parts(
        &self,
        ctx: &CommandContext<'_>,
        account_id: Uuid,
        books: &[ledger_account::Model],
        (kept, days): (i64, i32),
    ) -> Result<Parts> {
        let amount = self.amount.units();
        let instant = limits::instant_credit(ctx, Some(account_id)).await?;
        let promised = limits::promised(ctx, account_id).await?;
        let balance = balances::of_accounts(ctx.app, ctx.tx, ctx.partner.id, &[account_id]).await?;
        let total =
            balance.get(&account_id).map_or(0, |balance| balance.total.units()).saturating_sub(promised);
        let most = total.saturating_sub(instant).max(0);
        if amount > most {
            return Err(insufficient(most, "").into());
        }
        if amount > most.saturating_sub(kept).max(0) {
            let most = Money::from_units(most.saturating_sub(kept).max(0));
            let text = format!(
                "At most ${most} can be withdrawn to this bank account: ${} that came from others less than {days} \
                 days ago can only go back to them.",
                Money::from_units(kept)
            );
            return Err(Refusal::new(Code::LimitExceeded, "amount", text).into());
        }
        let (cash, unsettled) = free(books, instant)?;
        let cash = amount.min(cash);
        let unsettled = (amount - cash).min(unsettled);
        let sales = amount - cash - unsettled;
        let mut may_be_lower = i128::from(amount) * 10 > i128::from(total) * 9;
        if sales > 0 {
            let worth = sales::worth(ctx, account_id).await?.saturating_sub(promised).max(0);
            if sales > worth {
                return Err(insufficient(amount - sales + worth, " Open orders hold the rest.").into());
            }
            may_be_lower |= i128::from(sales) * 10 > i128::from(worth) * 9;
        }
        Ok(Parts { cash, unsettled, sales, may_be_lower })
    }
}

/// Returns the settled cash, and the proceeds of sales that have not settled, that can be withdrawn. Deposits that
/// could be spent before they settle, and may be returned, cannot.
fn free(books: &[ledger_account::Model], instant: i64) -> Result<(i64, i64)> {
    let [cash, unsettled] = ledger::of_kinds(books, [LedgerKind::Cash, LedgerKind::Unsettled])?;
    Ok((cash.available().max(0), unsettled.available().saturating_sub(instant).max(0)))
}

fn insufficient(most: i64, why: &str) -> Refusal {
    let text = format!("At most ${} can be withdrawn.{why}", Money::from_units(most));
    Refusal::new(Code::InsufficientFunds, "amount", text)
}

/// Returns the current time while the market is open, otherwise when it next opens.
fn next_open(ctx: &CommandContext<'_>) -> DateTime<Utc> {
    let hours = market::hours(ctx.partner.market_hours, ctx.now);
    if hours.is_open { ctx.now } else { hours.next_open_at.unwrap_or(ctx.now) }
}

/// Returns when the last of the account's sales settles; none if all have.
async fn last_settlement(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<Option<DateTime<Utc>>> {
    let last = fill::Entity::find()
        .select_only()
        .column(fill::Column::SettlesAt)
        .filter(fill::Column::AccountId.eq(account_id))
        .filter(fill::Column::Side.eq(Side::Sell))
        .filter(fill::Column::SettledAt.is_null())
        .order_by_desc(fill::Column::SettlesAt)
        .limit(1);
    Ok(last.into_tuple::<DateTime<Utc>>().one(ctx.tx).await?)
}

/// Sells shares for a withdrawal, and lets it wait for settlement once its money is set aside. Runs when the market
/// opens for it, and whenever one of its sales has ended; does nothing while others are open.
pub struct ContinueWithdrawal;

impl Due for ContinueWithdrawal {
    const KIND: TimerKind = TimerKind::WithdrawalSell;

    async fn run(ctx: &CommandContext<'_>, transfer_id: Uuid) -> Result<()> {
        let transfer = ctx.tx.row::<transfer::Entity>(transfer_id).await?;
        let is_raising = |transfer: &transfer::Model| match transfer.status {
            Status::Pending => transfer.submits_at.is_none(),
            status => status == Status::Selling,
        };
        let Some(mut transfer) = transfer.filter(is_raising) else { return Ok(()) };
        if !may_pay_out(ctx, transfer.account_id).await? {
            stop(ctx, transfer, Status::Failed, Some(Failure::AccountNotActive)).await?;
            return Ok(());
        }
        let sales = raising::sales_for(ctx, transfer.id).await?;
        if sales.iter().any(|sale| sale.status.is_open()) {
            return Ok(());
        }
        let goes_on = sales.is_empty() || !transfer.may_be_lower || is_cut_short(&sales);
        if transfer.set_aside < transfer.amount && goes_on {
            transfer = set_cash_aside(ctx, transfer).await?;
            if transfer.set_aside < transfer.amount && sell(ctx, &transfer, &sales).await? {
                return Ok(());
            }
            transfer = ctx.tx.row::<transfer::Entity>(transfer.id).await?.unwrap_or(transfer);
            if !is_raising(&transfer) {
                return Ok(());
            }
        }
        if !transfer.set_aside.is_positive() {
            stop(ctx, transfer, Status::Failed, Some(Failure::NothingToPay)).await?;
            return Ok(());
        }
        await_settlement(ctx, transfer).await
    }
}

/// Returns whether money may leave an account: it is active, and its owners are approved.
pub(super) async fn may_pay_out(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<bool> {
    match accounts::usable(ctx.tx, ctx.access_scope, account_id).await {
        Err(Error::Refused(_)) => Ok(false),
        usable => usable.map(|_| true),
    }
}

/// Returns whether one of the last sales ended before all of its shares were sold: the market closed, or a corporate
/// action canceled it.
fn is_cut_short(sales: &[order::Model]) -> bool {
    let last = sales.iter().map(|sale| sale.submitted_at).max();
    let ended = |sale: &order::Model| matches!(sale.status, order::Status::Expired | order::Status::Canceled);
    sales.iter().any(|sale| ended(sale) && Some(sale.submitted_at) == last)
}

/// Sets aside cash that the account has by now.
async fn set_cash_aside(ctx: &CommandContext<'_>, transfer: transfer::Model) -> Result<transfer::Model> {
    let kinds = [LedgerKind::Cash, LedgerKind::Unsettled];
    let books = ledger::lock(ctx.tx, transfer.account_id, kinds).await?;
    let (cash, unsettled) = free(&books, limits::instant_credit(ctx, Some(transfer.account_id)).await?)?;
    let needed = transfer.amount.units() - transfer.set_aside.units();
    let cash = needed.min(cash);
    let unsettled = (needed - cash).min(unsettled);
    if cash + unsettled == 0 {
        return Ok(transfer);
    }
    let mut event = ctx.event();
    let mut entry = Entry::default();
    let [pending] = ctx.ledger_accounts([(transfer.account_id, LedgerKind::PendingWithdrawal, USD)]).await?;
    let [from_cash, from_unsettled] = &books;
    entry.post(from_cash, &pending, cash).post(from_unsettled, &pending, unsettled);
    entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
    let total = transfer.set_aside.units() + cash + unsettled;
    let of_unsettled = transfer.unsettled_aside.units() + unsettled;
    let until = if unsettled > 0 {
        last_settlement(ctx, transfer.account_id).await?
    } else {
        transfer.unsettled_until
    };
    let mut row: transfer::ActiveModel = transfer.into();
    row.status = Set(Status::Selling);
    row.set_aside = Set(Money::from_units(total));
    row.unsettled_aside = Set(Money::from_units(of_unsettled));
    row.unsettled_until = Set(until);
    let transfer = ctx.tx.update(row).await?;
    event.record(ctx.tx, Event::WithdrawalSelling((&transfer).into())).await?;
    Ok(transfer)
}

/// Sells shares for what is missing, or waits until the market opens; returns whether the withdrawal goes on later.
/// Shares whose sale was rejected are not sold again.
async fn sell(
    ctx: &CommandContext<'_>,
    transfer: &transfer::Model,
    earlier: &[order::Model],
) -> Result<bool> {
    let opens_at = next_open(ctx);
    let transfer = expect(ctx, transfer, opens_at).await?;
    if opens_at > ctx.now {
        ctx.schedule::<ContinueWithdrawal>(transfer.id, opens_at).await;
        return Ok(true);
    }
    let missing = Money::from_units(transfer.amount.units() - transfer.set_aside.units());
    let mut holdings = sales::holdings(ctx, transfer.account_id).await?;
    let is_rejected = |sale: &order::Model| sale.status == order::Status::Rejected;
    let rejected: Vec<Uuid> =
        earlier.iter().filter(|sale| is_rejected(sale)).map(|sale| sale.instrument_id).collect();
    holdings.retain(|held| !rejected.contains(&held.instrument_id));
    let chosen = sales::to_raise(&ProRata, &ctx.settings()?, missing, &holdings);
    if chosen.is_empty() {
        return Ok(false);
    }
    if transfer.status == Status::Pending {
        let mut row: transfer::ActiveModel = transfer.clone().into();
        row.status = Set(Status::Selling);
        let transfer = ctx.tx.update(row).await?;
        ctx.record(Event::WithdrawalSelling((&transfer).into())).await?;
    }
    let mut is_selling = false;
    for sale in chosen {
        is_selling |= raising::sell_for(ctx, &transfer, sale.instrument_id, sale.quantity).await?;
    }
    Ok(is_selling)
}

/// Changes the date on which a withdrawal is expected, if shares are sold later than was thought.
async fn expect(
    ctx: &CommandContext<'_>,
    transfer: &transfer::Model,
    sold_at: DateTime<Utc>,
) -> Result<transfer::Model> {
    let own = calendar::trade_settles_at(sold_at);
    let sent_at = last_settlement(ctx, transfer.account_id).await?.map_or(own, |last| last.max(own));
    let settles_at = transfers::rail(ctx)?.credit_after_sales_settles_at(sent_at);
    if transfer.settles_at == Some(settles_at) {
        return Ok(transfer.clone());
    }
    let mut row: transfer::ActiveModel = transfer.clone().into();
    row.settles_at = Set(Some(settles_at));
    row.expected_on = Set(calendar::new_york_date(settles_at));
    ctx.tx.update(row).await
}

/// Lets a withdrawal with all of its money wait until its sales have settled, when it is sent.
async fn await_settlement(ctx: &CommandContext<'_>, transfer: transfer::Model) -> Result<()> {
    let rail = transfers::rail(ctx)?;
    let (submits_at, settles_at) = match last_settlement(ctx, transfer.account_id).await? {
        Some(at) => (at, rail.credit_after_sales_settles_at(at)),
        None => (rail.submits_at(ctx.now), rail.credit_settles_at(ctx.today())),
    };
    let mut row: transfer::ActiveModel = transfer.into();
    row.status = Set(Status::AwaitingSettlement);
    row.submits_at = Set(Some(submits_at));
    row.settles_at = Set(Some(settles_at));
    row.expected_on = Set(calendar::new_york_date(settles_at));
    let transfer = ctx.tx.update(row).await?;
    transfers::schedule_submission(ctx, &transfer).await;
    ctx.record(Event::WithdrawalAwaitingSettlement((&transfer).into())).await
}

/// Completes a withdrawal that was sent to the bank. Does nothing if it was returned meanwhile.
pub struct CompleteWithdrawal;

impl Due for CompleteWithdrawal {
    const KIND: TimerKind = TimerKind::WithdrawalComplete;

    async fn run(ctx: &CommandContext<'_>, transfer_id: Uuid) -> Result<()> {
        let transfer = ctx.tx.row::<transfer::Entity>(transfer_id).await?;
        let Some(transfer) = transfer.filter(|transfer| transfer.status == Status::Submitted) else {
            return Ok(());
        };
        let mut row: transfer::ActiveModel = transfer.into();
        row.status = Set(Status::Completed);
        row.settled_at = Set(Some(ctx.now));
        let transfer = ctx.tx.update(row).await?;
        let mut event = ctx.event();
        let mut entry = Entry::default();
        let [fbo, pending] = ctx
            .ledger_accounts([
                ctx.house_account(LedgerKind::BankFbo, USD),
                (transfer.account_id, LedgerKind::PendingWithdrawal, USD),
            ])
            .await?;
        entry.post(&pending, &fbo, transfer.set_aside.units());
        entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
        transfers::plan_return(ctx, &transfer).await?;
        event.record(ctx.tx, Event::WithdrawalCompleted((&transfer).into())).await
    }
}

/// Ends a withdrawal that was not sent to the bank.
pub(super) async fn stop(
    ctx: &CommandContext<'_>,
    transfer: transfer::Model,
    to: Status,
    failure: Option<Failure>,
) -> Result<transfer::Model> {
    let transfer = transfers::end(ctx, transfer, to, failure).await?;
    let mut event = ctx.event();
    put_back(ctx, &mut event, &transfer).await?;
    let recorded = if to == Status::Canceled { Event::WithdrawalCanceled } else { Event::WithdrawalFailed };
    event.record(ctx.tx, recorded((&transfer).into())).await?;
    Ok(transfer)
}

/// Puts the money of a withdrawal that was not sent back where it was: what has not settled to the unsettled proceeds,
/// the rest to cash. Its open sales are canceled.
async fn put_back(
    ctx: &CommandContext<'_>,
    event: &mut EventBuilder,
    transfer: &transfer::Model,
) -> Result<()> {
    raising::cancel_sales_for(ctx, transfer.id).await?;
    let account_id = transfer.account_id;
    let amount = transfer.set_aside.units();
    let kinds = [LedgerKind::Cash, LedgerKind::Unsettled];
    let [cash, unsettled] = ledger::lock(ctx.tx, account_id, kinds).await?;
    let unsettled_back = unsettled_part(ctx, transfer, &unsettled).await?.min(amount);
    let [pending] = ctx.ledger_accounts([(account_id, LedgerKind::PendingWithdrawal, USD)]).await?;
    let mut entry = Entry::default();
    entry.post(&pending, &unsettled, unsettled_back).post(&pending, &cash, amount - unsettled_back);
    entry.write_later(ctx.tx, ctx.app.ids, event).await?;
    receivables::repay_now(ctx, event, account_id).await
}

/// Returns the cents that a withdrawal has set aside and that have not settled. Those of its own sales are no longer
/// set aside.
///
/// Of other proceeds that it took, some may have settled since. What has not is at most what waits for settlement, less
/// the unsettled proceeds that the account still has and no order holds.
async fn unsettled_part(
    ctx: &CommandContext<'_>,
    transfer: &transfer::Model,
    unsettled: &ledger_account::Model,
) -> Result<i64> {
    let taken = match transfer.unsettled_until {
        Some(until) if until > ctx.now && transfer.unsettled_aside.is_positive() => {
            let then = orders::unsettled_until(ctx, transfer.account_id, until).await?;
            let missing = orders::waiting(ctx, transfer.account_id).await? - unsettled.available();
            transfer.unsettled_aside.units().min(then).min(missing).max(0)
        }
        _ => 0,
    };
    Ok(taken + raising::give_back(ctx, transfer.id).await?)
}

/// Cancels the withdrawals of an account that were not sent, because a deposit was returned and their money is needed.
pub(super) async fn stop_unsent(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<()> {
    let unsent = transfer::Entity::find()
        .filter(transfer::Column::AccountId.eq(account_id))
        .filter(transfer::Column::Direction.eq(Direction::Withdrawal))
        .filter(transfer::Column::Status.is_in([
            Status::Pending,
            Status::Selling,
            Status::AwaitingSettlement,
        ]))
        .order_by_asc(transfer::Column::Id);
    for id in transfers::ids(ctx, unsent).await? {
        if let Some(transfer) = transfers::still_unsent(ctx, id).await? {
            stop(ctx, transfer, Status::Failed, Some(Failure::DepositReturned)).await?;
        }
    }
    Ok(())
}

/// Puts the money of a withdrawal that the bank returned back to cash. An account that was closed meanwhile is frozen,
/// so that the operator can unfreeze it and pay the money out again.
pub(super) async fn returned(
    ctx: &CommandContext<'_>,
    event: &mut EventBuilder,
    transfer: &transfer::Model,
    before: Status,
) -> Result<()> {
    let reason = "A withdrawal was returned after the account was closed.";
    accounts::freeze_closed(ctx, transfer.account_id, reason).await?;
    let [fbo, pending, cash] = ctx
        .ledger_accounts([
            ctx.house_account(LedgerKind::BankFbo, USD),
            (transfer.account_id, LedgerKind::PendingWithdrawal, USD),
            (transfer.account_id, LedgerKind::Cash, USD),
        ])
        .await?;
    let mut entry = Entry::default();
    let from = if before == Status::Completed { &fbo } else { &pending };
    entry.post(from, &cash, transfer.set_aside.units());
    entry.write_later(ctx.tx, ctx.app.ids, event).await?;
    receivables::repay_now(ctx, event, transfer.account_id).await
}
