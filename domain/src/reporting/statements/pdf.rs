//! A statement as PDF.
#![expect(clippy::float_arithmetic, reason = "places on a page, no amounts")]

mod page;
mod text;

use self::{
    page::{Align, BODY, Color, Column, Layout, MARGIN, Row, SMALL, STRONG, Style, WIDTH},
    text::{Fonts, Weight},
};
use super::content::{Content, Position, ShareEntry};
use crate::Result;
use chrono::NaiveDate;
use entity::{
    Money, Price, Quantity,
    account::{AccountKind, Ownership, TaxTreatment},
    lot_closing::Term,
    order::Side,
};
use krilla::metadata::Metadata;
use std::fmt::Display;

/// Returns the statement as PDF.
pub(super) fn render(content: &Content) -> Result<Vec<u8>> {
    let fonts = Fonts::read()?;
    let mut layout = Layout::new(&fonts);
    head(&mut layout, content);
    summary(&mut layout, content);
    holdings(&mut layout, content);
    cash(&mut layout, content);
    trades(&mut layout, content);
    transfers(&mut layout, content);
    dividends(&mut layout, content);
    fees(&mut layout, content);
    gains(&mut layout, content);
    shares(&mut layout, content);
    layout.y += 14.0;
    layout.note(
        "All amounts are in US dollars. Dates are those of New York. What was booked in the period is listed under the \
         date on which it happened. Cash includes proceeds that have not settled; deposits and withdrawals on the way \
         are not part of it. Realized gains are proceeds less cost, before losses that wash sales disallow; tax forms \
         report these.",
    );
    let title = format!("Statement of account {}", content.account.number);
    let metadata = Metadata::new()
        .title(format!("{title}, {} to {}", content.start_date, content.end_date))
        .authors(vec![content.partner.clone()])
        .creator("Coffer".to_owned())
        .language("en-US".to_owned())
        .document_id(content.id.to_string());
    let header = format!("{}  ·  {title}  ·  {}", content.partner, period(content));
    let footer =
        format!("{}  ·  Account {}  ·  Statement {}", content.partner, content.account.number, content.id);
    layout.finish(&header, &footer, metadata)
}

/// Returns a number with its thousands grouped and a minus sign.
fn grouped(number: impl Display) -> String {
    let text = number.to_string();
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |text| ("\u{2212}", text));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut digits = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            digits.push(',');
        }
        digits.push(digit);
    }
    if fraction.is_empty() { format!("{sign}{digits}") } else { format!("{sign}{digits}.{fraction}") }
}

fn dollars(amount: Money) -> String {
    let text = grouped(amount);
    text.strip_prefix('\u{2212}').map_or_else(|| format!("${text}"), |text| format!("\u{2212}${text}"))
}

fn date(day: NaiveDate) -> String {
    day.format("%m/%d/%Y").to_string()
}

fn long_date(day: NaiveDate) -> String {
    day.format("%B %-d, %Y").to_string()
}

fn period(content: &Content) -> String {
    format!("{} \u{2013} {}", long_date(content.start_date), long_date(content.end_date))
}

fn account_type(content: &Content) -> String {
    let ownership = match content.account.ownership {
        Ownership::Individual => "Individual",
        Ownership::Joint => "Joint",
    };
    let kind = match content.account.r#type {
        AccountKind::Cash => "cash account",
        AccountKind::Investment => "investment account",
    };
    let treatment = match content.account.tax_treatment {
        TaxTreatment::Taxable => "",
        TaxTreatment::TraditionalIra => ", Traditional IRA",
        TaxTreatment::RothIra => ", Roth IRA",
    };
    format!("{ownership} {kind}{treatment}")
}

/// Whose statement it is, of which account, for which period, and what the account was worth.
fn head(layout: &mut Layout<'_>, content: &Content) {
    let end = WIDTH - MARGIN;
    let brand = Style { size: 15.0, weight: Weight::Medium, color: Color::Accent };
    let title = Style { size: 22.0, weight: Weight::Medium, color: Color::Ink };
    let lead = Style { size: 10.5, weight: Weight::Regular, color: Color::Muted };
    let mut y = layout.paragraph(MARGIN, 30.0, 300.0, &content.partner, brand);
    layout.text(MARGIN, y + 32.0, Align::Left, "Account statement", title);
    layout.text(MARGIN, y + 50.0, Align::Left, &period(content), lead);
    let mut right = 45.0;
    let mut fact = |layout: &mut Layout<'_>, label: &str, value: &str| {
        layout.text(end - 190.0, right + STRONG.size * 1.35, Align::Left, label, SMALL);
        right = layout.paragraph(end - 130.0, right, 130.0, value, STRONG) + 3.0;
    };
    fact(layout, "Account", &content.account.number);
    fact(layout, "Type", &account_type(content));
    for (number, owner) in content.account.owners.iter().enumerate() {
        fact(layout, if number == 0 { "Owner" } else { "" }, owner);
    }
    y = (y + 66.0).max(right + 14.0);
    let third = (end - MARGIN) / 3.0;
    let change = content.summary.closing_value.minus(content.summary.opening_value).unwrap_or_default();
    layout.area(MARGIN, y, end - MARGIN, 54.0, Color::Panel);
    layout.area(MARGIN, y, 3.0, 54.0, Color::Accent);
    let figures = [
        (format!("Value before {}", date(content.start_date)), content.summary.opening_value),
        ("Change in the period".to_owned(), change),
        (format!("Value on {}", date(content.end_date)), content.summary.closing_value),
    ];
    let mut x = MARGIN + 16.0;
    for (label, amount) in figures {
        layout.text(x, y + 19.0, Align::Left, &label, Style { size: 8.2, ..SMALL });
        let figure = Style { size: 16.0, weight: Weight::Medium, color: Color::Ink };
        layout.text(x, y + 41.0, Align::Left, &dollars(amount), figure);
        x += third;
    }
    layout.y = y + 54.0;
}

/// How the value changed, and beside it what else counts at the end of the period.
fn summary(layout: &mut Layout<'_>, content: &Content) {
    let summary = &content.summary;
    let cash = &content.cash;
    let half = (WIDTH - 2.0 * MARGIN - 28.0) / 2.0;
    let columns = [
        (
            "How the value changed",
            [
                ("Opening value", summary.opening_value, true),
                ("Deposits", summary.deposits, false),
                ("Withdrawals", summary.withdrawals, false),
                ("Dividends", summary.dividends, false),
                ("Fees", summary.fees, false),
                ("Change in market value", summary.market_change, false),
                ("Closing value", summary.closing_value, true),
            ],
        ),
        (
            "Cash and realized gains",
            [
                ("Opening cash", cash.opening_balance, false),
                ("Closing cash", cash.closing_balance, true),
                ("Deposits on the way", cash.pending_deposits, false),
                ("Withdrawals on the way", cash.pending_withdrawals, false),
                ("Short-term realized gain", summary.short_term_gain, false),
                ("Long-term realized gain", summary.long_term_gain, false),
                ("Value of securities", value_of_securities(content), true),
            ],
        ),
    ];
    let top = layout.y + 24.0;
    let mut x = MARGIN;
    for (title, lines) in columns {
        let heading = Style { size: 11.5, weight: Weight::Medium, color: Color::Accent };
        layout.text(x, top + 8.0, Align::Left, title, heading);
        layout.area(x, top + 15.0, half, 0.9, Color::Accent);
        let mut y = top + 16.0;
        for (label, amount, is_strong) in lines {
            let style = if is_strong { STRONG } else { BODY };
            layout.text(x, y + 12.0, Align::Left, label, style);
            layout.text(x + half, y + 12.0, Align::Right, &grouped(amount), style);
            y += 17.0;
            layout.area(x, y, half, 0.4, Color::Line);
        }
        layout.y = y + 6.0;
        x += half + 28.0;
    }
}

fn value_of_securities(content: &Content) -> Money {
    Money::from_units(content.positions.iter().map(|position| position.closing_value.units()).sum())
}

const fn left(title: &'static str, width: f32) -> Column {
    Column { title, width, align: Align::Left }
}

const fn right(title: &'static str, width: f32) -> Column {
    Column { title, width, align: Align::Right }
}

fn row<const N: usize>(cells: [String; N]) -> Row {
    Row { cells: cells.into(), is_strong: false }
}

fn strong<const N: usize>(cells: [String; N]) -> Row {
    Row { cells: cells.into(), is_strong: true }
}

fn price(price: Option<Price>) -> String {
    price.map(grouped).unwrap_or_default()
}

fn holdings(layout: &mut Layout<'_>, content: &Content) {
    let is_held = |position: &&Position| position.closing_quantity != Quantity::ZERO;
    let mut rows: Vec<Row> = content
        .positions
        .iter()
        .filter(is_held)
        .map(|position| {
            row([
                position.symbol.clone(),
                position.name.clone(),
                grouped(position.closing_quantity),
                price(position.closing_price),
                grouped(position.closing_value),
            ])
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let blank = String::new;
    rows.push(strong([
        blank(),
        "All securities".to_owned(),
        blank(),
        blank(),
        grouped(value_of_securities(content)),
    ]));
    let columns = [
        left("Symbol", 62.0),
        left("Security", 204.0),
        right("Shares", 90.0),
        right("Price", 74.0),
        right("Value", 90.0),
    ];
    layout.table(&format!("Holdings on {}", date(content.end_date)), &columns, &rows);
}

fn cash(layout: &mut Layout<'_>, content: &Content) {
    let cash = &content.cash;
    let balance = |day: NaiveDate, title: &str, balance: Money| {
        strong([date(day), title.to_owned(), String::new(), String::new(), grouped(balance)])
    };
    let mut rows = vec![balance(content.start_date, "Opening balance", cash.opening_balance)];
    rows.extend(cash.entries.iter().map(|entry| {
        row([
            date(entry.date),
            entry.r#type.title().to_owned(),
            entry.description.clone(),
            grouped(entry.amount),
            grouped(entry.balance),
        ])
    }));
    rows.push(balance(content.end_date, "Closing balance", cash.closing_balance));
    let columns = [
        left("Date", 56.0),
        left("Type", 88.0),
        left("Description", 226.0),
        right("Amount", 74.0),
        right("Balance", 76.0),
    ];
    layout.table("Cash", &columns, &rows);
}

fn trades(layout: &mut Layout<'_>, content: &Content) {
    let rows: Vec<Row> = content
        .trades
        .iter()
        .map(|trade| {
            let side = match trade.side {
                Side::Buy => "Buy",
                Side::Sell => "Sell",
            };
            row([
                date(trade.date),
                date(trade.settlement_date),
                side.to_owned(),
                trade.symbol.clone(),
                grouped(trade.quantity),
                grouped(trade.price),
                grouped(trade.amount),
                grouped(trade.fees),
                grouped(trade.net_amount),
            ])
        })
        .collect();
    let columns = [
        left("Trade date", 56.0),
        left("Settlement", 56.0),
        left("Side", 30.0),
        left("Symbol", 56.0),
        right("Shares", 82.0),
        right("Price", 62.0),
        right("Amount", 68.0),
        right("Fees", 40.0),
        right("Net amount", 70.0),
    ];
    section(layout, "Trades", &columns, &rows);
}

/// Places a table, unless it is empty.
fn section(layout: &mut Layout<'_>, title: &str, columns: &[Column], rows: &[Row]) {
    if !rows.is_empty() {
        layout.table(title, columns, rows);
    }
}

fn transfers(layout: &mut Layout<'_>, content: &Content) {
    let rows: Vec<Row> = content
        .transfers
        .iter()
        .map(|transfer| {
            row([
                date(transfer.date),
                transfer.r#type.title().to_owned(),
                format!("Account ending in {}", transfer.bank_account),
                grouped(transfer.amount),
            ])
        })
        .collect();
    let columns =
        [left("Date", 80.0), left("Type", 140.0), left("Bank account", 200.0), right("Amount", 100.0)];
    section(layout, "Deposits and withdrawals", &columns, &rows);
}

fn dividends(layout: &mut Layout<'_>, content: &Content) {
    let rows: Vec<Row> = content
        .dividends
        .iter()
        .map(|dividend| {
            row([
                date(dividend.date),
                dividend.symbol.clone(),
                grouped(dividend.quantity),
                grouped(dividend.per_share),
                grouped(dividend.amount),
            ])
        })
        .collect();
    let columns = [
        left("Paid", 80.0),
        left("Symbol", 130.0),
        right("Shares", 110.0),
        right("Per share", 100.0),
        right("Amount", 100.0),
    ];
    section(layout, "Dividends", &columns, &rows);
}

fn fees(layout: &mut Layout<'_>, content: &Content) {
    let rows: Vec<Row> = content
        .fees
        .iter()
        .map(|fee| {
            row([
                date(fee.date),
                fee.symbol.clone(),
                grouped(fee.sec_fee),
                grouped(fee.trading_activity_fee),
                grouped(fee.total),
            ])
        })
        .collect();
    let columns = [
        left("Trade date", 80.0),
        left("Symbol", 130.0),
        right("SEC fee", 100.0),
        right("Trading activity fee", 110.0),
        right("Total", 100.0),
    ];
    section(layout, "Fees", &columns, &rows);
}

fn gains(layout: &mut Layout<'_>, content: &Content) {
    let rows: Vec<Row> = content
        .realized_gains
        .iter()
        .map(|gain| {
            let term = match gain.term {
                Term::Short => "Short",
                Term::Long => "Long",
            };
            row([
                gain.symbol.clone(),
                grouped(gain.quantity),
                date(gain.acquired_date),
                date(gain.sold_date),
                term.to_owned(),
                grouped(gain.proceeds),
                grouped(gain.cost_basis),
                grouped(gain.gain),
            ])
        })
        .collect();
    let columns = [
        left("Symbol", 58.0),
        right("Shares", 84.0),
        right("Acquired", 62.0),
        right("Sold", 62.0),
        right("Term", 36.0),
        right("Proceeds", 74.0),
        right("Cost", 74.0),
        right("Gain", 70.0),
    ];
    section(layout, "Realized gains and losses", &columns, &rows);
}

/// The securities with what moved: what was held before, the changes, and what was held at the end.
fn shares(layout: &mut Layout<'_>, content: &Content) {
    let mut rows = Vec::new();
    for position in &content.positions {
        let Position { symbol, opening_quantity, closing_quantity, .. } = position;
        let end = |day, title: &str, held: &Quantity, price, value: Money| {
            let (symbol, title) = (symbol.clone(), title.to_owned());
            strong([date(day), symbol, title, String::new(), grouped(held), price, grouped(value)])
        };
        let (opening, closing) = (price(position.opening_price), price(position.closing_price));
        rows.push(end(
            content.start_date,
            "Opening position",
            opening_quantity,
            opening,
            position.opening_value,
        ));
        rows.extend(position.entries.iter().map(|entry: &ShareEntry| {
            row([
                date(entry.date),
                symbol.clone(),
                entry.r#type.title().to_owned(),
                grouped(entry.quantity),
                grouped(entry.balance),
                String::new(),
                String::new(),
            ])
        }));
        rows.push(end(
            content.end_date,
            "Closing position",
            closing_quantity,
            closing,
            position.closing_value,
        ));
    }
    let columns = [
        left("Date", 58.0),
        left("Symbol", 58.0),
        left("Type", 100.0),
        right("Shares", 80.0),
        right("Held", 80.0),
        right("Price", 66.0),
        right("Value", 78.0),
    ];
    section(layout, "Share activity", &columns, &rows);
}
