//! What can be traded.

use super::{
    Error, Result,
    page::{Page, Slice},
};
use crate::app::App;
use entity::{Kind, Price, instrument, order};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::OnConflict};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// The instrument with this symbol, in either case.
pub async fn by_symbol(connection: &impl ConnectionTrait, symbol: &str) -> Result<Option<instrument::Model>> {
    let symbol = symbol.trim().to_ascii_uppercase();
    if symbol.len() > 20 || !symbol.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(None);
    }
    Ok(instrument::Entity::find().filter(instrument::Column::Symbol.eq(symbol)).one(connection).await?)
}

/// Everything that can be traded, latest listed first.
pub async fn list(connection: &impl ConnectionTrait, page: &Page) -> Result<Slice<instrument::Model>> {
    page.of(connection, instrument::Entity::find(), instrument::Column::Id).await
}

/// The instrument with this symbol or id.
pub async fn named(connection: &impl ConnectionTrait, symbol_or_id: &str) -> Result<Option<instrument::Model>> {
    if let Some(found) = by_symbol(connection, symbol_or_id).await? {
        return Ok(Some(found));
    }
    let id = super::ids::parse(Kind::Instrument, symbol_or_id);
    if id == Uuid::nil() { Ok(None) } else { Ok(instrument::Entity::find_by_id(id).one(connection).await?) }
}

/// The instruments of these orders, by id.
pub async fn of_orders(connection: &impl ConnectionTrait, orders: &[order::Model]) -> Result<HashMap<Uuid, instrument::Model>> {
    let ids: HashSet<Uuid> = orders.iter().map(|order| order.instrument_id).collect();
    let rows = instrument::Entity::find().filter(instrument::Column::Id.is_in(ids)).all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The instrument of this order.
pub async fn of_order(connection: &impl ConnectionTrait, order: &order::Model) -> Result<instrument::Model> {
    let row = instrument::Entity::find_by_id(order.instrument_id).one(connection).await?;
    row.ok_or_else(|| Error::broken("an order's instrument is gone"))
}

/// Lists the instruments of the built-in market where the list is empty.
pub async fn list_built_in(app: &App) -> Result<()> {
    if instrument::Entity::find().one(&app.db.read).await?.is_some() {
        return Ok(());
    }
    let rows = BUILT_IN.map(|(symbol, name, exchange, dollars)| {
        let row = instrument::Model {
            id: app.ids.next(Kind::Instrument),
            symbol: symbol.to_owned(),
            name: name.to_owned(),
            exchange: exchange.to_owned(),
            asset_class: "us_equity".to_owned(),
            base_price: Price::from_units(dollars * 10_000),
        };
        instrument::ActiveModel::from(row).reset_all()
    });
    let tx = app.db.write().await?;
    instrument::Entity::insert_many(rows)
        .on_conflict(OnConflict::column(instrument::Column::Symbol).do_nothing().to_owned())
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await
}

/// Symbol, name, exchange, and the whole dollars its price wanders around.
const BUILT_IN: [(&str, &str, &str, i64); 34] = [
    ("AAPL", "Apple Inc.", "NASDAQ", 230),
    ("AMZN", "Amazon.com, Inc.", "NASDAQ", 190),
    ("BRK.B", "Berkshire Hathaway Inc. Class B", "NYSE", 460),
    ("GOOG", "Alphabet Inc. Class C", "NASDAQ", 180),
    ("JNJ", "Johnson & Johnson", "NYSE", 160),
    ("JPM", "JPMorgan Chase & Co.", "NYSE", 220),
    ("KO", "The Coca-Cola Company", "NYSE", 68),
    ("META", "Meta Platforms, Inc.", "NASDAQ", 560),
    ("MSFT", "Microsoft Corporation", "NASDAQ", 420),
    ("NVDA", "NVIDIA Corporation", "NASDAQ", 130),
    ("TSLA", "Tesla, Inc.", "NASDAQ", 250),
    ("VTI", "Vanguard Total Stock Market ETF", "NYSE ARCA", 285),
    ("SCHB", "Schwab U.S. Broad Market ETF", "NYSE ARCA", 66),
    ("ITOT", "iShares Core S&P Total U.S. Stock Market ETF", "NYSE ARCA", 126),
    ("SCHF", "Schwab International Equity ETF", "NYSE ARCA", 40),
    ("VEA", "Vanguard FTSE Developed Markets ETF", "NYSE ARCA", 52),
    ("IXUS", "iShares Core MSCI Total International Stock ETF", "NASDAQ", 72),
    ("VWO", "Vanguard FTSE Emerging Markets ETF", "NYSE ARCA", 47),
    ("IEMG", "iShares Core MSCI Emerging Markets ETF", "NYSE ARCA", 57),
    ("SCHE", "Schwab Emerging Markets Equity ETF", "NYSE ARCA", 29),
    ("VIG", "Vanguard Dividend Appreciation ETF", "NYSE ARCA", 198),
    ("SCHD", "Schwab U.S. Dividend Equity ETF", "NYSE ARCA", 84),
    ("DVY", "iShares Select Dividend ETF", "NASDAQ", 135),
    ("VDE", "Vanguard Energy ETF", "NYSE ARCA", 125),
    ("XLE", "Energy Select Sector SPDR Fund", "NYSE ARCA", 90),
    ("VTEB", "Vanguard Tax-Exempt Bond ETF", "NYSE ARCA", 51),
    ("TFI", "SPDR Nuveen ICE Municipal Bond ETF", "NYSE ARCA", 46),
    ("MUB", "iShares National Muni Bond ETF", "NYSE ARCA", 108),
    ("EMB", "iShares J.P. Morgan USD Emerging Markets Bond ETF", "NASDAQ", 92),
    ("PCY", "Invesco Emerging Markets Sovereign Debt ETF", "NYSE ARCA", 21),
    ("EMLC", "VanEck J.P. Morgan EM Local Currency Bond ETF", "NYSE ARCA", 25),
    ("LQD", "iShares iBoxx $ Investment Grade Corporate Bond ETF", "NYSE ARCA", 112),
    ("VCIT", "Vanguard Intermediate-Term Corporate Bond ETF", "NASDAQ", 83),
    ("SPIB", "SPDR Portfolio Intermediate Term Corporate Bond ETF", "NYSE ARCA", 33),
];
