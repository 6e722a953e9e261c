//! The choice of the lots that an order sells.

use crate::{
    Code, Refusal, Result, Visible,
    kernel::{actor::AccessScope, command::CommandContext},
};
use entity::{
    Quantity,
    order::{self, Side},
    order_lot,
    tax_lot::{self, LotMethod},
};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter};
use uuid::Uuid;

/// Which lots an order sells. The lots are not validated yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LotChoice {
    /// Order in which lots are sold; none for that of the account.
    pub method: Option<LotMethod>,
    /// Lots to sell, in this order. Required for the method `Specific`, and only allowed for it.
    pub lot_ids: Vec<Uuid>,
}

/// Maximum number of lots that an order names.
const MAX_LOTS: usize = 100;

impl LotChoice {
    /// Checks what the request alone decides: only sales choose lots.
    pub fn check(&self, side: Side) -> Result<()> {
        let names_lots = !self.lot_ids.is_empty();
        let refused = |field: &str, text: &str| Err(Refusal::invalid(field, text.to_owned()).into());
        match self.method {
            Some(_) if side == Side::Buy => refused("lotMethod", "is only for sell orders"),
            None if names_lots && side == Side::Buy => refused("lotIds", "is only for sell orders"),
            Some(LotMethod::Specific) if !names_lots => Err(Refusal::required("lotIds").into()),
            Some(LotMethod::Fifo | LotMethod::Lifo | LotMethod::Hifo | LotMethod::MinTax) if names_lots => {
                refused("lotIds", "is only for the lot method SPECIFIC")
            }
            _ if self.lot_ids.len() > MAX_LOTS => {
                refused("lotIds", &format!("must have at most {MAX_LOTS} ids"))
            }
            _ if (1..self.lot_ids.len()).any(|end| {
                self.lot_ids.get(..end).zip(self.lot_ids.get(end)).is_some_and(|(some, id)| some.contains(id))
            }) =>
            {
                refused("lotIds", "must not contain a lot twice")
            }
            _ => Ok(()),
        }
    }

    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the method of the order: `Specific` if it names lots.
    pub fn method(&self) -> Option<LotMethod> {
        if self.lot_ids.is_empty() { self.method } else { Some(LotMethod::Specific) }
    }

    /// Refuses lots that are not open lots of this account and instrument, and lots with fewer shares than are to be
    /// sold. Lots that other orders have sold by the time of the fill are replaced by the oldest ones.
    pub async fn require_open(
        &self,
        connection: &impl ConnectionTrait,
        access_scope: AccessScope,
        order: &order::Model,
    ) -> Result<()> {
        if self.lot_ids.is_empty() {
            return Ok(());
        }
        let lots = tax_lot::Entity::within(access_scope)
            .filter(tax_lot::Column::Id.is_in(self.lot_ids.iter().copied()))
            .filter(tax_lot::Column::AccountId.eq(order.account_id))
            .filter(tax_lot::Column::InstrumentId.eq(order.instrument_id))
            .filter(tax_lot::Column::OpenQuantity.gt(0_i64))
            .all(connection)
            .await?;
        let is_missing = |id: &Uuid| lots.iter().all(|lot| lot.id != *id);
        if let Some(place) = self.lot_ids.iter().position(is_missing) {
            return Err(Refusal::not_found(&format!("lotIds.{place}")).into());
        }
        let shares = lots.iter().try_fold(Quantity::ZERO, |sum, lot| sum.plus(lot.open_quantity));
        if shares.is_none_or(|shares| shares < order.quantity) {
            let text = "The lots have fewer shares than this order. Name more lots.";
            return Err(Refusal::new(Code::InsufficientPosition, "lotIds", text).into());
        }
        Ok(())
    }

    /// Names the lots for an order.
    pub async fn name(&self, ctx: &CommandContext<'_>, order: &order::Model) {
        for (place, lot_id) in (1..).zip(&self.lot_ids) {
            ctx.tx.insert(&order_lot::Model { order_id: order.id, lot_id: *lot_id, place }).await;
        }
    }
}
