//! Paying and reinvesting dividends.

use super::processing::applied;
use crate::{
    Error, Result,
    kernel::{
        calendar,
        command::CommandContext,
        ledger::{Entry, USD},
        scheduler::Due,
    },
    trading::{lots::LotChoice, market, orders::PlaceOrder, receivables},
};
use chrono::{DateTime, NaiveDate, Utc};
use entity::{
    account::{self, DividendOption},
    corporate_action, entitlement,
    ledger_account::LedgerKind,
    order::{OrderKind, Side, TimeInForce},
    timer::TimerKind,
};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

/// Returns when the dividends of a day are paid: with the settlements, at 08:30 in New York.
pub(super) fn paid_at(day: NaiveDate) -> DateTime<Utc> {
    calendar::at_new_york(day, 8, 30)
}

/// Pays a dividend into the cash of its account, even if the account is frozen, and schedules its reinvestment if the
/// account reinvests dividends. It repays first what the account owes. Does nothing if it was paid.
pub struct PayDividend;

impl Due for PayDividend {
    const KIND: TimerKind = TimerKind::DividendPay;

    async fn run(ctx: &CommandContext<'_>, entitlement_id: Uuid) -> Result<()> {
        let entitlement = ctx.tx.row::<entitlement::Entity>(entitlement_id).await?;
        let unpaid = |entitlement: &entitlement::Model| entitlement.applied_at.is_none();
        let Some(entitlement) = entitlement.filter(unpaid) else { return Ok(()) };
        let action = ctx.tx.row::<corporate_action::Entity>(entitlement.corporate_action_id).await?;
        let action = action.ok_or_else(|| Error::broken("an entitlement has no corporate action"))?;
        let account = ctx.tx.row::<account::Entity>(entitlement.account_id).await?;
        let mut event = ctx.event();
        let mut entry = Entry::default();
        let [cash, fbo] = ctx
            .ledger_accounts([
                (entitlement.account_id, LedgerKind::Cash, USD),
                ctx.house_account(LedgerKind::BankFbo, USD),
            ])
            .await?;
        let amount = entitlement.cash;
        entry.post(&fbo, &cash, amount.units());
        entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
        if amount.is_positive() {
            receivables::repay_now(ctx, &mut event, entitlement.account_id).await?;
        }
        applied(ctx, entitlement, &action, None, amount, event).await?;
        if account.is_some_and(|account| account.dividend_option == DividendOption::Reinvest) {
            ctx.schedule::<ReinvestDividend>(entitlement_id, ctx.now).await;
        }
        Ok(())
    }
}

/// Places a market order for the amount of a dividend when the market is open. The dividend stays in cash if the order
/// is refused, for example because the account is frozen or the cash was spent, or repaid what
/// the account owes.
pub struct ReinvestDividend;

impl Due for ReinvestDividend {
    const KIND: TimerKind = TimerKind::DividendReinvest;

    async fn run(ctx: &CommandContext<'_>, entitlement_id: Uuid) -> Result<()> {
        let entitlement = ctx.tx.row::<entitlement::Entity>(entitlement_id).await?;
        let open = |entitlement: &entitlement::Model| entitlement.reinvestment_id.is_none();
        let Some(entitlement) = entitlement.filter(open) else { return Ok(()) };
        let hours = market::hours(ctx.partner.market_hours, ctx.now);
        if !hours.is_open {
            if let Some(opens_at) = hours.next_open_at {
                ctx.schedule::<Self>(entitlement_id, opens_at).await;
            }
            return Ok(());
        }
        let place = PlaceOrder {
            account_id: Some(entitlement.account_id),
            symbol: entitlement.instrument_id.to_string(),
            side: Side::Buy,
            kind: OrderKind::Market,
            quantity: None,
            notional: Some(entitlement.cash),
            limit_price: None,
            stop_price: None,
            time_in_force: TimeInForce::Day,
            lots: LotChoice::default(),
        };
        let decision = match place.decide(ctx).await {
            Ok(decision) => decision,
            Err(Error::Refused(refusal)) => {
                tracing::info!(code = refusal.code.name(), "a dividend was not reinvested");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let order = place.accept(ctx, decision).await?;
        let mut row: entitlement::ActiveModel = entitlement.into();
        row.reinvestment_id = Set(Some(order.id));
        ctx.tx.update(row).await?;
        Ok(())
    }
}
