//! Which shares a withdrawal sells.

use crate::{
    Error, Result,
    kernel::{command::CommandContext, ledger},
    trading::{instruments, lots::rules, market, orders::state::QUANTITY_STEP},
};
use entity::{Money, Price, Quantity, ledger_account::LedgerKind, position};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

/// Shares of one instrument that an account can sell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    pub symbol: String,
    /// Shares that no open order holds.
    pub free: Quantity,
    /// Price at which they can be sold.
    pub bid: Price,
    /// What they are worth at the last price.
    pub worth: Money,
}

/// A sale for a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    pub symbol: String,
    pub quantity: Quantity,
}

/// Chooses the shares that are sold to raise an amount.
pub trait ChooseSales {
    /// Returns the sales, each at most of what is free; all of it if that does not suffice.
    fn choose(&self, needed: Money, holdings: &[Holding]) -> Vec<Sale>;
}

/// Sells a part of each position in proportion to what it is worth at the bid, rounded up to four decimals so that the
/// amount is raised.
#[derive(Clone, Copy, Debug)]
pub struct ProRata;

impl ChooseSales for ProRata {
    fn choose(&self, needed: Money, holdings: &[Holding]) -> Vec<Sale> {
        let worth = |held: &Holding| Money::cost(held.free, held.bid).unwrap_or_default().units();
        let weights: Vec<i64> = holdings.iter().map(worth).collect();
        let total = weights.iter().fold(0, |sum: i64, weight| sum.saturating_add(*weight));
        let targets = if needed.units() < total {
            rules::split(needed, &weights)
        } else {
            weights.iter().copied().map(Money::from_units).collect()
        };
        let sells_all = needed.units() >= total;
        let sale = |(held, target): (&Holding, Money)| {
            let quantity = if sells_all { held.free } else { shares_above(target, held.bid).min(held.free) };
            let is_worth_it = target.is_positive() && quantity.is_positive();
            is_worth_it.then(|| Sale { symbol: held.symbol.clone(), quantity })
        };
        holdings.iter().zip(targets).filter_map(sale).collect()
    }
}

/// Returns the shares that raise an amount at a price, rounded up to four decimals.
fn shares_above(amount: Money, price: Price) -> Quantity {
    let (price, step) = (i128::from(price.units().max(1)), i128::from(QUANTITY_STEP));
    let exact = i128::from(amount.units()) * 10_000_000_000;
    let steps = (exact + price * step - 1) / (price * step);
    Quantity::from_units(i64::try_from(steps * step).unwrap_or(i64::MAX))
}

/// Returns the shares of an account that can be sold now, in the order of their positions. Their units in the ledger
/// are locked.
pub(super) async fn holdings(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<Vec<Holding>> {
    let positions = position::Entity::find()
        .filter(position::Column::AccountId.eq(account_id))
        .filter(position::Column::Quantity.gt(0_i64))
        .order_by_asc(position::Column::Id)
        .all(ctx.tx)
        .await?;
    let ids: Vec<Uuid> = positions.iter().map(|position| position.instrument_id).collect();
    let instruments = instruments::by_ids(ctx.app, &ids).await?;
    let list: Vec<_> = instruments.values().cloned().collect();
    let quotes = market::quotes(ctx.app, ctx.tx, ctx.partner, &list, ctx.now).await?;
    let mut holdings = Vec::new();
    for id in ids {
        let (Some(instrument), Some(quote)) = (instruments.get(&id), quotes.get(&id)) else {
            return Err(Error::broken("a position has no price"));
        };
        let place = (account_id, LedgerKind::Units, instrument.symbol.as_str());
        let [units] = ledger::lock_all(ctx.tx, ctx.app.ids, ctx.partner.id, [place]).await?;
        let free = Quantity::from_units(units.available().max(0));
        let worth = Money::cost(free, quote.last).unwrap_or_default();
        if free.is_positive() {
            holdings.push(Holding { symbol: instrument.symbol.clone(), free, bid: quote.bid, worth });
        }
    }
    Ok(holdings)
}

#[cfg(test)]
mod tests {
    use super::{ChooseSales, Holding, ProRata, Sale};
    use entity::Money;

    fn held(symbol: &str, free: &str, bid: &str) -> Holding {
        let (free, bid) = (free.parse().unwrap(), bid.parse().unwrap());
        Holding { symbol: symbol.to_owned(), free, bid, worth: Money::cost(free, bid).unwrap() }
    }

    fn chosen(needed: &str, holdings: &[Holding]) -> Vec<(String, String)> {
        let sales = ProRata.choose(needed.parse().unwrap(), holdings);
        sales.into_iter().map(|Sale { symbol, quantity }| (symbol, quantity.to_string())).collect()
    }

    fn pairs(sales: &[(&str, &str)]) -> Vec<(String, String)> {
        sales.iter().map(|(symbol, quantity)| ((*symbol).to_owned(), (*quantity).to_owned())).collect()
    }

    #[test]
    fn sales_are_in_proportion_and_rounded_up_so_that_they_raise_the_amount() {
        let holdings = [held("VTI", "3", "100.00"), held("SCHF", "10", "30.00")];
        for (needed, sales) in [
            ("100.00", &[("VTI", "0.5"), ("SCHF", "1.6667")][..]),
            ("0.01", &[("VTI", "0.0001")][..]),
            ("599.99", &[("VTI", "3"), ("SCHF", "9.9997")][..]),
            ("600.00", &[("VTI", "3"), ("SCHF", "10")][..]),
            ("1000.00", &[("VTI", "3"), ("SCHF", "10")][..]),
        ] {
            assert_eq!(chosen(needed, &holdings), pairs(sales), "{needed}");
        }
        assert_eq!(chosen("5.00", &[]), []);
        assert_eq!(chosen("5.00", &[held("VTI", "0.00005", "100.00")]), []);
    }

    #[test]
    fn what_is_sold_raises_at_least_the_amount() {
        for cents in (1..40_000).step_by(37) {
            let holdings =
                [held("A", "1.2345", "33.3333"), held("B", "7.0001", "0.07"), held("C", "2", "199.99")];
            let needed = Money::from_units(cents);
            let raised: i64 = ProRata
                .choose(needed, &holdings)
                .iter()
                .map(|sale| {
                    let held = holdings.iter().find(|held| held.symbol == sale.symbol).unwrap();
                    assert!(sale.quantity <= held.free);
                    Money::cost(sale.quantity, held.bid).unwrap().units()
                })
                .sum();
            assert!(raised >= cents, "{cents} {raised}");
            assert!(raised <= cents + 6, "{cents} {raised}");
        }
    }
}
