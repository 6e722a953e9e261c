//! Splits: quantities of lots, positions and ledger units change together; what the shares cost stays.

use super::{processing::applied, rules};
use crate::{
    Error, Result,
    kernel::{
        calendar,
        command::CommandContext,
        events::{Event, PositionState},
        ledger::{Entry, USD},
    },
    trading::{
        instruments,
        lots::{self, rules::Sale},
        positions, receivables,
    },
};
use entity::{
    Kind, Money, Quantity, corporate_action, entitlement, fill,
    ledger_account::LedgerKind,
    lot_closing,
    order::Side,
    position,
    tax_lot::{self, LotMethod},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

pub(super) fn too_large() -> Error {
    Error::broken("an amount of a corporate action exceeds 64 bits")
}

/// What a split makes of the shares of an account.
pub(super) struct Shares {
    position: position::Model,
    /// Lots before the split, and after it with the fraction that is paid in cash.
    before: Vec<tax_lot::Model>,
    split: Vec<tax_lot::Model>,
    fraction: Quantity,
    /// What the account has afterwards.
    pub(super) kept: Quantity,
}

impl Shares {
    /// Whether the account has fewer shares than before.
    pub(super) fn are_fewer(&self) -> bool {
        self.kept < self.position.quantity
    }
}

/// Works out a split of the shares of an account; `None` if it has none. The lots share the new quantity by largest
/// remainder, so that they add up to it. What is below four decimals, or all fractions, is to be paid in cash.
pub(super) async fn of(
    ctx: &CommandContext<'_>,
    action: &corporate_action::Model,
    account_id: Uuid,
    ratio: (i64, i64),
) -> Result<Option<Shares>> {
    let position = position::Entity::find()
        .filter(position::Column::AccountId.eq(account_id))
        .filter(position::Column::InstrumentId.eq(action.instrument_id))
        .filter(position::Column::Quantity.gt(0_i64))
        .one(ctx.tx)
        .await?;
    let Some(position) = position else { return Ok(None) };
    let before = lots::open_of(ctx, account_id, action.instrument_id).await?;
    let rules::Split { exact, kept } =
        rules::split(position.quantity, ratio, action.is_whole_shares).ok_or_else(too_large)?;
    let (split, total) = split_lots(&before, exact)?;
    let fraction = total.minus(kept).unwrap_or_default();
    Ok(Some(Shares { position, before, split, fraction, kept }))
}

/// Splits the shares of an account. The fraction is sold from the oldest lots at the announced price.
pub(super) async fn apply(
    ctx: &CommandContext<'_>,
    action: &corporate_action::Model,
    entitlement: entitlement::Model,
    shares: Option<Shares>,
) -> Result<()> {
    let Some(Shares { position, before, split, fraction, kept }) = shares else {
        return applied(ctx, entitlement, action, None, Money::ZERO, ctx.event()).await;
    };
    let account_id = entitlement.account_id;
    let entitlement = entitlement::Model { quantity: position.quantity, ..entitlement };
    let cash = match action.cash_price {
        Some(price) => Money::cost(fraction, price).ok_or_else(too_large)?,
        None => Money::ZERO,
    };
    let (after, closings) = paid_in_cash(ctx, &entitlement, &split, fraction, cash)?;

    let instrument = instruments::existing(ctx.app, action.instrument_id).await?;
    let asset = &instrument.symbol;
    let [units, custody, customer, fbo] = ctx
        .ledger_accounts([
            (account_id, LedgerKind::Units, asset),
            ctx.house_account(LedgerKind::Custody, asset),
            (account_id, LedgerKind::Cash, USD),
            ctx.house_account(LedgerKind::BankFbo, USD),
        ])
        .await?;
    let mut event = ctx.event();
    let mut entry = Entry::default();
    let more = kept.units() - position.quantity.units();
    entry.post(&custody, &units, more.max(0)).post(&units, &custody, (-more).max(0));
    entry.post(&fbo, &customer, cash.units());
    entry.write_later(ctx.tx, ctx.app.ids, &mut event).await?;
    if cash.is_positive() {
        receivables::repay_now(ctx, &mut event, account_id).await?;
    }

    for (before, after) in before.into_iter().zip(&after) {
        lots::changed_lot(ctx, before, after).await?;
    }
    for closing in &closings {
        ctx.tx.insert(closing).await;
    }
    let basis = closings.iter().try_fold(position.cost_basis, |left, closing| left.minus(closing.basis));
    positions::changed(ctx, &position, kept, basis.ok_or_else(too_large)?).await?;
    applied(ctx, entitlement, action, Some(kept), cash, event).await?;
    let instrument_id = action.instrument_id;
    ctx.record(Event::PositionChanged(PositionState { account_id, instrument_id, quantity: kept })).await
}

/// Returns the lots with their parts of the new quantity, and the sum of these.
fn split_lots(lots: &[tax_lot::Model], total: Quantity) -> Result<(Vec<tax_lot::Model>, Quantity)> {
    let weights: Vec<i64> = lots.iter().map(|lot| lot.open_quantity.units()).collect();
    let parts = lots::rules::parts(total, &weights);
    let sum = Quantity::from_units(parts.iter().sum());
    let split = lots.iter().zip(parts).map(|(lot, part)| {
        let open_quantity = Quantity::from_units(part);
        let sold = lot.quantity.minus(lot.open_quantity)?;
        Some(tax_lot::Model { quantity: sold.plus(open_quantity)?, open_quantity, ..lot.clone() })
    });
    Ok((split.collect::<Option<_>>().ok_or_else(too_large)?, sum))
}

/// Closes the oldest lots for the fraction that is paid in cash. Losses of fractions are not matched with purchases.
fn paid_in_cash(
    ctx: &CommandContext<'_>,
    entitlement: &entitlement::Model,
    lots: &[tax_lot::Model],
    fraction: Quantity,
    cash: Money,
) -> Result<(Vec<tax_lot::Model>, Vec<lot_closing::Model>)> {
    if !fraction.is_positive() {
        return Ok((lots.to_vec(), Vec::new()));
    }
    let paid = fill::Model {
        id: entitlement.id,
        partner_id: entitlement.partner_id,
        account_id: entitlement.account_id,
        order_id: entitlement.id,
        number: 1,
        side: Side::Sell,
        quantity: fraction,
        price: entity::Price::ZERO,
        amount: cash,
        execution_id: None,
        explanation: None,
        traded_at: ctx.now,
        settles_at: ctx.now,
        settled_at: None,
        sec_fee: Money::ZERO,
        trading_activity_fee: Money::ZERO,
        set_aside: Money::ZERO,
    };
    let on = calendar::new_york_date(ctx.now);
    let sale = Sale { fill: &paid, instrument_id: entitlement.instrument_id, on, is_taxable: false };
    let oldest_first = lots::rules::in_order(lots, LotMethod::Fifo, &[], paid.price, on);
    let closed = lots::rules::close(&oldest_first, sale, || ctx.app.ids.next(Kind::LotClosing));
    let closed = closed.ok_or_else(|| Error::broken("the lots have fewer shares than a fraction"))?;
    let after = lots.iter().map(|lot| {
        let changed = closed.iter().find(|(after, _)| after.id == lot.id);
        changed.map_or_else(|| lot.clone(), |(after, _)| after.clone())
    });
    let closings = closed.iter().map(|(_, closing)| lot_closing::Model {
        fill_id: None,
        entitlement_id: Some(entitlement.id),
        ..closing.clone()
    });
    Ok((after.collect(), closings.collect()))
}
