//! What becomes of a new order: whether it is accepted, and what it holds. Only reads, so that a preview decides
//! as an order does.

use super::{
    PlaceOrder, routing,
    state::{Terms, cash_to_hold, shares_for},
};
use crate::{
    Code, Refusal, Result,
    kernel::{
        actor::AccessScope,
        app::App,
        command::CommandContext,
        db::WriteTransaction,
        ledger::{self, of_kinds},
        partner_settings::PartnerSettings,
    },
    trading::{instruments, market, receivables, restrictions::is_settled_cash_only},
};
use chrono::{DateTime, SecondsFormat, Utc};
use entity::{
    Kind, Money, Price, Quantity, account, instrument,
    ledger_account::{self, LedgerKind},
    order::{self, Side, Status},
    partner::{self, MarketHours},
};
use sea_orm::ConnectionTrait;
use std::sync::Arc;

/// Ledger accounts that pay for purchases.
pub const CASH: [LedgerKind; 2] = [LedgerKind::Cash, LedgerKind::Unsettled];

/// The same, and what the account owes, which it must pay first.
pub const PAYING: [LedgerKind; 3] = [LedgerKind::Cash, LedgerKind::Unsettled, LedgerKind::Receivable];

/// What an order is decided by: the partner, its time, and the rows that the caller may see.
pub struct View<'a, C> {
    pub app: &'a App,
    pub connection: &'a C,
    pub partner: &'a partner::Model,
    pub access_scope: AccessScope,
    pub now: DateTime<Utc>,
}

impl<'a> View<'a, WriteTransaction> {
    pub const fn of(ctx: &CommandContext<'a>) -> Self {
        let CommandContext { app, tx, partner, access_scope, now, .. } = *ctx;
        Self { app, connection: tx, partner, access_scope, now }
    }
}

/// An order that is accepted.
pub struct Decision {
    pub account: account::Model,
    pub order: order::Model,
    pub instrument: Arc<instrument::Model>,
    pub quote: market::Quote,
    /// What the order holds, in the units of each ledger account.
    pub holds: Vec<(ledger_account::Model, i64)>,
}

impl<C: ConnectionTrait> View<'_, C> {
    /// Decides about an order of a usable account with this cash, or refuses it.
    pub async fn decide(
        &self,
        place: &PlaceOrder,
        account: account::Model,
        cash: &[ledger_account::Model],
    ) -> Result<Decision> {
        if place.side == Side::Buy {
            receivables::require_nothing_owed(cash)?;
        }
        require_open(self.partner.market_hours, self.now)?;
        let instrument = instruments::named(self.app, Some(self.partner.id), &place.symbol)
            .await?
            .ok_or_else(|| Refusal::not_found("symbol"))?;
        let priced = market::priced(self.app, self.connection, self.partner, &instrument, self.now).await?;
        let (quote, last_split) = (priced.quote, priced.splits.iter().map(|split| split.id).max());
        let mut order = self.accepted(place, &account, &instrument, &quote)?;
        order.id = self.app.ids.next_after(Kind::Order, last_split);
        let holds = match order.side {
            Side::Buy => {
                let most = cash_for(&PartnerSettings::at(self.partner, self.now)?, &order, quote.ask)?;
                cash_holds(&order, cash, most, quote.ask, is_settled_cash_only(&account, self.now))?
            }
            Side::Sell => self.share_holds(&order, &instrument, quote.bid).await?,
        };
        place.lots.require_open(self.connection, self.access_scope, &order).await?;
        Ok(Decision { account, order, instrument, quote, holds })
    }

    fn accepted(
        &self,
        place: &PlaceOrder,
        account: &account::Model,
        instrument: &instrument::Model,
        quote: &market::Quote,
    ) -> Result<order::Model> {
        let expires_at = routing::expires_at(self.partner.market_hours, place.time_in_force, self.now);
        Ok(order::Model {
            id: self.app.ids.next(Kind::Order),
            partner_id: self.partner.id,
            account_id: account.id,
            instrument_id: instrument.id,
            side: place.side,
            kind: place.kind,
            time_in_force: place.time_in_force,
            quantity: shares(place, quote)?,
            notional: place.notional,
            limit_price: place.limit_price,
            stop_price: place.stop_price,
            triggered_at: None,
            filled_quantity: Quantity::ZERO,
            filled_average_price: None,
            fill_count: 0,
            status: Status::Accepted,
            reject_code: None,
            submitted_at: self.now,
            expires_at: Some(expires_at),
            replaced_at: None,
            filled_at: None,
            expired_at: None,
            canceled_at: None,
            failed_at: None,
            lot_method: place.lots.method(),
            withdrawal_id: None,
        })
    }

    async fn share_holds(
        &self,
        order: &order::Model,
        instrument: &instrument::Model,
        bid: Price,
    ) -> Result<Vec<(ledger_account::Model, i64)>> {
        let units = ledger::find(self.connection, order.account_id, LedgerKind::Units, &instrument.symbol);
        let units = units.await?;
        let free = Quantity::from_units(units.as_ref().map_or(0, ledger_account::Model::available));
        match units {
            Some(units) if free >= order.quantity => {
                worth(order, bid)?;
                Ok(vec![(units, order.quantity.units())])
            }
            _ => {
                let shown = instruments::shown_symbol(
                    self.app,
                    Some(self.partner.id),
                    instrument.id,
                    &instrument.symbol,
                );
                Err(too_many(free, &shown, order.quantity).into())
            }
        }
    }
}

/// Refuses while the market is closed, and says when it next opens.
pub fn require_open(hours: MarketHours, now: DateTime<Utc>) -> Result<()> {
    let hours = market::hours(hours, now);
    if hours.is_open {
        return Ok(());
    }
    let opens = hours.next_open_at.map_or_else(String::new, |at| {
        format!(" It next opens at {}.", at.to_rfc3339_opts(SecondsFormat::Secs, true))
    });
    Err(Refusal::new(Code::MarketClosed, "", format!("The market is closed.{opens}")).into())
}

/// Returns the shares to trade. Of an order by amount, what it is worth at the quote.
fn shares(place: &PlaceOrder, quote: &market::Quote) -> Result<Quantity> {
    let price = match place.side {
        Side::Buy => quote.ask,
        Side::Sell => quote.bid,
    };
    let Some(notional) = place.notional else { return Ok(place.quantity.unwrap_or_default()) };
    let shares = shares_for(notional, price);
    if shares.is_positive() {
        Ok(shares)
    } else {
        Err(Refusal::invalid("notional", "is worth less than 0.0001 shares").into())
    }
}

fn too_much() -> Refusal {
    Refusal::invalid("quantity", "makes the order's value too large")
}

/// Returns the price at which an order is valued before it is filled: its limit price, its stop price, or else
/// the market's.
pub fn reference_price(order: &order::Model, market: Price) -> Price {
    order.limit_price.or(order.stop_price).unwrap_or(market)
}

/// Returns what an order is worth, or a refusal if that is less than a cent.
pub fn worth(order: &order::Model, market: Price) -> Result<Money> {
    let worth = Money::cost(order.quantity, reference_price(order, market)).ok_or_else(too_much)?;
    if worth.is_positive() {
        Ok(worth)
    } else {
        Err(Refusal::invalid("quantity", "makes the order's value less than one cent").into())
    }
}

/// Returns the cash that an order to buy holds for what is not filled yet.
pub fn cash_for(settings: &PartnerSettings, order: &order::Model, ask: Price) -> Result<Money> {
    let open = order.quantity.minus(order.filled_quantity).unwrap_or_default();
    match order.notional {
        Some(notional) => Ok(notional),
        None => {
            let hold = cash_to_hold(&Terms::from(order), open, ask, settings.market_buy_buffer);
            Ok(hold.ok_or_else(too_much)?)
        }
    }
}

/// Returns the refusal for an order that may cost more than the buying power.
pub fn too_expensive(power: i64, most: i64, only_settled: bool) -> Refusal {
    let (power, most) = (Money::from_units(power), Money::from_units(most));
    let why = if only_settled { " The account is restricted to settled cash." } else { "" };
    let text = format!("Buying power is ${power}; this order may cost up to ${most}.{why}");
    Refusal::new(Code::InsufficientBuyingPower, "quantity", text)
}

/// Returns the holds for the cash that a buy order may cost: of settled cash first, then of unsettled proceeds of
/// sales unless the account is restricted to settled cash.
fn cash_holds(
    order: &order::Model,
    accounts: &[ledger_account::Model],
    most: Money,
    ask: Price,
    only_settled: bool,
) -> Result<Vec<(ledger_account::Model, i64)>> {
    worth(order, ask)?;
    let most = most.units();
    let [cash, unsettled] = of_kinds(accounts, CASH)?;
    let proceeds = if only_settled { 0 } else { unsettled.available() };
    let power = cash.available().saturating_add(proceeds);
    if power < most {
        return Err(too_expensive(power, most, only_settled).into());
    }
    let from_cash = most.min(cash.available());
    Ok(vec![(cash, from_cash), (unsettled, most - from_cash)])
}

/// Returns the refusal for an order to sell more shares than can be sold.
pub fn too_many(free: Quantity, symbol: &str, ordered: Quantity) -> Refusal {
    let text = format!("{free} {symbol} can be sold; this order is for {ordered}.");
    Refusal::new(Code::InsufficientPosition, "quantity", text)
}
