//! Rendering of a statement with 500 lines: 250 trades, each with a line of cash, a line of shares, and half of them
//! with fees and a realized gain.
#![expect(clippy::unwrap_used, reason = "a benchmark fails if its data is wrong")]

use chrono::NaiveDate;
use divan::{Bencher, black_box};
use domain::reporting::statements::{
    Format,
    content::{
        AccountPart, Cash, CashEntry, Content, EntryType, Fee, Gain, Position, ShareEntry, Summary, Trade,
    },
    render,
};
use entity::{
    Money, Price, Quantity,
    account::{AccountKind, Ownership, TaxTreatment},
    lot_closing::Term,
    order::Side,
};
use std::sync::LazyLock;
use uuid::Uuid;

static STATEMENT: LazyLock<Content> = LazyLock::new(statement);

fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 7, 1 + number % 31).unwrap()
}

fn statement() -> Content {
    let price: Price = "262.1234".parse().unwrap();
    let quantity: Quantity = "12.3456".parse().unwrap();
    let amount = Money::cost(quantity, price).unwrap();
    let symbol = || "VTI".to_owned();
    let trades: Vec<Trade> = (0..250)
        .map(|number| Trade {
            date: day(number),
            settlement_date: day(number + 1),
            side: if number % 2 == 0 { Side::Buy } else { Side::Sell },
            symbol: symbol(),
            quantity,
            price,
            amount,
            fees: Money::from_units(4),
            net_amount: amount,
        })
        .collect();
    let kind = |trade: &Trade| match trade.side {
        Side::Buy => EntryType::Purchase,
        Side::Sell => EntryType::Sale,
    };
    let sales = || trades.iter().filter(|trade| trade.side == Side::Sell);
    Content {
        id: Uuid::from_u128(80),
        partner: "Example Brokerage".to_owned(),
        account: AccountPart {
            id: Uuid::from_u128(5),
            number: "ABCD12345".to_owned(),
            r#type: AccountKind::Investment,
            ownership: Ownership::Individual,
            tax_treatment: TaxTreatment::Taxable,
            owners: vec!["Ada Carter".to_owned()],
        },
        start_date: day(0),
        end_date: day(30),
        currency: "USD".to_owned(),
        summary: Summary::default(),
        cash: Cash {
            opening_balance: amount,
            entries: trades
                .iter()
                .map(|trade| CashEntry {
                    date: trade.date,
                    r#type: kind(trade),
                    description: format!("Bought {quantity} VTI at {price}"),
                    amount,
                    balance: amount,
                })
                .collect(),
            closing_balance: amount,
            pending_deposits: Money::ZERO,
            pending_withdrawals: Money::ZERO,
        },
        positions: vec![Position {
            instrument_id: Uuid::from_u128(8),
            symbol: symbol(),
            name: "Vanguard Total Stock Market ETF".to_owned(),
            opening_quantity: quantity,
            opening_price: Some(price),
            opening_value: amount,
            entries: trades
                .iter()
                .map(|trade| ShareEntry {
                    date: trade.date,
                    r#type: kind(trade),
                    quantity,
                    balance: quantity,
                })
                .collect(),
            closing_quantity: quantity,
            closing_price: Some(price),
            closing_value: amount,
        }],
        transfers: Vec::new(),
        dividends: Vec::new(),
        fees: sales()
            .map(|trade| Fee {
                date: trade.date,
                symbol: symbol(),
                sec_fee: Money::from_units(3),
                trading_activity_fee: Money::from_units(1),
                total: trade.fees,
            })
            .collect(),
        realized_gains: sales()
            .map(|trade| Gain {
                symbol: symbol(),
                quantity,
                acquired_date: day(0),
                sold_date: trade.date,
                term: Term::Short,
                proceeds: amount,
                cost_basis: amount,
                gain: Money::ZERO,
            })
            .collect(),
        trades,
    }
}

#[divan::bench]
fn pdf(bencher: Bencher) {
    let file = render(&STATEMENT, Format::Pdf).unwrap();
    assert!(file.starts_with(b"%PDF-") && file == render(&STATEMENT, Format::Pdf).unwrap());
    bencher.bench(|| render(black_box(&STATEMENT), Format::Pdf));
}

#[divan::bench]
fn csv(bencher: Bencher) {
    bencher.bench(|| render(black_box(&STATEMENT), Format::Csv));
}

fn main() {
    divan::main();
}
