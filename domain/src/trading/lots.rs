//! Tax lots: what each purchase cost, which shares a sale closed, and the gains and losses that followed.
//!
//! Lots change in the transaction of the fill, so a position is always the sum of its open lots. Fills of one partner
//! run one after another, under the lock of the partner, so the lots of all accounts of a person can change together
//! without further locks.

use super::{
    basis::{self, Split},
    positions, restrictions,
};
use crate::{
    Error, Result, Visible,
    kernel::{
        command::CommandContext,
        events::{Event, PositionState},
        ids::Ids,
        rows,
        visible::Owner,
    },
};
use entity::{
    Kind, Money, Quantity,
    account::{self, TaxTreatment},
    fill, lot_closing, order, position,
    tax_lot::{self, LotMethod},
};
use rules::{Candidate, Sale};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QueryResult, Statement,
};
use std::collections::BTreeMap;
use uuid::Uuid;

mod choice;
pub mod estimates;
pub mod replay;
pub mod rules;

pub use choice::LotChoice;

/// Lots are visible to those who see their account.
impl Visible for tax_lot::Entity {
    const ID: tax_lot::Column = tax_lot::Column::Id;
    const OWNER: Owner<tax_lot::Column> =
        Owner::of::<account::Entity>(tax_lot::Column::PartnerId, tax_lot::Column::AccountId);
}

/// Realized gains are visible to those who see their account.
impl Visible for lot_closing::Entity {
    const ID: lot_closing::Column = lot_closing::Column::Id;
    const OWNER: Owner<lot_closing::Column> =
        Owner::of::<account::Entity>(lot_closing::Column::PartnerId, lot_closing::Column::AccountId);
}

/// Condition that the account `other` has an owner of the account `own`: purchases in all accounts of a person
/// replace shares that were sold at a loss in one of them.
const RELATED: &str = "(other.user_id = own.user_id OR other.user_id = own.joint_member_id OR \
    other.joint_member_id = own.user_id OR other.joint_member_id = own.joint_member_id)";

/// Whether shares of the instrument of `orders` were sold at a loss from day `$2` on, in an account of the same
/// person, and have not been replaced.
pub(super) fn has_losses() -> String {
    format!(
        "EXISTS (SELECT 1 FROM account AS own JOIN account AS other ON {RELATED} JOIN lot_closing ON \
         lot_closing.account_id = other.id WHERE own.id = orders.account_id AND lot_closing.instrument_id = \
         orders.instrument_id AND lot_closing.unreplaced_quantity > 0 AND lot_closing.closed_on >= $2)"
    )
}

/// How a purchase was paid, and what precedes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Whether unsettled proceeds of sales paid for a part of it.
    pub is_unsettled: bool,
    /// Whether it may replace shares that were sold at a loss.
    pub follows_losses: bool,
    /// Number of shares in the position before it.
    pub held_before: Quantity,
}

/// Returns the lot of a fill that bought shares.
fn opened(ids: Ids, order: &order::Model, fill: &fill::Model, is_unsettled: bool) -> tax_lot::Model {
    let acquired_on = crate::kernel::calendar::new_york_date(fill.traded_at);
    tax_lot::Model {
        id: ids.next(Kind::TaxLot),
        partner_id: order.partner_id,
        account_id: order.account_id,
        instrument_id: order.instrument_id,
        fill_id: Some(fill.id),
        purchase_id: order.id,
        opened_at: fill.traded_at,
        acquired_on,
        held_since: acquired_on,
        quantity: fill.quantity,
        cost: fill.amount,
        wash_adjustment: Money::ZERO,
        open_quantity: fill.quantity,
        open_basis: fill.amount,
        replaces_id: None,
        is_unsettled,
        bought_quantity: fill.quantity,
    }
}

/// Opens a lot for a fill that bought shares, and adds it to the position.
///
/// Its shares replace those that accounts of the same person sold at a loss within 30 days before: that loss is
/// disallowed and moves to the lot, or is lost for good if this is a retirement account.
pub async fn bought(
    ctx: &CommandContext<'_>,
    order: &order::Model,
    fill: &fill::Model,
    purchase: Purchase,
) -> Result<()> {
    let lot = opened(ctx.app.ids, order, fill, purchase.is_unsettled);
    let mut lots = vec![lot];
    if purchase.follows_losses {
        lots = replacing(ctx, lots).await?;
    }
    let basis = sum(lots.iter().map(|lot| lot.open_basis))?;
    for lot in &lots {
        ctx.tx.insert(lot).await;
    }
    positions::bought(ctx, order.account_id, order.instrument_id, fill.quantity, basis).await?;
    confirmed(ctx, order, fill, purchase.held_before.plus(fill.quantity).ok_or_else(too_large)?).await
}

/// Records the trade and the number of shares after it.
async fn confirmed(
    ctx: &CommandContext<'_>,
    order: &order::Model,
    fill: &fill::Model,
    quantity: Quantity,
) -> Result<()> {
    ctx.record(Event::TradeConfirmed(fill.into())).await?;
    let order::Model { account_id, instrument_id, .. } = *order;
    ctx.record(Event::PositionChanged(PositionState { account_id, instrument_id, quantity })).await
}

/// Losses that shares of a purchase replace, each with the purchase of the shares sold.
struct Losses {
    sales: Vec<(lot_closing::Model, Uuid)>,
    /// Splits of the shares so far.
    splits: Vec<Split>,
    /// Whether the purchase is in a retirement account.
    is_retirement: bool,
}

/// Returns the losses that shares replace that an account buys on this day, in the order of the sales.
async fn losses_before(
    connection: &impl ConnectionTrait,
    account_id: Uuid,
    instrument_id: Uuid,
    acquired_on: chrono::NaiveDate,
) -> Result<Losses> {
    let backend = connection.get_database_backend();
    let text = format!(
        "SELECT lot_closing.*, sold.purchase_id AS purchase_id, own.tax_treatment AS own_treatment FROM account \
         AS own JOIN account AS other ON {RELATED} JOIN lot_closing ON lot_closing.account_id = other.id JOIN \
         tax_lot AS sold ON sold.id = lot_closing.lot_id WHERE own.id = $1 AND lot_closing.instrument_id = $2 AND \
         lot_closing.unreplaced_quantity > 0 AND lot_closing.closed_on >= $3 ORDER BY lot_closing.closed_at, \
         lot_closing.id"
    );
    let values = [account_id.into(), instrument_id.into(), since(acquired_on).into()];
    let rows = connection.query_all_raw(Statement::from_sql_and_values(backend, text, values)).await?;
    let mut losses = Vec::new();
    let mut is_retirement = false;
    for row in &rows {
        is_retirement = row.try_get::<TaxTreatment>("", "own_treatment")? != TaxTreatment::Taxable;
        losses.push((lot_closing::Model::from_query_result(row, "")?, row.try_get("", "purchase_id")?));
    }
    let mut splits = Vec::new();
    if let Some((loss, _)) = losses.first() {
        splits = basis::splits(connection, loss.partner_id, instrument_id).await?;
    }
    Ok(Losses { sales: losses, splits, is_retirement })
}

/// Lets the shares of a new lot replace shares that were sold at a loss, and returns the lot in its parts.
async fn replacing(ctx: &CommandContext<'_>, lots: Vec<tax_lot::Model>) -> Result<Vec<tax_lot::Model>> {
    let Some(lot) = lots.first() else { return Ok(lots) };
    let Losses { sales: mut losses, splits, is_retirement } =
        losses_before(ctx.tx, lot.account_id, lot.instrument_id, lot.acquired_on).await?;
    let before = losses.clone();
    let mut candidates: Vec<_> = lots.into_iter().map(|lot| Candidate { lot, is_retirement }).collect();
    let parts = disallow(ctx.app.ids, &mut losses, &mut candidates, &splits)?;
    for ((loss, _), (before, _)) in losses.into_iter().zip(before) {
        changed_loss(ctx, before, loss).await?;
    }
    Ok(candidates.into_iter().chain(parts).map(|candidate| candidate.lot).collect())
}

fn since(day: chrono::NaiveDate) -> chrono::NaiveDate {
    rules::wash_window(day).0
}

fn disallow(
    ids: Ids,
    losses: &mut [(lot_closing::Model, Uuid)],
    candidates: &mut [Candidate],
    splits: &[Split],
) -> Result<Vec<Candidate>> {
    rules::disallow(losses, candidates, splits, || ids.next(Kind::TaxLot)).ok_or_else(too_large)
}

fn too_large() -> Error {
    Error::broken("an amount of a tax lot exceeds 64 bits")
}

fn sum(amounts: impl IntoIterator<Item = Money>) -> Result<Money> {
    amounts.into_iter().try_fold(Money::ZERO, Money::plus).ok_or_else(too_large)
}

/// An open lot of the account that sells, or of another account of the same person.
struct Open {
    lot: tax_lot::Model,
    position: position::Model,
    own_treatment: TaxTreatment,
    lot_treatment: TaxTreatment,
    account_method: LotMethod,
    /// Place among the lots that the order names.
    place: Option<i32>,
    /// Time when the money that bought the lot settles, if it has not settled yet.
    funds_settle_at: Option<chrono::DateTime<chrono::Utc>>,
}

impl Open {
    fn of(row: &QueryResult) -> Result<Self> {
        let lot = tax_lot::Model::from_query_result(row, "")?;
        Ok(Self {
            position: position::Model {
                id: row.try_get("", "position_id")?,
                partner_id: lot.partner_id,
                account_id: lot.account_id,
                instrument_id: lot.instrument_id,
                quantity: row.try_get("", "position_quantity")?,
                cost_basis: row.try_get("", "position_basis")?,
            },
            lot,
            own_treatment: row.try_get("", "own_treatment")?,
            lot_treatment: row.try_get("", "lot_treatment")?,
            account_method: row.try_get("", "account_method")?,
            place: row.try_get("", "place")?,
            funds_settle_at: row.try_get("", "funds_settle_at")?,
        })
    }
}

/// Returns the open lots of the position that an order sells, and the lots that may replace its shares: bought in
/// accounts of the same person within 30 days before.
async fn open_lots(
    connection: &impl ConnectionTrait,
    order: &order::Model,
    sold_on: chrono::NaiveDate,
) -> Result<Vec<Open>> {
    let backend = connection.get_database_backend();
    let text = format!(
        "SELECT tax_lot.*, position.id AS position_id, position.quantity AS position_quantity, position.cost_basis \
         AS position_basis, own.tax_treatment AS own_treatment, own.lot_method AS account_method, \
         other.tax_treatment AS lot_treatment, order_lot.place AS place, CASE WHEN tax_lot.is_unsettled THEN \
         (SELECT max(funds.settles_at) FROM (SELECT fill.settles_at FROM fill WHERE fill.account_id = \
         tax_lot.account_id AND fill.settled_at IS NULL AND fill.side = 'sell' AND fill.traded_at <= \
         tax_lot.opened_at UNION ALL SELECT transfer.settles_at FROM transfer WHERE transfer.partner_id = \
         tax_lot.partner_id AND transfer.account_id = tax_lot.account_id AND transfer.instant_amount > 0 AND \
         transfer.status IN ('pending', 'submitted') AND transfer.presentments <= 1 AND transfer.created_at <= \
         tax_lot.opened_at) AS funds) END AS funds_settle_at FROM account AS own JOIN account AS other ON \
         {RELATED} JOIN tax_lot ON tax_lot.account_id = other.id JOIN position ON \
         position.account_id = tax_lot.account_id AND position.instrument_id = tax_lot.instrument_id LEFT JOIN \
         order_lot ON order_lot.order_id = $1 AND order_lot.lot_id = tax_lot.id WHERE own.id = $2 AND \
         tax_lot.instrument_id = $3 AND tax_lot.open_quantity > 0 AND (tax_lot.account_id = own.id OR \
         (tax_lot.acquired_on >= $4 AND tax_lot.replaces_id IS NULL))"
    );
    let values =
        [order.id.into(), order.account_id.into(), order.instrument_id.into(), since(sold_on).into()];
    let rows = connection.query_all_raw(Statement::from_sql_and_values(backend, text, values)).await?;
    rows.iter().map(Open::of).collect()
}

/// What a sale does to lots.
struct Closed {
    /// The lots that it sells, as they are afterwards, with the gain or loss of each before wash sales.
    lots: Vec<(tax_lot::Model, lot_closing::Model)>,
    /// The same gains and losses after wash sales, each with the purchase of the shares sold.
    closings: Vec<(lot_closing::Model, Uuid)>,
    /// The open lots afterwards, without those that were split off.
    candidates: Vec<Candidate>,
    /// Lots that were split off because only some of their shares replace others.
    parts: Vec<Candidate>,
}

fn short() -> Error {
    Error::broken("the lots of a position have fewer shares than were sold")
}

/// Closes lots for a sale: those with these ids first, or else by the method of the order or of the account.
fn close(
    ids: Ids,
    open: &[Open],
    order: &order::Model,
    named: &[Uuid],
    fill: &fill::Model,
) -> Result<Closed> {
    let first = open.first().ok_or_else(short)?;
    let sale = Sale {
        fill,
        instrument_id: order.instrument_id,
        on: crate::kernel::calendar::new_york_date(fill.traded_at),
        is_taxable: first.own_treatment == TaxTreatment::Taxable,
    };
    let own = open.iter().filter(|open| open.lot.account_id == order.account_id);
    let method = order.lot_method.unwrap_or(first.account_method);
    let in_order = rules::in_order(own.map(|open| &open.lot), method, named, fill.price, sale.on);
    let lots = rules::close(&in_order, sale, || ids.next(Kind::LotClosing)).ok_or_else(short)?;

    let mut closings: Vec<_> = lots.iter().map(|(lot, closing)| (closing.clone(), lot.purchase_id)).collect();
    let after = |open: &Open| lots.iter().find(|(lot, _)| lot.id == open.lot.id).map(|(lot, _)| lot.clone());
    let mut candidates: Vec<_> = open
        .iter()
        .map(|open| Candidate {
            lot: after(open).unwrap_or_else(|| open.lot.clone()),
            is_retirement: open.lot_treatment != TaxTreatment::Taxable,
        })
        .collect();
    let parts = disallow(ids, &mut closings, &mut candidates, &[])?;
    Ok(Closed { lots, closings, candidates, parts })
}

/// Closes lots for a fill that sold shares, and removes them from the position.
///
/// The lots are those that the order names, or follow from the method of the order or of the account. A loss is
/// disallowed as far as shares that accounts of the same person bought within 30 days before, and still hold, replace
/// those that were sold.
pub async fn sold(ctx: &CommandContext<'_>, order: &order::Model, fill: &fill::Model) -> Result<()> {
    let open = open_lots(ctx.tx, order, crate::kernel::calendar::new_york_date(fill.traded_at)).await?;
    let own = open.iter().filter(|open| open.lot.account_id == order.account_id);
    let first_own = own.clone().next().ok_or_else(short)?;
    let mut named: Vec<_> = own.filter_map(|open| Some((open.place?, open.lot.id))).collect();
    named.sort_unstable();
    let named: Vec<_> = named.into_iter().map(|(_, id)| id).collect();
    let Closed { lots: closed, closings, candidates, parts } =
        close(ctx.app.ids, &open, order, &named, fill)?;

    for (closing, _) in &closings {
        ctx.tx.insert(closing).await;
    }
    for part in &parts {
        ctx.tx.insert(&part.lot).await;
    }
    for candidate in &candidates {
        if let Some(open) = open.iter().find(|open| open.lot.id == candidate.lot.id) {
            changed_lot(ctx, open.lot.clone(), &candidate.lot).await?;
        }
    }
    let lots = candidates.iter().chain(&parts).map(|candidate| &candidate.lot);
    changed_positions(ctx, &open, lots.collect()).await?;
    let held = first_own.position.quantity.minus(fill.quantity).ok_or_else(short)?;
    confirmed(ctx, order, fill, held).await?;
    let is_sold = |open: &&Open| closed.iter().any(|(lot, _)| lot.id == open.lot.id);
    match open.iter().filter(is_sold).filter_map(|open| open.funds_settle_at).max() {
        Some(funds_settle_at) if funds_settle_at > fill.traded_at => {
            restrictions::sold_before_settlement(ctx, fill, funds_settle_at).await
        }
        _ => Ok(()),
    }
}

/// Changes the positions by what their lots have changed.
async fn changed_positions(
    ctx: &CommandContext<'_>,
    open: &[Open],
    lots: Vec<&tax_lot::Model>,
) -> Result<()> {
    let mut changes: BTreeMap<Uuid, (&position::Model, Quantity, Money)> = BTreeMap::new();
    for Open { lot, position, .. } in open {
        let (_, quantity, basis) =
            changes.entry(position.account_id).or_insert((position, position.quantity, position.cost_basis));
        *quantity = quantity.minus(lot.open_quantity).ok_or_else(too_large)?;
        *basis = basis.minus(lot.open_basis).ok_or_else(too_large)?;
    }
    for lot in lots {
        if let Some((_, quantity, basis)) = changes.get_mut(&lot.account_id) {
            *quantity = quantity.plus(lot.open_quantity).ok_or_else(too_large)?;
            *basis = basis.plus(lot.open_basis).ok_or_else(too_large)?;
        }
    }
    for (position, quantity, basis) in changes.into_values() {
        positions::changed(ctx, position, quantity, basis).await?;
    }
    Ok(())
}

/// Returns the open lots of a position.
pub(super) async fn open_of(
    ctx: &CommandContext<'_>,
    account_id: Uuid,
    instrument_id: Uuid,
) -> Result<Vec<tax_lot::Model>> {
    Ok(tax_lot::Entity::find()
        .filter(tax_lot::Column::AccountId.eq(account_id))
        .filter(tax_lot::Column::InstrumentId.eq(instrument_id))
        .filter(tax_lot::Column::OpenQuantity.gt(0_i64))
        .order_by_asc(tax_lot::Column::OpenedAt)
        .order_by_asc(tax_lot::Column::Id)
        .all(ctx.tx)
        .await?)
}

/// Changes the row of a lot.
pub(super) async fn changed_lot(
    ctx: &CommandContext<'_>,
    before: tax_lot::Model,
    lot: &tax_lot::Model,
) -> Result<()> {
    if before == *lot {
        return Ok(());
    }
    let mut row: tax_lot::ActiveModel = before.into();
    row.quantity = Set(lot.quantity);
    row.bought_quantity = Set(lot.bought_quantity);
    row.cost = Set(lot.cost);
    row.open_quantity = Set(lot.open_quantity);
    row.open_basis = Set(lot.open_basis);
    row.wash_adjustment = Set(lot.wash_adjustment);
    row.held_since = Set(lot.held_since);
    row.replaces_id = Set(lot.replaces_id);
    ctx.tx.update(row).await?;
    Ok(())
}

async fn changed_loss(
    ctx: &CommandContext<'_>,
    before: lot_closing::Model,
    loss: lot_closing::Model,
) -> Result<()> {
    if before == loss {
        return Ok(());
    }
    let mut row: lot_closing::ActiveModel = before.into();
    row.disallowed = Set(loss.disallowed);
    row.forfeited = Set(loss.forfeited);
    row.unreplaced_quantity = Set(loss.unreplaced_quantity);
    ctx.tx.update(row).await?;
    Ok(())
}

/// For the APIs: the column with the number of shares not sold yet.
pub const OPEN_QUANTITY: rows::ColumnOf<tax_lot::Entity> = tax_lot::Column::OpenQuantity;
