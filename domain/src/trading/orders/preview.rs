//! Previews: what an order would hold, cost or earn, and what it would do to tax lots.

use super::{CASH, Decision, PAYING, PlaceOrder, Side, View, decision::reference_price};
use crate::{
    Actor, Error, Result, Scope, accounts,
    kernel::{app::App, clock, command::Command, ledger::of_kinds, partner_settings::PartnerSettings},
    trading::{
        fees::{self, Fees},
        lots::estimates::{self, SaleEstimate, WashSale},
        receivables,
        restrictions::is_settled_cash_only,
    },
};
use entity::{Kind, Money, Price, Quantity, account::TaxTreatment, fill, ledger_account, lot_closing, order};
use sea_orm::ConnectionTrait;

/// What an order would do if it were placed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    pub side: Side,
    pub quantity: Quantity,
    /// Price at which it is valued: the limit price, the stop price, or else the ask of a purchase and the bid of
    /// a sale.
    pub price: Price,
    /// What it would cost or earn at that price, before fees.
    pub amount: Money,
    /// Fees of a sale at that price.
    pub fees: Money,
    /// Cash that it would hold.
    pub held_cash: Money,
    /// Shares that it would hold.
    pub held_shares: Quantity,
    /// Buying power while it holds its cash.
    pub buying_power: Money,
    /// What a sale would sell of each tax lot, in the order in which the lots are sold.
    pub closings: Vec<lot_closing::Model>,
    /// Losses that it would disallow, or that later purchases could.
    pub wash_sales: Vec<WashSale>,
    /// Tax on the gains of a sale. None for a purchase, and without rates in the partner's settings.
    pub tax: Option<Money>,
}

/// Returns what an order would hold, cost or earn if it were filled completely at the price at which it is valued, or
/// the refusal that it would get; changes and locks nothing. Requires scope `trade`.
///
/// The order is decided as `PlaceOrder` would decide it. Pass a snapshot, so that all figures are of one state.
pub async fn preview(
    app: &App,
    connection: &impl ConnectionTrait,
    actor: &Actor,
    place: PlaceOrder,
) -> Result<Preview> {
    let caller = actor.self_or_caller(Scope::Trade)?;
    place.check(caller.mode)?;
    let partner = clock::partner(connection, caller.access_scope.partner_id).await?;
    let view = View {
        app,
        connection,
        partner: &partner,
        access_scope: caller.access_scope,
        now: clock::now_of(&partner),
    };
    let account_id = match place.account_id {
        Some(id) => id,
        None => accounts::only_one(connection, view.access_scope).await?,
    };
    let (account, cash) =
        accounts::usable_with_cash_now(connection, view.access_scope, account_id, &PAYING).await?;
    let decision = view.decide(&place, account, &cash).await?;
    of(&view, &place, &decision, &cash).await
}

async fn of<C: ConnectionTrait>(
    view: &View<'_, C>,
    place: &PlaceOrder,
    decision: &Decision,
    cash: &[ledger_account::Model],
) -> Result<Preview> {
    let Decision { account, order, quote, holds, .. } = decision;
    let settings = PartnerSettings::at(view.partner, view.now)?;
    let price = reference_price(order, if order.side == Side::Buy { quote.ask } else { quote.bid });
    let amount = Money::cost(order.quantity, price);
    let amount = amount.ok_or_else(|| Error::broken("the amount of a preview exceeds 64 bits"))?;
    let held: i64 = holds.iter().map(|(_, amount)| amount).sum();
    let fees = fees::of(&settings, order.side, order.quantity, amount)
        .ok_or_else(|| Error::broken("the fees of a preview exceed 64 bits"))?;
    let (held_cash, held_shares) = match order.side {
        Side::Buy => (held, 0),
        Side::Sell => (0, held),
    };
    let owes = receivables::owed(cash).is_positive();
    let [cash, unsettled] = of_kinds(cash, CASH)?;
    let proceeds = if is_settled_cash_only(account, view.now) { 0 } else { unsettled.available() };
    let power = if owes { 0 } else { cash.available() + proceeds - held_cash };
    let fill = filled(view, order, price, amount, fees);
    let ids = view.app.ids;
    let SaleEstimate { closings, wash_sales } = match order.side {
        Side::Buy => SaleEstimate {
            closings: Vec::new(),
            wash_sales: estimates::of_purchase(ids, view.connection, order, &fill).await?,
        },
        Side::Sell => estimates::of_sale(ids, view.connection, order, &place.lots.lot_ids, &fill).await?,
    };
    let rates = settings.short_term_tax_rate.zip(settings.long_term_tax_rate);
    let taxed = if account.tax_treatment == TaxTreatment::Taxable { &closings[..] } else { &[] };
    Ok(Preview {
        side: order.side,
        quantity: order.quantity,
        price,
        amount,
        fees: fees.total(),
        held_cash: Money::from_units(held_cash),
        held_shares: Quantity::from_units(held_shares),
        buying_power: Money::from_units(power),
        tax: rates
            .filter(|_| order.side == Side::Sell)
            .map(|(short, long)| estimates::tax(taxed, short, long)),
        closings,
        wash_sales,
    })
}

/// Returns the fill of the whole order at this price, with these fees.
fn filled<C>(
    view: &View<'_, C>,
    order: &order::Model,
    price: Price,
    amount: Money,
    fees: Fees,
) -> fill::Model {
    fill::Model {
        id: view.app.ids.next(Kind::Fill),
        partner_id: order.partner_id,
        account_id: order.account_id,
        order_id: order.id,
        number: 1,
        side: order.side,
        quantity: order.quantity,
        price,
        amount,
        execution_id: None,
        explanation: None,
        traded_at: view.now,
        settles_at: view.now,
        settled_at: None,
        sec_fee: fees.sec,
        trading_activity_fee: fees.trading_activity,
        set_aside: Money::ZERO,
    }
}
