//! Adjusting an open order to a corporate action.

use super::Working;
use crate::{
    Error, Result,
    kernel::{command::CommandContext, events::Event},
    trading::orders::{
        RouteOrder,
        state::{Terms, cash_to_hold},
    },
};
use entity::{
    Price,
    order::{self, Side, Status},
};
use sea_orm::ActiveValue::Set;

impl Working {
    /// Gives the order other prices or another quantity, which never need more cash than it holds, and tells the venue.
    pub(in crate::trading) async fn adjust(
        &mut self,
        ctx: &CommandContext<'_>,
        adjusted: order::Model,
    ) -> Result<()> {
        let mut row: order::ActiveModel = std::mem::replace(&mut self.order, adjusted).into();
        self.order.replaced_at = Some(ctx.now);
        let open = self.order.quantity.minus(self.order.filled_quantity).unwrap_or_default();
        let terms = Terms::from(&self.order);
        let has_price = terms.limit.is_some() || (terms.stop.is_some() && !terms.triggered);
        let needed = match self.order.side {
            Side::Sell => open.units(),
            Side::Buy if has_price => {
                let buffer = ctx.settings()?.market_buy_buffer;
                let cash = cash_to_hold(&terms, open, Price::ZERO, buffer).ok_or_else(super::too_large)?;
                cash.units().min(self.held())
            }
            Side::Buy => self.held(),
        };
        let event = self.hold(ctx, needed, false).await?;
        let event = event.ok_or_else(|| Error::broken("an adjusted order has too few shares"))?;
        row.quantity = Set(self.order.quantity);
        row.limit_price = Set(self.order.limit_price);
        row.stop_price = Set(self.order.stop_price);
        row.replaced_at = Set(self.order.replaced_at);
        ctx.tx.update(row).await?;
        event.record(ctx.tx, Event::OrderReplaced(self.state())).await?;
        if self.order.status != Status::Accepted {
            ctx.schedule::<RouteOrder>(self.order.id, ctx.now).await;
        }
        Ok(())
    }
}
