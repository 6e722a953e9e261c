//! Works out a statement from the ledger, and from the rows that explain its movements.
//!
//! Everything is checked on the way: the opening balances and the entries must add up to the closing balances, and each
//! trade must have moved what its fill says. A statement that does not add up is a fault.

use super::{
    content::{
        AccountPart, Cash, CashEntry, Content, Dividend, EntryType, Fee, Gain, Position, ShareEntry, Summary,
        Trade, Transfer,
    },
    period::{Period, eve},
    prices,
    sources::{self, Sources},
};
use crate::{
    Error, Result,
    kernel::{
        calendar,
        command::CommandContext,
        events::{Event, Subject, TransferState},
        ledger::{self, PastBalance, PastMovement, USD},
    },
};
use chrono::{DateTime, NaiveDate, Utc};
use entity::{
    Money, Price, Quantity, account,
    corporate_action::ActionKind,
    fill, instrument,
    ledger_account::LedgerKind,
    lot_closing::{self, Term},
    order::Side,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// Kinds of ledger accounts whose sum is the cash of an account.
const CASH: [LedgerKind; 3] = [LedgerKind::Cash, LedgerKind::Unsettled, LedgerKind::Receivable];

fn does_not_add_up(what: &str) -> Error {
    Error::broken(format!("a statement does not add up: {what}"))
}

fn too_large() -> Error {
    Error::broken("an amount of a statement exceeds 64 bits")
}

/// The books of an account in a period.
pub(super) struct Books {
    opening: Vec<PastBalance>,
    movements: Vec<PastMovement>,
    closing: Vec<PastBalance>,
}

impl Books {
    /// Reads the books of a period. Fails if they do not add up.
    pub async fn read(ctx: &CommandContext<'_>, account_id: Uuid, period: &Period) -> Result<Self> {
        let (opens_after, closes_at) = (period.opens_after(), period.closes_at());
        let books = Self {
            opening: ledger::balances_at(ctx.tx, account_id, opens_after).await?,
            movements: ledger::movements(ctx.tx, account_id, opens_after, closes_at).await?,
            closing: ledger::balances_at(ctx.tx, account_id, closes_at).await?,
        };
        let mut sums: HashMap<(LedgerKind, &str), i64> = HashMap::new();
        for held in &books.opening {
            *sums.entry((held.kind, &held.asset)).or_default() += held.balance;
        }
        for moved in &books.movements {
            *sums.entry((moved.kind, &moved.asset)).or_default() += moved.amount;
        }
        for held in &books.closing {
            *sums.entry((held.kind, &held.asset)).or_default() -= held.balance;
        }
        match sums.into_iter().find(|(_, left)| *left != 0) {
            Some(((kind, asset), left)) => Err(does_not_add_up(&format!("{kind:?} of {asset} by {left}"))),
            None => Ok(books),
        }
    }

    /// Whether the account had nothing, and nothing happened.
    pub fn are_empty(&self) -> bool {
        self.movements.is_empty() && self.closing.iter().all(|held| held.balance == 0)
    }

    fn sum(balances: &[PastBalance], kinds: &[LedgerKind]) -> Money {
        let of_kinds = balances.iter().filter(|held| held.asset == USD && kinds.contains(&held.kind));
        Money::from_units(of_kinds.map(|held| held.balance).sum())
    }

    fn units(balances: &[PastBalance], asset: &str) -> Quantity {
        let held = balances.iter().find(|held| held.kind == LedgerKind::Units && held.asset == asset);
        Quantity::from_units(held.map_or(0, |held| held.balance))
    }

    /// Returns the movements of each event, in order.
    fn by_cause(&self) -> Vec<(Uuid, Vec<&PastMovement>)> {
        let mut places: HashMap<Uuid, usize> = HashMap::new();
        let mut causes: Vec<(Uuid, Vec<&PastMovement>)> = Vec::new();
        for moved in &self.movements {
            let place = *places.entry(moved.cause_id).or_insert(causes.len());
            match causes.get_mut(place) {
                Some((_, movements)) => movements.push(moved),
                None => causes.push((moved.cause_id, vec![moved])),
            }
        }
        causes
    }
}

/// What moved cash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Trade,
    Deposit,
    Withdrawal,
    CorporateAction,
}

/// Returns what a movement of cash was for, by the account on the other side and by its event.
fn class(other: LedgerKind, event: &Event) -> Result<Class> {
    use LedgerKind as K;
    match (other, event.subject()) {
        (K::PendingDeposit, _) => Ok(Class::Deposit),
        (K::PendingWithdrawal, _) => Ok(Class::Withdrawal),
        (K::ClearingPayable | K::ClearingReceivable, _) => Ok(Class::Trade),
        (K::BankFbo, Subject::Entitlement(_)) => Ok(Class::CorporateAction),
        (K::BankFbo | K::BankAchInTransit, Subject::Transfer(_)) => {
            Ok(if event.event_type().name().starts_with("deposit.") {
                Class::Deposit
            } else {
                Class::Withdrawal
            })
        }
        _ => Err(Error::broken(format!("a statement does not know movements with {other:?}"))),
    }
}

/// A statement that is being written.
struct Draft {
    sources: Sources,
    cash: Vec<CashEntry>,
    balance: Money,
    /// Entries of each security, by the symbol of the ledger.
    shares: HashMap<String, Vec<ShareEntry>>,
    trades: Vec<Trade>,
    transfers: Vec<Transfer>,
    dividends: Vec<Dividend>,
    fees: Vec<Fee>,
    /// Fills and entitlements that may have realized gains, and when the first and last of them were.
    gain_causes: HashSet<Uuid>,
    gains_between: Option<(DateTime<Utc>, DateTime<Utc>)>,
    summary: Summary,
}

/// Works out the statement of an account.
pub(super) async fn content(
    ctx: &CommandContext<'_>,
    id: Uuid,
    account: &account::Model,
    period: &Period,
    books: &Books,
) -> Result<Content> {
    let sources = Sources::read(ctx, account, &books.movements, &books.closing, period.closes_at()).await?;
    let opening_balance = Books::sum(&books.opening, &CASH);
    let mut draft = Draft {
        sources,
        cash: Vec::new(),
        balance: opening_balance,
        shares: HashMap::new(),
        trades: Vec::new(),
        transfers: Vec::new(),
        dividends: Vec::new(),
        fees: Vec::new(),
        gain_causes: HashSet::new(),
        gains_between: None,
        summary: Summary::default(),
    };
    for (cause, movements) in books.by_cause() {
        draft.add(cause, &movements)?;
    }
    let closing_balance = Books::sum(&books.closing, &CASH);
    if draft.balance != closing_balance {
        return Err(does_not_add_up("cash"));
    }
    let positions = draft.positions(ctx, account, period, books).await?;
    let realized_gains = match draft.gains_between {
        Some(between) => draft.gains(ctx, account.id, between).await?,
        None => Vec::new(),
    };
    let Draft { cash, trades, transfers, dividends, fees, mut summary, .. } = draft;
    close(&mut summary, opening_balance, closing_balance, &positions)?;
    Ok(Content {
        id,
        partner: ctx.partner.name.clone(),
        account: AccountPart {
            id: account.id,
            number: account.number.clone(),
            r#type: account.kind,
            ownership: account.ownership,
            tax_treatment: account.tax_treatment,
            owners: sources::owners(ctx, account).await?,
        },
        start_date: period.start_on,
        end_date: period.end_on,
        currency: USD.to_owned(),
        summary,
        cash: Cash {
            opening_balance,
            entries: cash,
            closing_balance,
            pending_deposits: Books::sum(&books.closing, &[LedgerKind::PendingDeposit]),
            pending_withdrawals: Books::sum(&books.closing, &[LedgerKind::PendingWithdrawal]),
        },
        positions,
        trades,
        transfers,
        dividends,
        fees,
        realized_gains,
    })
}

/// Completes the summary with the values at both ends, and with what explains the rest of the change.
fn close(summary: &mut Summary, opening: Money, closing: Money, positions: &[Position]) -> Result<()> {
    let total = |cash: Money, value: fn(&Position) -> Money| {
        positions.iter().try_fold(cash, |sum, position| sum.plus(value(position))).ok_or_else(too_large)
    };
    summary.opening_value = total(opening, |position| position.opening_value)?;
    summary.closing_value = total(closing, |position| position.closing_value)?;
    let explained = [summary.deposits, summary.withdrawals, summary.dividends, summary.fees];
    let explained = explained.into_iter().try_fold(summary.opening_value, Money::plus);
    let rest = explained.and_then(|explained| summary.closing_value.minus(explained));
    summary.market_change = rest.ok_or_else(too_large)?;
    Ok(())
}

fn add(sum: &mut Money, amount: Money) -> Result<()> {
    *sum = sum.plus(amount).ok_or_else(too_large)?;
    Ok(())
}

impl Draft {
    /// Adds what one event moved.
    fn add(&mut self, cause: Uuid, movements: &[&PastMovement]) -> Result<()> {
        let event = self.sources.event(cause)?.clone();
        let Some(at) = movements.first().map(|moved| moved.effective_at) else { return Ok(()) };
        let date = calendar::new_york_date(at);
        let mut sums: Vec<(Class, i64)> = Vec::new();
        for moved in movements.iter().filter(|moved| CASH.contains(&moved.kind)) {
            if CASH.contains(&moved.other) {
                continue;
            }
            let class = class(moved.other, &event)?;
            match sums.iter_mut().find(|(other, _)| *other == class) {
                Some((_, sum)) => *sum += moved.amount,
                None => sums.push((class, moved.amount)),
            }
        }
        let of = |class| sums.iter().find(|(other, _)| *other == class).map_or(0, |(_, sum)| *sum);
        if let Subject::Order(order) = event.subject() {
            for moved in movements.iter().filter(|moved| moved.kind == LedgerKind::Units) {
                let quantity = Quantity::from_units(moved.amount.saturating_abs());
                let fill = self.sources.claim_fill(order.id, at, quantity)?;
                self.trade(&fill, moved, Money::from_units(of(Class::Trade)))?;
            }
            let set_aside = Money::from_units(of(Class::Withdrawal));
            if set_aside != Money::ZERO {
                let withdrawal = self.sources.withdrawal_of(order.id)?;
                self.transfer(date, withdrawal, EntryType::Withdrawal, set_aside, None)?;
            }
        }
        if let Subject::Transfer(transfer) = event.subject() {
            for (class, amount) in sums.iter().filter(|(_, amount)| *amount != 0) {
                let kind = match (class, *amount > 0) {
                    (Class::Deposit, true) => EntryType::Deposit,
                    (Class::Deposit, false) => EntryType::DepositReversal,
                    (_, false) => EntryType::Withdrawal,
                    (_, true) => EntryType::WithdrawalReversal,
                };
                self.transfer(date, transfer.id, kind, Money::from_units(*amount), Some(transfer))?;
            }
        }
        if let Subject::Entitlement(applied) = event.subject() {
            let symbol = self.sources.symbol_of(applied.instrument_id)?;
            let amount = Money::from_units(of(Class::CorporateAction));
            for moved in movements.iter().filter(|moved| moved.kind == LedgerKind::Units) {
                self.share_entry(&moved.asset, date, EntryType::Split, moved.amount)?;
            }
            if applied.kind == ActionKind::CashDividend {
                let per_share = self.sources.action(applied.corporate_action_id)?.per_share;
                let (quantity, per_share) = (applied.quantity, per_share.unwrap_or_default());
                let text = format!("Dividend on {quantity} {symbol}");
                self.cash_entry(date, EntryType::Dividend, text, amount)?;
                add(&mut self.summary.dividends, amount)?;
                self.dividends.push(Dividend { date, symbol, quantity, per_share, amount });
            } else {
                if amount != Money::ZERO {
                    let text = format!("Cash for fractions of {symbol}");
                    self.cash_entry(date, EntryType::CashInLieu, text, amount)?;
                }
                // A fraction that is worth less than half a cent is sold for nothing.
                self.may_have_gain(applied.id, at);
            }
        }
        Ok(())
    }

    fn cash_entry(
        &mut self,
        date: NaiveDate,
        kind: EntryType,
        description: String,
        amount: Money,
    ) -> Result<()> {
        add(&mut self.balance, amount)?;
        self.cash.push(CashEntry { date, r#type: kind, description, amount, balance: self.balance });
        Ok(())
    }

    /// Adds a change of the number of shares; its balance is worked out when all are known.
    fn share_entry(&mut self, asset: &str, date: NaiveDate, kind: EntryType, units: i64) -> Result<()> {
        let quantity = Quantity::from_units(units);
        let entries = self.shares.entry(asset.to_owned()).or_default();
        let before = entries.last().map_or(Quantity::ZERO, |last| last.balance);
        let balance = before.plus(quantity).ok_or_else(too_large)?;
        entries.push(ShareEntry { date, r#type: kind, quantity, balance });
        Ok(())
    }

    fn trade(&mut self, fill: &fill::Model, moved: &PastMovement, paid: Money) -> Result<()> {
        let date = calendar::new_york_date(fill.traded_at);
        let symbol = self.sources.symbol_of_asset(&moved.asset)?;
        let net = fill.net_amount();
        let (kind, verb, expected) = match fill.side {
            Side::Buy => (EntryType::Purchase, "Bought", Money::from_units(-net.units())),
            Side::Sell => (EntryType::Sale, "Sold", net),
        };
        if paid != expected || (moved.amount > 0) != (fill.side == Side::Buy) {
            return Err(does_not_add_up(&format!("fill {}", fill.id)));
        }
        self.share_entry(&moved.asset, date, kind, moved.amount)?;
        let (quantity, price) = (fill.quantity, fill.price);
        self.cash_entry(date, kind, format!("{verb} {quantity} {symbol} at {price}"), paid)?;
        let fees = fill.fees();
        if fees.is_positive() {
            add(&mut self.summary.fees, Money::from_units(-fees.units()))?;
            self.fees.push(Fee {
                date,
                symbol: symbol.clone(),
                sec_fee: fill.sec_fee,
                trading_activity_fee: fill.trading_activity_fee,
                total: fees,
            });
        }
        if fill.side == Side::Sell {
            self.may_have_gain(fill.id, fill.traded_at);
        }
        self.trades.push(Trade {
            date,
            settlement_date: calendar::new_york_date(fill.settles_at),
            side: fill.side,
            symbol,
            quantity,
            price,
            amount: fill.amount,
            fees,
            net_amount: net,
        });
        Ok(())
    }

    fn transfer(
        &mut self,
        date: NaiveDate,
        transfer_id: Uuid,
        kind: EntryType,
        amount: Money,
        state: Option<&TransferState>,
    ) -> Result<()> {
        let bank_account = self.sources.bank_account(transfer_id)?.to_owned();
        let mut description = match kind {
            EntryType::Deposit => format!("Deposit from account ending in {bank_account}"),
            EntryType::Withdrawal => format!("Withdrawal to account ending in {bank_account}"),
            EntryType::DepositReversal => {
                format!("Deposit from account ending in {bank_account} reversed")
            }
            _ => format!("Withdrawal to account ending in {bank_account} reversed"),
        };
        if let Some(code) = state.and_then(|state| state.return_code) {
            description.push_str(&format!(": {}", crate::funding::return_codes::meaning(code)));
        }
        self.cash_entry(date, kind, description, amount)?;
        let sum = match kind {
            EntryType::Deposit | EntryType::DepositReversal => &mut self.summary.deposits,
            _ => &mut self.summary.withdrawals,
        };
        add(sum, amount)?;
        self.transfers.push(Transfer { date, r#type: kind, bank_account, amount });
        Ok(())
    }

    fn may_have_gain(&mut self, cause: Uuid, at: DateTime<Utc>) {
        self.gain_causes.insert(cause);
        let (first, last) = self.gains_between.unwrap_or((at, at));
        self.gains_between = Some((first.min(at), last.max(at)));
    }

    /// Returns the securities with their entries, and adds the opening quantity to the balances of these.
    async fn positions(
        &mut self,
        ctx: &CommandContext<'_>,
        account: &account::Model,
        period: &Period,
        books: &Books,
    ) -> Result<Vec<Position>> {
        let held = |balances: &[PastBalance]| -> Vec<Arc<instrument::Model>> {
            let instruments = self.sources.instruments().iter();
            let held = instruments.filter(|(asset, _)| Books::units(balances, asset) != Quantity::ZERO);
            held.map(|(_, instrument)| instrument.clone()).collect()
        };
        let opening_prices =
            prices::at_end_of(ctx, account, eve(period.start_on), &held(&books.opening)).await?;
        let closing_prices = prices::at_end_of(ctx, account, period.end_on, &held(&books.closing)).await?;
        let mut positions = Vec::new();
        for (asset, instrument) in self.sources.instruments() {
            let (opening_quantity, closing_quantity) =
                (Books::units(&books.opening, asset), Books::units(&books.closing, asset));
            let mut entries = self.shares.remove(asset).unwrap_or_default();
            for entry in &mut entries {
                entry.balance = entry.balance.plus(opening_quantity).ok_or_else(too_large)?;
            }
            if entries.last().map_or(opening_quantity, |last| last.balance) != closing_quantity {
                return Err(does_not_add_up(asset));
            }
            if entries.is_empty() && closing_quantity == Quantity::ZERO {
                continue;
            }
            let valued = |quantity: Quantity, prices| -> Result<(Option<Price>, Money)> {
                if quantity == Quantity::ZERO {
                    return Ok((None, Money::ZERO));
                }
                let price = prices::of(prices, instrument.id)?;
                Ok((Some(price), Money::cost(quantity, price).ok_or_else(too_large)?))
            };
            let (opening_price, opening_value) = valued(opening_quantity, &opening_prices)?;
            let (closing_price, closing_value) = valued(closing_quantity, &closing_prices)?;
            positions.push(Position {
                instrument_id: instrument.id,
                symbol: self.sources.symbol(instrument),
                name: instrument.name.clone(),
                opening_quantity,
                opening_price,
                opening_value,
                entries,
                closing_quantity,
                closing_price,
                closing_value,
            });
        }
        if !self.shares.is_empty() {
            return Err(does_not_add_up("shares without an account"));
        }
        positions.sort_by(|one, other| one.symbol.cmp(&other.symbol));
        Ok(positions)
    }

    async fn gains(
        &mut self,
        ctx: &CommandContext<'_>,
        account_id: Uuid,
        between: (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Vec<Gain>> {
        let closings = sources::gains(ctx, account_id, &self.gain_causes, between).await?;
        let mut gains = Vec::with_capacity(closings.len());
        for closing in closings {
            let lot_closing::Model { quantity, term, proceeds, basis, .. } = closing;
            let gain = proceeds.minus(basis).ok_or_else(too_large)?;
            add(
                match term {
                    Term::Short => &mut self.summary.short_term_gain,
                    Term::Long => &mut self.summary.long_term_gain,
                },
                gain,
            )?;
            gains.push(Gain {
                symbol: self.sources.symbol_of(closing.instrument_id)?,
                quantity,
                acquired_date: closing.held_since,
                sold_date: closing.closed_on,
                term,
                proceeds,
                cost_basis: basis,
                gain,
            });
        }
        Ok(gains)
    }
}
