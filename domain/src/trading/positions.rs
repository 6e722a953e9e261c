//! Positions: an account's quantity and cost of each instrument, the sum of its open tax lots, updated together with
//! the ledger's units.

use super::{instruments, lots::rules, market};
use crate::{
    Result, Visible,
    kernel::{app::App, calendar, clock, command::CommandContext, visible::Owner},
};
use chrono::NaiveDate;
use entity::{Kind, Money, Price, Quantity, account, lot_closing::Term, position, tax_lot};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use std::collections::HashMap;
use uuid::Uuid;

/// Positions are visible to those who see their account.
impl Visible for position::Entity {
    const ID: position::Column = position::Column::Id;
    const OWNER: Owner<position::Column> =
        Owner::of::<account::Entity>(position::Column::PartnerId, position::Column::AccountId);
}

/// Adds a position to the one that exists.
const ADDED: &str = " ON CONFLICT (account_id, instrument_id) DO UPDATE SET quantity = position.quantity + \
    excluded.quantity, cost_basis = position.cost_basis + excluded.cost_basis";

/// Adds bought shares and their cost to a position, creating it if needed.
pub(super) async fn bought(
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

/// Changes the quantity and the cost of a position.
pub(super) async fn changed(
    ctx: &CommandContext<'_>,
    position: &position::Model,
    quantity: Quantity,
    cost_basis: Money,
) -> Result<()> {
    let mut row: position::ActiveModel = position.clone().into();
    if position.quantity != quantity {
        row.quantity = Set(quantity);
    }
    if position.cost_basis != cost_basis {
        row.cost_basis = Set(cost_basis);
    }
    ctx.tx.update(row).await?;
    Ok(())
}

/// What the open lots of a position are worth at one time, compared with what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Valuation {
    /// Gain or loss if the lots held for at most one year were sold at the last price.
    pub short_term_gain: Money,
    /// The same for lots held for more than one year.
    pub long_term_gain: Money,
    /// Change of the value since the close of the last session before today; for shares bought today, since
    /// their purchase.
    pub day_change: Money,
}

/// Returns the valuations of positions of one partner, by account and instrument, at the current time of the partner's
/// clock.
pub async fn valuations(
    app: &App,
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    positions: &[(Uuid, Uuid)],
) -> Result<HashMap<(Uuid, Uuid), Valuation>> {
    use tax_lot::Column;
    let partner = clock::partner(connection, partner_id).await?;
    let now = clock::now_of(&partner);
    let today = calendar::new_york_date(now);
    let lots = tax_lot::Entity::find()
        .filter(Column::PartnerId.eq(partner_id))
        .filter(Column::AccountId.is_in(positions.iter().map(|(account, _)| *account)))
        .filter(Column::InstrumentId.is_in(positions.iter().map(|(_, instrument)| *instrument)))
        .filter(Column::OpenQuantity.gt(0_i64))
        .all(connection)
        .await?;
    let instruments: Vec<Uuid> = lots.iter().map(|lot| lot.instrument_id).collect();
    let instruments: Vec<_> = instruments::by_ids(app, &instruments).await?.into_values().collect();
    let quotes = market::quotes(app, connection, &partner, &instruments, now).await?;
    let closes =
        market::past_quotes(app, connection, &partner, &instruments, calendar::previous_close(today)).await?;
    let mut found: HashMap<_, _> = positions.iter().map(|key| (*key, Valuation::default())).collect();
    for lot in &lots {
        let prices = quotes.get(&lot.instrument_id).zip(closes.get(&lot.instrument_id));
        let valuation = found.get_mut(&(lot.account_id, lot.instrument_id));
        if let (Some((quote, close)), Some(valuation)) = (prices, valuation) {
            valuation.add(lot, quote.last, close.last, today);
        }
    }
    Ok(found)
}

impl Valuation {
    fn add(&mut self, lot: &tax_lot::Model, last: Price, close: Price, today: NaiveDate) {
        let worth = |price| Money::cost(lot.open_quantity, price).unwrap_or_default().units();
        let gain = worth(last) - lot.open_basis.units();
        let gains = match rules::term(lot.held_since, today) {
            Term::Short => &mut self.short_term_gain,
            Term::Long => &mut self.long_term_gain,
        };
        *gains = Money::from_units(gains.units() + gain);
        let before = if lot.acquired_on == today {
            lot.cost.share(lot.open_quantity.units(), lot.quantity.units()).unwrap_or_default().units()
        } else {
            worth(close)
        };
        self.day_change = Money::from_units(self.day_change.units() + worth(last) - before);
    }
}
