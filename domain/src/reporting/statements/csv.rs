//! A statement as CSV (RFC 4180): one line for each of its parts, with the same columns for all.

use super::content::{Content, EntryType};
use crate::{Error, Result};
use entity::{lot_closing::Term, order::Side};

const COLUMNS: [&str; 14] = [
    "section",
    "date",
    "type",
    "symbol",
    "description",
    "quantity",
    "price",
    "amount",
    "fees",
    "net_amount",
    "balance",
    "acquired_date",
    "settlement_date",
    "cost_basis",
];

/// A line; what it does not have is empty.
#[derive(Default)]
struct Line {
    section: &'static str,
    date: String,
    kind: String,
    symbol: String,
    description: String,
    quantity: String,
    price: String,
    amount: String,
    fees: String,
    net_amount: String,
    balance: String,
    acquired_date: String,
    settlement_date: String,
    cost_basis: String,
}

impl Line {
    fn fields(&self) -> [&str; 14] {
        [
            self.section,
            &self.date,
            &self.kind,
            &self.symbol,
            &self.description,
            &self.quantity,
            &self.price,
            &self.amount,
            &self.fees,
            &self.net_amount,
            &self.balance,
            &self.acquired_date,
            &self.settlement_date,
            &self.cost_basis,
        ]
    }
}

/// Returns the statement as CSV with a header line.
pub(super) fn render(content: &Content) -> Result<Vec<u8>> {
    let unwritten = || Error::broken("a statement cannot be written as CSV");
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(|_| unwritten())?;
    for line in lines(content) {
        writer.write_record(line.fields()).map_err(|_| unwritten())?;
    }
    writer.into_inner().map_err(|_| unwritten())
}

fn lines(content: &Content) -> Vec<Line> {
    let mut lines = head(content);
    lines.extend(cash(content));
    lines.extend(shares(content));
    lines.extend(content.trades.iter().map(|trade| Line {
        section: "trade",
        date: trade.date.to_string(),
        kind: match trade.side {
            Side::Buy => EntryType::Purchase.name().to_owned(),
            Side::Sell => EntryType::Sale.name().to_owned(),
        },
        symbol: trade.symbol.clone(),
        quantity: trade.quantity.to_string(),
        price: trade.price.to_string(),
        amount: trade.amount.to_string(),
        fees: trade.fees.to_string(),
        net_amount: trade.net_amount.to_string(),
        settlement_date: trade.settlement_date.to_string(),
        ..Line::default()
    }));
    lines.extend(content.transfers.iter().map(|transfer| Line {
        section: "transfer",
        date: transfer.date.to_string(),
        kind: transfer.r#type.name().to_owned(),
        description: format!("Account ending in {}", transfer.bank_account),
        amount: transfer.amount.to_string(),
        ..Line::default()
    }));
    lines.extend(content.dividends.iter().map(|dividend| Line {
        section: "dividend",
        date: dividend.date.to_string(),
        symbol: dividend.symbol.clone(),
        quantity: dividend.quantity.to_string(),
        price: dividend.per_share.to_string(),
        amount: dividend.amount.to_string(),
        ..Line::default()
    }));
    for fee in &content.fees {
        let parts = [("sec_fee", fee.sec_fee), ("trading_activity_fee", fee.trading_activity_fee)];
        lines.extend(parts.map(|(kind, amount)| Line {
            section: "fee",
            date: fee.date.to_string(),
            kind: kind.to_owned(),
            symbol: fee.symbol.clone(),
            fees: amount.to_string(),
            ..Line::default()
        }));
    }
    lines.extend(content.realized_gains.iter().map(|gain| Line {
        section: "realized_gain",
        date: gain.sold_date.to_string(),
        kind: match gain.term {
            Term::Short => "short_term".to_owned(),
            Term::Long => "long_term".to_owned(),
        },
        symbol: gain.symbol.clone(),
        quantity: gain.quantity.to_string(),
        amount: gain.gain.to_string(),
        net_amount: gain.proceeds.to_string(),
        acquired_date: gain.acquired_date.to_string(),
        cost_basis: gain.cost_basis.to_string(),
        ..Line::default()
    }));
    lines
}

/// The account and the summary.
fn head(content: &Content) -> Vec<Line> {
    let summary = &content.summary;
    let account = Line {
        section: "account",
        date: content.end_date.to_string(),
        kind: "statement".to_owned(),
        description: format!("{}, account {}", content.partner, content.account.number),
        acquired_date: content.start_date.to_string(),
        ..Line::default()
    };
    let amounts = [
        ("opening_value", summary.opening_value),
        ("deposits", summary.deposits),
        ("withdrawals", summary.withdrawals),
        ("dividends", summary.dividends),
        ("fees", summary.fees),
        ("market_change", summary.market_change),
        ("closing_value", summary.closing_value),
        ("short_term_gain", summary.short_term_gain),
        ("long_term_gain", summary.long_term_gain),
        ("pending_deposits", content.cash.pending_deposits),
        ("pending_withdrawals", content.cash.pending_withdrawals),
    ];
    let amounts = amounts.map(|(kind, amount)| Line {
        section: "summary",
        kind: kind.to_owned(),
        amount: amount.to_string(),
        ..Line::default()
    });
    std::iter::once(account).chain(amounts).collect()
}

fn cash(content: &Content) -> Vec<Line> {
    let balance = |kind: &str, date: chrono::NaiveDate, balance: entity::Money| Line {
        section: "cash",
        date: date.to_string(),
        kind: kind.to_owned(),
        balance: balance.to_string(),
        ..Line::default()
    };
    let entries = content.cash.entries.iter().map(|entry| Line {
        description: entry.description.clone(),
        amount: entry.amount.to_string(),
        ..balance(entry.r#type.name(), entry.date, entry.balance)
    });
    let opening = balance("opening", content.start_date, content.cash.opening_balance);
    let closing = balance("closing", content.end_date, content.cash.closing_balance);
    std::iter::once(opening).chain(entries).chain(std::iter::once(closing)).collect()
}

fn shares(content: &Content) -> Vec<Line> {
    let mut lines = Vec::new();
    for position in &content.positions {
        let line = |kind: &str, date: chrono::NaiveDate, balance: entity::Quantity| Line {
            section: "shares",
            date: date.to_string(),
            kind: kind.to_owned(),
            symbol: position.symbol.clone(),
            description: position.name.clone(),
            balance: balance.to_string(),
            ..Line::default()
        };
        let price = |price: Option<entity::Price>| price.map(|price| price.to_string()).unwrap_or_default();
        lines.push(Line {
            price: price(position.opening_price),
            amount: position.opening_value.to_string(),
            ..line("opening", content.start_date, position.opening_quantity)
        });
        lines.extend(position.entries.iter().map(|entry| Line {
            quantity: entry.quantity.to_string(),
            ..line(entry.r#type.name(), entry.date, entry.balance)
        }));
        lines.push(Line {
            price: price(position.closing_price),
            amount: position.closing_value.to_string(),
            ..line("closing", content.end_date, position.closing_quantity)
        });
    }
    lines
}
