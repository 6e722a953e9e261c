//! Positions: an account's quantity and cost of each instrument, updated together with the ledger's units.

use crate::{
    Error, Result, Visible,
    kernel::{command::CommandContext, visible::Owner},
};
use entity::{Kind, Money, Quantity, account, position};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

/// Positions are visible to those who see their account.
impl Visible for position::Entity {
    const ID: position::Column = position::Column::Id;
    const OWNER: Owner<position::Column> =
        Owner::of::<account::Entity>(position::Column::PartnerId, position::Column::AccountId);
}

async fn find(
    ctx: &CommandContext<'_>,
    account_id: Uuid,
    instrument_id: Uuid,
) -> Result<Option<position::Model>> {
    Ok(position::Entity::find()
        .filter(position::Column::AccountId.eq(account_id))
        .filter(position::Column::InstrumentId.eq(instrument_id))
        .one(ctx.tx)
        .await?)
}

/// Adds a position to the one that exists.
const ADDED: &str = " ON CONFLICT (account_id, instrument_id) DO UPDATE SET quantity = position.quantity + \
    excluded.quantity, cost_basis = position.cost_basis + excluded.cost_basis";

/// Adds bought shares and their cost to a position, creating it if needed.
pub async fn bought(
    ctx: &CommandContext<'_>,
    account_id: Uuid,
    instrument_id: Uuid,
    quantity: Quantity,
    cost_basis: Money,
) -> Result<()> {
    let id = ctx.app.ids.next(Kind::Position);
    let partner_id = ctx.partner.id;
    let bought = position::Model { id, partner_id, account_id, instrument_id, quantity, cost_basis };
    ctx.tx.insert_or(&bought, ADDED).await
}

/// Removes sold shares from a position and reduces its cost proportionally, rounded half up to the cent.
pub async fn sold(
    ctx: &CommandContext<'_>,
    account_id: Uuid,
    instrument_id: Uuid,
    quantity: Quantity,
) -> Result<()> {
    let short = || Error::broken("a position is smaller than the quantity sold");
    let position = find(ctx, account_id, instrument_id).await?.ok_or_else(short)?;
    let left = position.quantity.minus(quantity).filter(|left| left.units() >= 0).ok_or_else(short)?;
    let cost = position.cost_basis.share(left.units(), position.quantity.units()).ok_or_else(short)?;
    let mut row: position::ActiveModel = position.into();
    row.quantity = Set(left);
    row.cost_basis = Set(cost);
    ctx.tx.update(row).await?;
    Ok(())
}
