//! The ex-date: which accounts a corporate action concerns, and what becomes of their orders and shares.

use super::{PayDividend, dividends, rules, rules::Adjusted, splits};
use crate::{
    Error, Result,
    kernel::{
        command::CommandContext,
        events::{EntitlementState, Event},
        scheduler::Due,
    },
    trading::{
        executions::Working,
        instruments, matching,
        venue::{CancelReply, Paper, Venue},
    },
};
use chrono::{DateTime, Utc};
use entity::{
    Kind, Money, Quantity,
    corporate_action::{self, ActionKind},
    entitlement,
    order::{self, Status},
    position,
    timer::TimerKind,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::LockType,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Records the accounts that hold shares of the instrument, with their quantities, and those with open orders, and
/// lets the action be applied to each of them. A new symbol is in force from then on.
pub struct ProcessCorporateAction;

impl Due for ProcessCorporateAction {
    const KIND: TimerKind = TimerKind::CorporateActionProcess;

    async fn run(ctx: &CommandContext<'_>, action_id: Uuid) -> Result<()> {
        let action = ctx.tx.row::<corporate_action::Entity>(action_id).await?;
        let Some(action) = action.filter(|action| action.processed_at.is_none()) else { return Ok(()) };
        for (account_id, quantity) in concerned(ctx, &action).await? {
            let entitlement = entitlement::Model {
                id: ctx.app.ids.next(Kind::Entitlement),
                partner_id: ctx.partner.id,
                account_id,
                corporate_action_id: action.id,
                instrument_id: action.instrument_id,
                quantity,
                new_quantity: None,
                cash: Money::ZERO,
                applied_at: None,
                reinvestment_id: None,
            };
            ctx.tx.insert(&entitlement).await;
            ctx.schedule::<ApplyEntitlement>(entitlement.id, ctx.now).await;
        }
        if let Some(symbol) = &action.symbol {
            instruments::rename(ctx, action.instrument_id, symbol).await?;
        }
        let mut row: corporate_action::ActiveModel = action.into();
        row.processed_at = Set(Some(ctx.now));
        ctx.tx.update(row).await?;
        Ok(())
    }
}

/// Returns the accounts with shares, and those with only open orders for the instrument, with the number of shares.
async fn concerned(
    ctx: &CommandContext<'_>,
    action: &corporate_action::Model,
) -> Result<BTreeMap<Uuid, Quantity>> {
    let orders = order::Entity::find()
        .select_only()
        .column(order::Column::AccountId)
        .filter(order::Column::PartnerId.eq(ctx.partner.id))
        .filter(order::Column::InstrumentId.eq(action.instrument_id))
        .filter(order::Column::Status.is_in(OPEN))
        .into_tuple::<Uuid>()
        .all(ctx.tx)
        .await?;
    let positions = position::Entity::find()
        .select_only()
        .columns([position::Column::AccountId, position::Column::Quantity])
        .filter(position::Column::PartnerId.eq(ctx.partner.id))
        .filter(position::Column::InstrumentId.eq(action.instrument_id))
        .filter(position::Column::Quantity.gt(0_i64))
        .into_tuple::<(Uuid, Quantity)>()
        .all(ctx.tx)
        .await?;
    let mut found: BTreeMap<_, _> =
        orders.into_iter().map(|account_id| (account_id, Quantity::ZERO)).collect();
    found.extend(positions);
    Ok(found)
}

const OPEN: [Status; 3] = [Status::Accepted, Status::New, Status::PartiallyFilled];

/// Applies a corporate action to one account on the ex-date, in one transaction: adjusts its open orders, records its
/// dividend, and splits its shares.
pub struct ApplyEntitlement;

impl Due for ApplyEntitlement {
    const KIND: TimerKind = TimerKind::EntitlementApply;

    async fn run(ctx: &CommandContext<'_>, entitlement_id: Uuid) -> Result<()> {
        let Some(entitlement) = ctx.tx.row::<entitlement::Entity>(entitlement_id).await? else {
            return Ok(());
        };
        if entitlement.applied_at.is_some() {
            return Ok(());
        }
        let action = ctx.tx.row::<corporate_action::Entity>(entitlement.corporate_action_id).await?;
        let action = action.ok_or_else(|| Error::broken("an entitlement has no corporate action"))?;
        let orders = open_orders(ctx, &entitlement, action.processed_at.unwrap_or(ctx.now)).await?;
        // Bars of the days before are compared with the orders as they were then.
        if let Some(first) = orders.first()
            && matching::run_bars(ctx, first).await?
        {
            ctx.schedule::<Self>(entitlement_id, ctx.now).await;
            return Ok(());
        }
        match action.kind {
            ActionKind::CashDividend => {
                adjust_orders(ctx, &action, &orders).await?;
                record_dividend(ctx, &action, entitlement).await
            }
            ActionKind::Split => {
                splits::apply(ctx, &action, entitlement).await?;
                adjust_orders(ctx, &action, &orders).await
            }
            ActionKind::ReverseSplit => {
                adjust_orders(ctx, &action, &orders).await?;
                splits::apply(ctx, &action, entitlement).await
            }
            ActionKind::SymbolChange => {
                let quantity = entitlement.quantity;
                applied(ctx, entitlement, &action, Some(quantity), Money::ZERO, ctx.event()).await
            }
        }
    }
}

/// Locks and returns the account's open orders for the instrument from before the ex-date, in the order of their ids.
async fn open_orders(
    ctx: &CommandContext<'_>,
    entitlement: &entitlement::Model,
    before: DateTime<Utc>,
) -> Result<Vec<order::Model>> {
    Ok(order::Entity::find()
        .filter(order::Column::AccountId.eq(entitlement.account_id))
        .filter(order::Column::InstrumentId.eq(entitlement.instrument_id))
        .filter(order::Column::Status.is_in(OPEN))
        .filter(order::Column::SubmittedAt.lt(before))
        .order_by_asc(order::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(ctx.tx)
        .await?)
}

async fn adjust_orders(
    ctx: &CommandContext<'_>,
    action: &corporate_action::Model,
    orders: &[order::Model],
) -> Result<()> {
    for order in orders {
        let Some(mut working) = Working::lock(ctx, order.id).await? else { continue };
        if !working.order.status.is_open() {
            continue;
        }
        let symbol = &working.instrument.symbol;
        let adjusted = match (action.per_share, action.new_shares.zip(action.old_shares)) {
            _ if action.kind == ActionKind::ReverseSplit => Adjusted::Canceled,
            (Some(per_share), _) => rules::on_dividend(&working.order, symbol, per_share),
            (_, Some((new, old))) => rules::on_split(&working.order, symbol, new, old),
            (None, None) => Adjusted::Unchanged,
        };
        match adjusted {
            Adjusted::Unchanged => {}
            Adjusted::To(order) => working.adjust(ctx, *order).await?,
            Adjusted::Canceled => match Paper.cancel(ctx, &working.order).await? {
                CancelReply::Canceled => working.end(ctx, Status::Canceled, None).await?,
                CancelReply::TooLate => {}
            },
        }
    }
    Ok(())
}

/// Records the dividend of an account, and when it is paid. An account without shares gets none.
async fn record_dividend(
    ctx: &CommandContext<'_>,
    action: &corporate_action::Model,
    entitlement: entitlement::Model,
) -> Result<()> {
    let per_share = action.per_share.ok_or_else(|| Error::broken("a dividend has no amount"))?;
    let cash = Money::per_share(entitlement.quantity, per_share).ok_or_else(splits::too_large)?;
    if !cash.is_positive() {
        return applied(ctx, entitlement, action, None, Money::ZERO, ctx.event()).await;
    }
    let pay_on = action.pay_on.ok_or_else(|| Error::broken("a dividend has no pay date"))?;
    ctx.schedule::<PayDividend>(entitlement.id, dividends::paid_at(pay_on)).await;
    let mut row: entitlement::ActiveModel = entitlement.into();
    row.cash = Set(cash);
    ctx.tx.update(row).await?;
    Ok(())
}

/// Marks an entitlement as applied and records the event, which accounts without shares do not get.
pub(super) async fn applied(
    ctx: &CommandContext<'_>,
    mut entitlement: entitlement::Model,
    action: &corporate_action::Model,
    new_quantity: Option<Quantity>,
    cash: Money,
    event: crate::kernel::events::EventBuilder,
) -> Result<()> {
    let mut row: entitlement::ActiveModel = entitlement.clone().into();
    entitlement.new_quantity = new_quantity;
    entitlement.cash = cash;
    row.quantity = Set(entitlement.quantity);
    row.new_quantity = Set(new_quantity);
    row.cash = Set(cash);
    row.applied_at = Set(Some(ctx.now));
    ctx.tx.update(row).await?;
    if !entitlement.quantity.is_positive() {
        return Ok(());
    }
    event.record(ctx.tx, Event::CorporateActionApplied(EntitlementState::of(&entitlement, action))).await
}
