//! Prices at the end of a day.

use super::{
    content::Content,
    period::{eve, last_instant_of, priced_at},
    stored,
};
use crate::{Error, Result, kernel::command::CommandContext, trading::market};
use chrono::{Days, NaiveDate};
use entity::{Price, account, instrument, statement};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// Returns the prices of instruments at the end of a day. An earlier statement that begins or ends there decides, so
/// that statements agree even if the market no longer knows a price.
pub(super) async fn at_end_of(
    ctx: &CommandContext<'_>,
    account: &account::Model,
    day: NaiveDate,
    instruments: &[Arc<instrument::Model>],
) -> Result<HashMap<Uuid, Price>> {
    if instruments.is_empty() {
        return Ok(HashMap::new());
    }
    let mut prices = stated(ctx, account, day).await?;
    let unknown: Vec<_> =
        instruments.iter().filter(|instrument| !prices.contains_key(&instrument.id)).cloned().collect();
    if !unknown.is_empty() {
        let at = priced_at(ctx.partner.market_hours, day);
        let shares_of = last_instant_of(day);
        let quotes = market::quotes_as_of(ctx.app, ctx.tx, ctx.partner, &unknown, at, shares_of).await?;
        prices.extend(quotes.into_iter().map(|(id, quote)| (id, quote.last)));
    }
    Ok(prices)
}

/// Returns the prices of an earlier statement that begins after this day or ends with it.
async fn stated(
    ctx: &CommandContext<'_>,
    account: &account::Model,
    day: NaiveDate,
) -> Result<HashMap<Uuid, Price>> {
    use statement::Column;
    let next = day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    let touches = Condition::any().add(Column::EndOn.eq(day)).add(Column::StartOn.eq(next));
    let earlier = statement::Entity::find()
        .filter(Column::AccountId.eq(account.id))
        .filter(touches)
        .order_by_asc(Column::Id)
        .limit(1)
        .one(ctx.tx)
        .await?;
    let Some(earlier) = earlier else { return Ok(HashMap::new()) };
    let Content { start_date, positions, .. } = stored(ctx.app, &earlier)?;
    let is_opening = eve(start_date) == day;
    let price = |position: super::content::Position| {
        let price = if is_opening { position.opening_price } else { position.closing_price };
        Some((position.instrument_id, price?))
    };
    Ok(positions.into_iter().filter_map(price).collect())
}

/// Returns the price of an instrument.
pub(super) fn of(prices: &HashMap<Uuid, Price>, instrument_id: Uuid) -> Result<Price> {
    prices.get(&instrument_id).copied().ok_or_else(|| Error::broken("a position has no price"))
}
