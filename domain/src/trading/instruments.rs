//! Tradable instruments.

mod catalog;

pub use catalog::{Catalog, current};

use super::wrong_lines::WrongLines;
use crate::{
    Code, Error, Refusal, Result, Visible,
    kernel::{
        actor::AccessScope,
        app::App,
        command::CommandContext,
        db::{Db, WriteTransaction},
        ids::Ids,
        lists::{Filter, SortedPage},
        pages::Slice,
        rows,
        visible::Owner,
    },
};
use csv::{ByteRecord, StringRecord};
use entity::{
    Kind, Price,
    instrument::{self, AssetClass},
    order, partner_symbol,
};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::Set, ConnectionTrait, EntityTrait, Iterable, Statement,
    sea_query::OnConflict,
};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// Instruments are visible to everyone.
impl Visible for instrument::Entity {
    const ID: instrument::Column = instrument::Column::Id;
    const OWNER: Owner<instrument::Column> = Owner::Everyone;
}

/// Returns a ticker symbol as it is stored.
pub fn normalized(symbol: &str) -> String {
    symbol.trim().to_ascii_uppercase()
}

/// Returns the instrument with this id, from memory.
pub async fn by_id(app: &App, id: Uuid) -> Result<Option<Arc<instrument::Model>>> {
    found(app, |catalog| catalog.by_id(id).cloned()).await
}

/// Returns the instrument with this symbol, in upper or lower case, from memory: the symbol that it has for a partner.
///
/// The row has the symbol of the installation, under which the ledger and the market know it; see [`shown`].
pub async fn by_symbol(
    app: &App,
    partner_id: Option<Uuid>,
    symbol: &str,
) -> Result<Option<Arc<instrument::Model>>> {
    found(app, |catalog| catalog.by_symbol(partner_id, symbol).cloned()).await
}

/// Returns the instrument with this symbol or id, from memory, as `by_symbol` does.
pub async fn named(
    app: &App,
    partner_id: Option<Uuid>,
    symbol_or_id: &str,
) -> Result<Option<Arc<instrument::Model>>> {
    let id = crate::kernel::ids::parse(Kind::Instrument, symbol_or_id);
    let find = |catalog: &Catalog| {
        catalog.by_symbol(partner_id, symbol_or_id).or_else(|| catalog.by_id(id)).cloned()
    };
    found(app, find).await
}

/// Returns an instrument as it is shown to a partner: with the symbol that it has had since a symbol change.
pub async fn shown(
    app: &App,
    partner_id: Option<Uuid>,
    instrument: &Arc<instrument::Model>,
) -> Result<Arc<instrument::Model>> {
    Ok(match catalog::current(app).await?.symbol_since_change(partner_id, instrument.id) {
        Some(symbol) => Arc::new(instrument::Model { symbol: symbol.to_owned(), ..(**instrument).clone() }),
        None => instrument.clone(),
    })
}

/// Returns the symbol of an instrument as it is shown to a partner, by what is in memory.
pub fn shown_symbol(app: &App, partner_id: Option<Uuid>, instrument_id: Uuid, symbol: &str) -> String {
    let catalog = catalog::in_memory(app);
    let changed = catalog.as_ref().and_then(|catalog| catalog.symbol_since_change(partner_id, instrument_id));
    changed.unwrap_or(symbol).to_owned()
}

/// Gives an instrument another symbol for the partner of the command.
pub(super) async fn rename(ctx: &CommandContext<'_>, instrument_id: Uuid, symbol: &str) -> Result<()> {
    use partner_symbol::Column;
    let row = partner_symbol::ActiveModel {
        partner_id: Set(ctx.partner.id),
        instrument_id: Set(instrument_id),
        symbol: Set(symbol.to_owned()),
    };
    let renamed = OnConflict::columns([Column::PartnerId, Column::InstrumentId])
        .update_column(Column::Symbol)
        .to_owned();
    partner_symbol::Entity::insert(row).on_conflict(renamed).exec_without_returning(ctx.tx).await?;
    catalog::change(ctx.tx, ctx.app.ids).await
}

/// Returns the condition that a row of a table with a column `instrument_id` has the instrument with this symbol, in
/// upper or lower case.
pub fn of_symbol(symbol: &str) -> Filter {
    Filter::of_symbol("instrument_id = {}", symbol)
}

/// Returns the condition that the symbol of an instrument for a partner, or a word of its name, starts with this text.
pub fn matching(partner_id: Option<Uuid>, text: &str) -> Filter {
    let symbol = "coalesce((SELECT changed.symbol FROM partner_symbol AS changed WHERE changed.instrument_id = \
                  instrument.id AND changed.partner_id = {partner}), symbol)";
    Filter::word_starts_with(&[symbol, "name"], partner_id.unwrap_or_default(), text.trim())
}

/// Returns filters with the instruments that have their symbols for a partner, which are in memory.
pub async fn resolved<'a>(
    app: &App,
    partner_id: Option<Uuid>,
    filters: &'a [Filter],
) -> Result<Cow<'a, [Filter]>> {
    if filters.iter().all(|filter| filter.symbol().is_none()) {
        return Ok(filters.into());
    }
    let mut resolved = Vec::with_capacity(filters.len());
    for filter in filters {
        let found = match filter.symbol() {
            Some(symbol) => by_symbol(app, partner_id, symbol).await?,
            None => None,
        };
        resolved.push(found.map_or_else(|| filter.clone(), |instrument| filter.of_instrument(instrument.id)));
    }
    Ok(resolved.into())
}

/// Whether a text has the form of a symbol: 1 to 20 capital letters, digits, dots, hyphens or slashes.
pub(super) fn is_symbol(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b".-/".contains(&byte);
    (1..=20).contains(&text.len()) && text.bytes().all(fits)
}

/// Returns the instruments with these ids that exist, from memory.
pub async fn known(app: &App, ids: &[Uuid]) -> Result<Vec<Arc<instrument::Model>>> {
    let catalog = current(app).await?;
    let found: Vec<_> = ids.iter().filter_map(|id| catalog.by_id(*id).cloned()).collect();
    if found.len() == ids.len() {
        return Ok(found);
    }
    let catalog = catalog::latest(app).await?;
    Ok(ids.iter().filter_map(|id| catalog.by_id(*id).cloned()).collect())
}

/// Looks in the instruments of the last second; if nothing is found there, in the current ones.
async fn found<T>(app: &App, find: impl Fn(&Catalog) -> Option<T>) -> Result<Option<T>> {
    match find(&*catalog::current(app).await?) {
        None => Ok(find(&*catalog::latest(app).await?)),
        found => Ok(found),
    }
}

/// Returns a page of the instruments that match all filters.
pub async fn list(
    connection: &impl ConnectionTrait,
    page: &SortedPage<instrument::Column>,
    filters: &[Filter],
) -> Result<Slice<instrument::Model>> {
    rows::page::<instrument::Entity>(connection, AccessScope::all_of(Uuid::nil()), page, filters).await
}

/// Returns the instruments of these orders, by id, from memory, as they are shown to the partner.
pub async fn shown_of_orders(
    app: &App,
    orders: &[order::Model],
) -> Result<HashMap<Uuid, Arc<instrument::Model>>> {
    let mut rows = HashMap::new();
    for order in orders {
        rows.insert(order.instrument_id, shown_of_order(app, order).await?);
    }
    Ok(rows)
}

/// Returns the instrument of this order, from memory, as it is shown to the partner.
pub async fn shown_of_order(app: &App, order: &order::Model) -> Result<Arc<instrument::Model>> {
    shown(app, Some(order.partner_id), &of_order(app, order).await?).await
}

/// Returns the instruments with these ids, by id, from memory. Fails if one does not exist.
pub async fn by_ids(app: &App, ids: &[Uuid]) -> Result<HashMap<Uuid, Arc<instrument::Model>>> {
    let mut rows = HashMap::new();
    for id in ids {
        rows.insert(*id, existing(app, *id).await?);
    }
    Ok(rows)
}

/// Returns the instrument of this order, from memory.
pub async fn of_order(app: &App, order: &order::Model) -> Result<Arc<instrument::Model>> {
    existing(app, order.instrument_id).await
}

pub(super) async fn existing(app: &App, id: Uuid) -> Result<Arc<instrument::Model>> {
    by_id(app, id).await?.ok_or_else(|| Error::broken("an instrument does not exist"))
}

/// Creates the instruments of the built-in market if there are no instruments yet.
pub async fn list_built_in(app: &App) -> Result<()> {
    if instrument::Entity::find().one(&app.db.read).await?.is_some() {
        return Ok(());
    }
    let rows = built_in()
        .into_iter()
        .map(|new| instrument::ActiveModel::from(new.with_id(app.ids.next(Kind::Instrument))).reset_all());
    let tx = app.db.write().await?;
    instrument::Entity::insert_many(rows)
        .on_conflict(OnConflict::column(instrument::Column::Symbol).do_nothing().to_owned())
        .exec_without_returning(&tx)
        .await?;
    catalog::change(&tx, app.ids).await?;
    tx.commit().await?;
    catalog::latest(app).await?;
    Ok(())
}

/// Instrument to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInstrument {
    pub symbol: String,
    pub name: String,
    pub exchange: String,
    pub asset_class: AssetClass,
    /// Price around which the built-in market's prices move.
    pub base_price: Price,
}

impl From<instrument::Model> for NewInstrument {
    fn from(row: instrument::Model) -> Self {
        let instrument::Model { id: _, symbol, name, exchange, asset_class, base_price } = row;
        Self { symbol, name, exchange, asset_class, base_price }
    }
}

impl NewInstrument {
    fn with_id(self, id: Uuid) -> instrument::Model {
        let Self { symbol, name, exchange, asset_class, base_price } = self;
        instrument::Model { id, symbol, name, exchange, asset_class, base_price }
    }

    /// Returns a line of CSV in the format that [`read`] parses.
    pub fn line(&self) -> String {
        let quoted = |text: &str| {
            if text.contains([',', '"']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.to_owned()
            }
        };
        let texts = [&self.symbol, &self.name, &self.exchange].map(|text| quoted(text));
        format!("{},{},{}", texts.join(","), self.asset_class.name(), self.base_price)
    }
}

/// Columns of an instrument file.
pub const COLUMNS: [&str; 5] = ["symbol", "name", "exchange", "asset_class", "base_price"];

/// Parses a CSV file of instruments. The first line has the column names, in any order.
///
/// # Errors
/// A message with the numbers of the wrong lines.
pub fn read(text: &[u8]) -> Result<Vec<NewInstrument>, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text);
    let header = reader.headers().map_err(|_| "line 1: cannot be read".to_owned())?.clone();
    let columns = COLUMNS.map(|column| header.iter().position(|name| name == column));
    let [Some(symbol), Some(name), Some(exchange), Some(asset_class), Some(base_price)] = columns else {
        return Err(format!("line 1: must be {}", COLUMNS.join(",")));
    };
    if header.len() != COLUMNS.len() {
        return Err(format!("line 1: must be {}", COLUMNS.join(",")));
    }
    let columns = [symbol, name, exchange, asset_class, base_price];
    let mut seen = HashSet::new();
    let mut instruments = Vec::new();
    let mut wrong = WrongLines::default();
    for record in reader.byte_records() {
        let record = record.map_err(|_| "cannot be read".to_owned())?;
        match parsed(&record, columns) {
            Ok(new) if seen.insert(new.symbol.clone()) => instruments.push(new),
            Ok(_) => wrong.add(line_of(&record), "symbol appears in an earlier line"),
            Err(what) => wrong.add(line_of(&record), &what),
        }
    }
    wrong.done()?;
    if instruments.is_empty() { Err("has no instruments".to_owned()) } else { Ok(instruments) }
}

fn line_of(record: &ByteRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

/// Returns the instrument of a line, or what is wrong with the line.
fn parsed(record: &ByteRecord, columns: [usize; COLUMNS.len()]) -> Result<NewInstrument, String> {
    let texts = StringRecord::from_byte_record(record.clone())
        .ok()
        .filter(|texts| texts.len() == COLUMNS.len())
        .ok_or_else(|| format!("must have {} values in UTF-8", COLUMNS.len()))?;
    let [symbol, name, exchange, asset_class, base_price] =
        columns.map(|column| texts.get(column).unwrap_or_default().to_owned());
    let asset_class = AssetClass::try_from_value(&asset_class)
        .map_err(|_| format!("asset_class must be {}", asset_classes()))?;
    let base_price =
        base_price.parse().ok().filter(|price: &Price| price.is_positive() && *price <= MAX_PRICE);
    let base_price = base_price
        .ok_or("base_price must be a price from 0.0001 to 1000000, with at most 4 decimals".to_owned())?;
    if !is_symbol(&symbol) {
        return Err("symbol must have 1 to 20 capital letters, digits, dots, hyphens or slashes".to_owned());
    }
    for (column, value) in [("name", &name), ("exchange", &exchange)] {
        if !(1..=100).contains(&value.chars().count()) || value.contains(char::is_control) {
            return Err(format!("{column} must have 1 to 100 printable characters"));
        }
    }
    Ok(NewInstrument { symbol, name, exchange, asset_class, base_price })
}

/// Result of an import, by symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub unchanged: u64,
}

/// Adds new instruments and updates those with a known symbol, in one transaction. Servers use them within a
/// second. Refused, and nothing is imported, if another instrument has the symbol of a new one for a partner, or will
/// have it: orders by this symbol would be for the other.
pub async fn import(db: &Db, ids: Ids, new: Vec<NewInstrument>) -> Result<Changes> {
    let mut changes = Changes::default();
    let tx = db.write().await?;
    let known = instrument::Entity::find().all(&tx).await?;
    let known: HashMap<String, instrument::Model> =
        known.into_iter().map(|row| (row.symbol.clone(), row)).collect();
    let added = new.iter().map(|new| new.symbol.as_str()).filter(|symbol| !known.contains_key(*symbol));
    require_free(&tx, &added.collect()).await?;
    for new in new {
        let symbol = new.symbol.clone();
        match known.get(&symbol) {
            Some(row) if NewInstrument::from(row.clone()) == new => changes.unchanged += 1,
            Some(row) => {
                instrument::ActiveModel::from(new.with_id(row.id)).reset_all().update(&tx).await?;
                changes.changed.push(symbol);
            }
            None => {
                instrument::ActiveModel::from(new.with_id(ids.next(Kind::Instrument)))
                    .reset_all()
                    .insert(&tx)
                    .await?;
                changes.added.push(symbol);
            }
        }
    }
    if !changes.added.is_empty() || !changes.changed.is_empty() {
        catalog::change(&tx, ids).await?;
    }
    tx.commit().await?;
    Ok(changes)
}

/// Refuses symbols that another instrument has for a partner since a symbol change, or will have.
async fn require_free(tx: &WriteTransaction, symbols: &HashSet<&str>) -> Result<()> {
    let text = "SELECT changed.symbol, instrument.symbol, partner.name FROM (SELECT partner_id, instrument_id, symbol \
                FROM partner_symbol UNION SELECT partner_id, instrument_id, symbol FROM corporate_action WHERE symbol \
                IS NOT NULL AND processed_at IS NULL) AS changed JOIN instrument ON instrument.id = \
                changed.instrument_id JOIN partner ON partner.id = changed.partner_id ORDER BY changed.symbol, \
                partner.name";
    let statement = Statement::from_string(tx.get_database_backend(), text);
    let mut taken = Vec::new();
    for row in tx.query_all_raw(statement).await? {
        let [symbol, former, partner]: [String; 3] =
            [row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?];
        if symbols.contains(symbol.as_str()) {
            taken.push(format!("{symbol} ({former} of partner {partner})"));
        }
    }
    if taken.is_empty() {
        return Ok(());
    }
    let text = format!("after a symbol change, other instruments have these symbols: {}", taken.join(", "));
    Err(Refusal::new(Code::SymbolTaken, "", text).into())
}

fn asset_classes() -> String {
    AssetClass::iter().map(AssetClass::name).collect::<Vec<_>>().join(" or ")
}

const MAX_PRICE: Price = Price::from_units(1_000_000 * 10_000);

/// Returns the instruments of the built-in market.
pub fn built_in() -> Vec<NewInstrument> {
    let new = |(symbol, name, exchange, dollars): (&str, &str, &str, i64)| NewInstrument {
        symbol: symbol.to_owned(),
        name: name.to_owned(),
        exchange: exchange.to_owned(),
        asset_class: AssetClass::UsEquity,
        base_price: Price::from_units(dollars * 10_000),
    };
    BUILT_IN.map(new).into()
}

/// Symbol, name, exchange and base price in whole dollars.
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
