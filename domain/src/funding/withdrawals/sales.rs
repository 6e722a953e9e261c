//! Which shares a withdrawal sells.

use crate::{
    Error, Result,
    kernel::{command::CommandContext, ledger, partner_settings::PartnerSettings},
    trading::{
        fees, instruments,
        lots::rules,
        market,
        orders::{raising, state::QUANTITY_STEP},
    },
};
use entity::{Money, Price, Quantity, order::Side, position};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

/// Shares of one instrument that an account can sell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    pub instrument_id: Uuid,
    /// Shares that no open order holds.
    pub free: Quantity,
    /// Price at which they can be sold.
    pub bid: Price,
    /// Last price.
    pub last: Price,
}

/// A sale for a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    pub instrument_id: Uuid,
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
        let weights: Vec<i64> =
            holdings.iter().map(|held| price_of(sellable(held), held.bid).units()).collect();
        let total = weights.iter().fold(0, |sum: i64, weight| sum.saturating_add(*weight));
        let sells_all = needed.units() >= total;
        let targets = if sells_all {
            weights.iter().copied().map(Money::from_units).collect()
        } else {
            rules::split(needed, &weights)
        };
        let sale = |(held, target): (&Holding, Money)| {
            let most = sellable(held);
            let quantity = if sells_all { most } else { shares_above(target, held.bid).min(most) };
            let is_worth_it = target.is_positive() && quantity.is_positive();
            is_worth_it.then_some(Sale { instrument_id: held.instrument_id, quantity })
        };
        holdings.iter().zip(targets).filter_map(sale).collect()
    }
}

/// Returns the free shares that an order can sell: those with at most four decimals.
fn sellable(held: &Holding) -> Quantity {
    Quantity::from_units(held.free.units() / QUANTITY_STEP * QUANTITY_STEP)
}

fn price_of(quantity: Quantity, price: Price) -> Money {
    Money::cost(quantity, price).unwrap_or_default()
}

/// Returns the shares that raise an amount at a price, rounded up to four decimals.
fn shares_above(amount: Money, price: Price) -> Quantity {
    let (price, step) = (i128::from(price.units().max(1)), i128::from(QUANTITY_STEP));
    let exact = i128::from(amount.units()) * 10_000_000_000;
    let steps = (exact + price * step - 1) / (price * step);
    Quantity::from_units(i64::try_from(steps * step).unwrap_or(i64::MAX))
}

/// How often the sales are chosen again for their fees, which are rounded up to the cent for each sale.
const MAX_CHOICES: usize = 4;

/// Chooses the sales that raise an amount after their regulatory fees.
pub fn to_raise(
    choice: &impl ChooseSales,
    settings: &PartnerSettings,
    amount: Money,
    holdings: &[Holding],
) -> Vec<Sale> {
    let mut needed = amount;
    let mut sales = choice.choose(needed, holdings);
    for _ in 0..MAX_CHOICES {
        let with_fees = amount.units().saturating_add(fees_of(settings, &sales, holdings));
        if with_fees <= needed.units() {
            break;
        }
        needed = Money::from_units(with_fees);
        sales = choice.choose(needed, holdings);
    }
    sales
}

fn fees_of(settings: &PartnerSettings, sales: &[Sale], holdings: &[Holding]) -> i64 {
    let of = |sale: &Sale| {
        let held = holdings.iter().find(|held| held.instrument_id == sale.instrument_id)?;
        let fees = fees::of(settings, Side::Sell, sale.quantity, price_of(sale.quantity, held.bid))?;
        Some(fees.total().units())
    };
    sales.iter().filter_map(of).sum()
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
    let units = ledger::lock_units(ctx.tx, account_id).await?;
    let mut holdings = Vec::new();
    for id in ids {
        let (Some(instrument), Some(quote)) = (instruments.get(&id), quotes.get(&id)) else {
            return Err(Error::broken("a position has no price"));
        };
        let free =
            units.iter().find(|row| row.asset == instrument.symbol).map_or(0, |row| row.available().max(0));
        let free = Quantity::from_units(free);
        holdings.push(Holding { instrument_id: id, free, bid: quote.bid, last: quote.last });
    }
    Ok(holdings)
}

/// Returns what the shares of an account are worth that withdrawals can sell, or are selling, at the last prices.
pub(super) async fn worth(ctx: &CommandContext<'_>, account_id: Uuid) -> Result<i64> {
    let mut holdings = holdings(ctx, account_id).await?;
    for sale in raising::open_sales(ctx, account_id).await? {
        let held = holdings.iter_mut().find(|held| held.instrument_id == sale.instrument_id);
        if let (Some(held), Some(open)) = (held, sale.quantity.minus(sale.filled_quantity)) {
            held.free = held.free.plus(open).unwrap_or(held.free);
        }
    }
    Ok(holdings.iter().map(|held| price_of(held.free, held.last).units()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::partner_settings::TradingActivityFee;

    const VTI: u128 = 1;
    const SCHF: u128 = 2;

    fn held(id: u128, free: &str, bid: &str) -> Holding {
        let (free, bid) = (free.parse().unwrap(), bid.parse().unwrap());
        Holding { instrument_id: Uuid::from_u128(id), free, bid, last: bid }
    }

    fn chosen(needed: &str, holdings: &[Holding]) -> Vec<(u128, String)> {
        let sales = ProRata.choose(needed.parse().unwrap(), holdings);
        sales.into_iter().map(|sale| (sale.instrument_id.as_u128(), sale.quantity.to_string())).collect()
    }

    fn pairs(sales: &[(u128, &str)]) -> Vec<(u128, String)> {
        sales.iter().map(|(id, quantity)| (*id, (*quantity).to_owned())).collect()
    }

    #[test]
    fn sales_are_in_proportion_and_rounded_up_so_that_they_raise_the_amount() {
        let holdings = [held(VTI, "3", "100.00"), held(SCHF, "10", "30.00")];
        for (needed, sales) in [
            ("100.00", &[(VTI, "0.5"), (SCHF, "1.6667")][..]),
            ("0.01", &[(VTI, "0.0001")][..]),
            ("599.99", &[(VTI, "3"), (SCHF, "9.9997")][..]),
            ("600.00", &[(VTI, "3"), (SCHF, "10")][..]),
            ("1000.00", &[(VTI, "3"), (SCHF, "10")][..]),
        ] {
            assert_eq!(chosen(needed, &holdings), pairs(sales), "{needed}");
        }
        assert_eq!(chosen("5.00", &[]), []);
        // An order has at most four decimals.
        assert_eq!(chosen("5.00", &[held(VTI, "0.00005", "100.00")]), []);
        assert_eq!(chosen("5.00", &[held(VTI, "0.00019", "100.00")]), pairs(&[(VTI, "0.0001")]));
    }

    #[test]
    fn what_is_sold_raises_at_least_the_amount() {
        for cents in (1..40_000).step_by(37) {
            let holdings = [held(1, "1.2345", "33.3333"), held(2, "7.0001", "0.07"), held(3, "2", "199.99")];
            let needed = Money::from_units(cents);
            let raised = raised(&PartnerSettings::DEFAULT, &ProRata.choose(needed, &holdings), &holdings);
            assert!(raised >= cents, "{cents} {raised}");
            assert!(raised <= cents + 6, "{cents} {raised}");
            let settings = PartnerSettings {
                sec_fee: "27.80".parse().unwrap(),
                trading_activity_fee: TradingActivityFee {
                    per_share: "0.000166".parse().unwrap(),
                    maximum: "8.30".parse().unwrap(),
                },
                ..PartnerSettings::DEFAULT
            };
            let net = self::raised(&settings, &to_raise(&ProRata, &settings, needed, &holdings), &holdings);
            assert!(net >= cents, "{cents} {net}");
            assert!(net <= cents + 9, "{cents} {net}");
        }
    }

    /// What sales raise after fees.
    fn raised(settings: &PartnerSettings, sales: &[Sale], holdings: &[Holding]) -> i64 {
        let gross = |sale: &Sale| {
            let held = holdings.iter().find(|held| held.instrument_id == sale.instrument_id).unwrap();
            assert!(sale.quantity <= held.free);
            Money::cost(sale.quantity, held.bid).unwrap().units()
        };
        sales.iter().map(gross).sum::<i64>() - fees_of(settings, sales, holdings)
    }
}
