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
use entity::{
    Kind, Money, Quantity, Rate, account,
    corporate_action::{self, ActionKind},
    entitlement,
    order::{self, Side, Status},
    position,
    timer::TimerKind,
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Records the accounts that hold shares of the instrument, with their quantities, and those with open orders, and
/// lets the action be applied to each of them. A new symbol is in force from then on. Dividends come before splits of
/// the same day.
pub struct ProcessCorporateAction;

impl Due for ProcessCorporateAction {
    const KIND: TimerKind = TimerKind::CorporateActionProcess;

    async fn run(ctx: &CommandContext<'_>, action_id: Uuid) -> Result<()> {
        let action = ctx.tx.row::<corporate_action::Entity>(action_id).await?;
        let Some(action) = action.filter(|action| action.processed_at.is_none()) else { return Ok(()) };
        // Trades by the bars of the days before come before what is recorded here.
        let instrument = instruments::existing(ctx.app, action.instrument_id).await?;
        if matching::run_bars(ctx, &instrument).await? {
            ctx.schedule::<Self>(action_id, ctx.now).await;
            return Ok(());
        }
        if action.kind != ActionKind::CashDividend {
            for dividend in waiting_dividends(ctx, &action).await? {
                record(ctx, dividend).await?;
            }
        }
        record(ctx, action).await
    }
}

/// Records who is entitled by an action, and schedules what it means for each account.
async fn record(ctx: &CommandContext<'_>, action: corporate_action::Model) -> Result<()> {
    let (accounts, last_order) = concerned(ctx, &action).await?;
    let processed_id = ctx.app.ids.next_after(Kind::CorporateAction, last_order);
    for (account_id, quantity) in accounts {
        let entitlement = entitled(ctx, &action, account_id, quantity);
        ctx.tx.insert(&entitlement).await;
        ctx.schedule::<ApplyEntitlement>(entitlement.id, ctx.now).await;
    }
    if let Some(symbol) = &action.symbol {
        instruments::rename(ctx, action.instrument_id, symbol).await?;
    }
    let mut row: corporate_action::ActiveModel = action.into();
    row.processed_at = Set(Some(ctx.now));
    row.processed_id = Set(Some(processed_id));
    ctx.tx.update(row).await?;
    Ok(())
}

fn entitled(
    ctx: &CommandContext<'_>,
    action: &corporate_action::Model,
    account_id: Uuid,
    quantity: Quantity,
) -> entitlement::Model {
    entitlement::Model {
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
    }
}

/// Applies to an order the dividends and splits that were recorded while another transaction was still placing it.
/// Nothing showed then that they concern its account, which had no shares and could only buy.
pub(in crate::trading) async fn catch_up(ctx: &CommandContext<'_>, working: &mut Working) -> Result<()> {
    use corporate_action::Column;
    let missed = corporate_action::Entity::find()
        .filter(Column::PartnerId.eq(ctx.partner.id))
        .filter(Column::InstrumentId.eq(working.order.instrument_id))
        .filter(Column::ProcessedId.gt(working.order.id))
        .filter(Column::Symbol.is_null())
        .order_by_asc(Column::ProcessedId)
        .all(ctx.tx)
        .await?;
    for action in missed {
        let known = entitlement::Entity::find()
            .filter(entitlement::Column::CorporateActionId.eq(action.id))
            .filter(entitlement::Column::AccountId.eq(working.order.account_id));
        if known.one(ctx.tx).await?.is_some() {
            continue;
        }
        let entitlement = entitled(ctx, &action, working.order.account_id, Quantity::ZERO);
        ctx.tx.insert(&entitlement::Model { applied_at: Some(ctx.now), ..entitlement }).await;
        let (order, symbol) = (&working.order, &working.instrument.symbol);
        let adjusted = match (action.kind, action.new_shares.zip(action.old_shares), action.per_share) {
            (ActionKind::ReverseSplit, ..) => Adjusted::Canceled,
            (_, Some(ratio), _) if order.side == Side::Buy => rules::on_split(order, symbol, ratio, None),
            (_, None, Some(per_share)) if is_before(order, &action) => {
                rules::on_dividend(order, symbol, per_share)
            }
            _ => Adjusted::Unchanged,
        };
        let held = Quantity::from_units(working.held());
        adjust(ctx, working, adjusted, held).await?;
        if !working.order.status.is_open() {
            break;
        }
    }
    Ok(())
}

/// Whether an order was placed before the ex-date of a dividend; later ones are without the dividend already.
fn is_before(order: &order::Model, dividend: &corporate_action::Model) -> bool {
    dividend.processed_at.is_none_or(|at| order.submitted_at < at)
}

/// Returns the dividends of the same instrument and ex-date that are not recorded yet. They are for each share before a
/// split of that day, so orders are reduced by them first, whichever was announced first.
async fn waiting_dividends(
    ctx: &CommandContext<'_>,
    action: &corporate_action::Model,
) -> Result<Vec<corporate_action::Model>> {
    use corporate_action::Column;
    Ok(corporate_action::Entity::find()
        .filter(Column::PartnerId.eq(ctx.partner.id))
        .filter(Column::InstrumentId.eq(action.instrument_id))
        .filter(Column::ExOn.eq(action.ex_on))
        .filter(Column::Kind.eq(ActionKind::CashDividend))
        .filter(Column::ProcessedAt.is_null())
        .order_by_asc(Column::Id)
        .all(ctx.tx)
        .await?)
}

/// Returns the accounts with shares, and those with only open orders for the instrument, with the number of shares; and
/// the greatest id of these orders, which another server may have generated by a clock that is ahead.
async fn concerned(
    ctx: &CommandContext<'_>,
    action: &corporate_action::Model,
) -> Result<(BTreeMap<Uuid, Quantity>, Option<Uuid>)> {
    let (mut found, mut last_order) = (BTreeMap::new(), None);
    for is_open in OPEN_BY_INDEX {
        let orders = order::Entity::find()
            .select_only()
            .columns([order::Column::AccountId, order::Column::Id])
            .filter(order::Column::PartnerId.eq(ctx.partner.id))
            .filter(order::Column::InstrumentId.eq(action.instrument_id))
            .filter(Expr::cust(is_open))
            .into_tuple::<(Uuid, Uuid)>()
            .all(ctx.tx)
            .await?;
        last_order = last_order.max(orders.iter().map(|(_, id)| *id).max());
        found.extend(orders.into_iter().map(|(account_id, _)| (account_id, Quantity::ZERO)));
    }
    let positions = position::Entity::find()
        .select_only()
        .columns([position::Column::AccountId, position::Column::Quantity])
        .filter(position::Column::PartnerId.eq(ctx.partner.id))
        .filter(position::Column::InstrumentId.eq(action.instrument_id))
        .filter(Expr::cust("quantity > 0"))
        .into_tuple::<(Uuid, Quantity)>()
        .all(ctx.tx)
        .await?;
    found.extend(positions);
    Ok((found, last_order))
}

/// Open orders, in the words of the partial indexes `orders_accepted` and `orders_open`.
const OPEN_BY_INDEX: [&str; 2] = ["status = 'accepted'", "status IN ('new', 'partially_filled')"];

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
        // Orders that are placed meanwhile wait, and are decided by the shares that the account has then.
        account::Entity::find_by_id(entitlement.account_id).lock(LockType::Update).one(ctx.tx).await?;
        match action.kind {
            ActionKind::CashDividend => {
                let per_share = action.per_share.ok_or_else(|| Error::broken("a dividend has no amount"))?;
                for mut working in open_orders(ctx, &entitlement).await? {
                    if !is_before(&working.order, &action) {
                        continue;
                    }
                    let symbol = &working.instrument.symbol;
                    let adjusted = rules::on_dividend(&working.order, symbol, per_share);
                    let shares = Quantity::from_units(working.held());
                    adjust(ctx, &mut working, adjusted, shares).await?;
                }
                record_dividend(ctx, &action, entitlement, per_share).await
            }
            ActionKind::Split | ActionKind::ReverseSplit => split(ctx, &action, entitlement).await,
            ActionKind::SymbolChange => {
                let quantity = entitlement.quantity;
                applied(ctx, entitlement, &action, Some(quantity), Money::ZERO, ctx.event()).await
            }
        }
    }
}

/// Locks and returns the account's open orders for the instrument, in the order of their ids.
async fn open_orders(ctx: &CommandContext<'_>, entitlement: &entitlement::Model) -> Result<Vec<Working>> {
    let ids = order::Entity::find()
        .select_only()
        .column(order::Column::Id)
        .filter(order::Column::AccountId.eq(entitlement.account_id))
        .filter(order::Column::InstrumentId.eq(entitlement.instrument_id))
        .filter(order::Column::Status.is_in(OPEN))
        .order_by_asc(order::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .into_tuple::<Uuid>()
        .all(ctx.tx)
        .await?;
    let mut orders = Vec::new();
    for id in ids {
        orders.extend(Working::lock(ctx, id).await?.filter(|working| working.order.status.is_open()));
    }
    Ok(orders)
}

/// Splits the shares of an account and adjusts or cancels the orders that were placed before the accounts were
/// recorded. Sales come to no more shares than the account has afterwards; later orders are reduced first.
async fn split(
    ctx: &CommandContext<'_>,
    action: &corporate_action::Model,
    entitlement: entitlement::Model,
) -> Result<()> {
    let ratio = action.new_shares.zip(action.old_shares);
    let ratio = ratio.ok_or_else(|| Error::broken("a split has no ratio"))?;
    let orders = open_orders(ctx, &entitlement).await?;
    let shares = splits::of(ctx, action, entitlement.account_id, ratio).await?;
    let are_fewer = shares.as_ref().is_some_and(splits::Shares::are_fewer);
    let mut left = shares.as_ref().map_or(Quantity::ZERO, |shares| shares.kept);
    let mut adjusted: Vec<_> = orders
        .into_iter()
        .map(|working| {
            let (order, symbol) = (&working.order, &working.instrument.symbol);
            // An order placed after the accounts were recorded has terms after the split; only what is left limits it.
            let is_later = action.processed_id.is_some_and(|id| order.id > id);
            let ratio = if is_later { (1, 1) } else { ratio };
            let is_sale = order.side == Side::Sell;
            let held = if is_sale {
                let held = Quantity::from_units(working.held());
                rules::multiplied(held, ratio, Some(left)).unwrap_or_default()
            } else {
                Quantity::ZERO
            };
            let outcome = match action.kind {
                ActionKind::ReverseSplit if !is_later => Adjusted::Canceled,
                _ if is_sale && !held.is_positive() => Adjusted::Canceled,
                _ if is_later && (!is_sale || held.units() == working.held()) => Adjusted::Unchanged,
                _ if is_sale => rules::on_split(order, symbol, ratio, Some(held)),
                _ => rules::on_split(order, symbol, ratio, None),
            };
            if outcome != Adjusted::Canceled {
                left = left.minus(held).unwrap_or_default();
            }
            (working, outcome, held)
        })
        .collect();
    // What holds fewer shares than before makes room for the others.
    adjusted.sort_by_key(|(working, outcome, held)| {
        *outcome != Adjusted::Canceled && held.units() > working.held()
    });
    if are_fewer {
        adjust_all(ctx, adjusted).await?;
        splits::apply(ctx, action, entitlement, shares).await
    } else {
        splits::apply(ctx, action, entitlement, shares).await?;
        adjust_all(ctx, adjusted).await
    }
}

async fn adjust_all(ctx: &CommandContext<'_>, orders: Vec<(Working, Adjusted, Quantity)>) -> Result<()> {
    for (mut working, adjusted, shares) in orders {
        adjust(ctx, &mut working, adjusted, shares).await?;
    }
    Ok(())
}

/// Changes or cancels an order; `shares` are those that a sale holds then.
async fn adjust(
    ctx: &CommandContext<'_>,
    working: &mut Working,
    adjusted: Adjusted,
    shares: Quantity,
) -> Result<()> {
    match adjusted {
        Adjusted::Unchanged => Ok(()),
        Adjusted::To(order) => working.adjust(ctx, *order, shares).await,
        Adjusted::Canceled => match Paper.cancel(ctx, &working.order).await? {
            CancelReply::Canceled => working.end(ctx, Status::Canceled, None).await,
            CancelReply::TooLate => Ok(()),
        },
    }
}

/// Records the dividend of an account, and when it is paid. An account without shares gets none.
async fn record_dividend(
    ctx: &CommandContext<'_>,
    action: &corporate_action::Model,
    entitlement: entitlement::Model,
    per_share: Rate,
) -> Result<()> {
    let cash = Money::per_share(entitlement.quantity, per_share).ok_or_else(splits::too_large)?;
    if !cash.is_positive() {
        return applied(ctx, entitlement, action, None, Money::ZERO, ctx.event()).await;
    }
    let pay_on = action.pay_on.ok_or_else(|| Error::broken("a dividend has no pay date"))?;
    ctx.schedule::<PayDividend>(entitlement.id, dividends::paid_at(Ord::max(pay_on, action.ex_on))).await;
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
