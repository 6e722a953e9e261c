//! Filters and sort orders of lists.

use super::{command::Identified, ids, pages::Page, text, visible::Visible};
use crate::{Error, Result};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, NaiveDate, Utc};
use entity::Kind;
use sea_orm::{ActiveEnum, ColumnTrait, ColumnType, DbBackend, EntityTrait, IdenStatic, ModelTrait, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Condition on the rows of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter(Condition);

/// Columns are given by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Condition {
    OneOf(&'static str, Vec<String>),
    Is(&'static str, Uuid),
    /// The name of the table is needed to search by the index of each column.
    IsAnyOf(String, Vec<&'static str>, Uuid),
    /// SQL with `{}` for the id of the instrument that has this symbol.
    OfSymbol(&'static str, String),
    OfInstrument(&'static str, Uuid),
    Equals(&'static str, String),
    StartsWith(Vec<&'static str>, String),
    /// Texts are SQL with `{partner}` for the id of the partner.
    WordStartsWith(Vec<&'static str>, Uuid, String),
    From(&'static str, DateTime<Utc>),
    Before(&'static str, DateTime<Utc>),
    FromDay(&'static str, NaiveDate),
    BeforeDay(&'static str, NaiveDate),
    NotZero(&'static str),
    Null(&'static str),
    Bytes(&'static str, Vec<u8>),
}

impl Filter {
    /// Returns the condition that a column has one of these values; none for all values, which an empty list
    /// means too.
    pub fn one_of<E: ActiveEnum<Value = String>>(
        column: impl ColumnTrait,
        values: impl IntoIterator<Item = E>,
    ) -> Option<Self> {
        let texts: Vec<_> = values.into_iter().map(|value| value.to_value()).collect();
        (!texts.is_empty()).then_some(Self(Condition::OneOf(column.as_str(), texts)))
    }

    /// Returns the condition that the column has this id.
    pub fn is(column: impl ColumnTrait, id: Uuid) -> Self {
        Self(Condition::Is(column.as_str(), id))
    }

    /// Returns the condition that one of the columns of a table has this id.
    pub fn is_any_of<C: ColumnTrait>(columns: &[C], id: Uuid) -> Self {
        let table = columns.first().map_or_else(String::new, |column| column.entity_name().to_string());
        Self(Condition::IsAnyOf(table, names(columns), id))
    }

    /// Returns a condition in SQL with `{}` for the id of the instrument that has this symbol. It matches nothing until
    /// the instrument is known; see `instruments::resolved`.
    pub(crate) fn of_symbol(condition: &'static str, symbol: &str) -> Self {
        Self(Condition::OfSymbol(condition, symbol.to_owned()))
    }

    /// Returns the symbol of an instrument that is not known yet.
    pub(crate) fn symbol(&self) -> Option<&str> {
        match &self.0 {
            Condition::OfSymbol(_, symbol) => Some(symbol),
            _ => None,
        }
    }

    /// Returns the condition with the id of its instrument.
    pub(crate) fn of_instrument(&self, id: Uuid) -> Self {
        match &self.0 {
            Condition::OfSymbol(condition, _) => Self(Condition::OfInstrument(condition, id)),
            _ => self.clone(),
        }
    }

    /// Returns the condition that the column has this text. The case of ASCII letters does not matter.
    pub fn equals(column: impl ColumnTrait, text: &str) -> Self {
        Self(Condition::Equals(column.as_str(), text.to_ascii_lowercase()))
    }

    /// Returns the condition that one of the columns starts with this text. The case of ASCII letters does
    /// not matter.
    pub fn starts_with(columns: &[impl ColumnTrait], text: &str) -> Self {
        Self(Condition::StartsWith(names(columns), text.to_ascii_lowercase()))
    }

    /// Returns the condition that a word of one of these texts in SQL starts with this text. The case of ASCII letters
    /// does not matter. No index serves it, so it is for short tables.
    pub(crate) fn word_starts_with(texts: &[&'static str], partner_id: Uuid, text: &str) -> Self {
        Self(Condition::WordStartsWith(texts.to_vec(), partner_id, text.to_ascii_lowercase()))
    }

    /// Returns the condition that the column has this time or a later one.
    pub fn from(column: impl ColumnTrait, time: DateTime<Utc>) -> Self {
        Self(Condition::From(column.as_str(), time))
    }

    /// Returns the condition that the column has an earlier time than this.
    pub fn before(column: impl ColumnTrait, time: DateTime<Utc>) -> Self {
        Self(Condition::Before(column.as_str(), time))
    }

    /// Returns the condition that the column has this day or a later one.
    pub fn from_day(column: impl ColumnTrait, day: NaiveDate) -> Self {
        Self(Condition::FromDay(column.as_str(), day))
    }

    /// Returns the condition that the column has an earlier day than this.
    pub fn before_day(column: impl ColumnTrait, day: NaiveDate) -> Self {
        Self(Condition::BeforeDay(column.as_str(), day))
    }

    /// Returns the condition that the column is not zero.
    pub fn not_zero(column: impl ColumnTrait) -> Self {
        Self(Condition::NotZero(column.as_str()))
    }

    /// Returns the condition that the column has no value.
    pub fn is_null(column: impl ColumnTrait) -> Self {
        Self(Condition::Null(column.as_str()))
    }

    /// Returns the condition that the column has these bytes.
    pub fn has_bytes(column: impl ColumnTrait, bytes: Vec<u8>) -> Self {
        Self(Condition::Bytes(column.as_str(), bytes))
    }

    /// Returns this condition as SQL. `bind` adds a value and returns its placeholder.
    pub fn sql(&self, backend: DbBackend, bind: &mut impl FnMut(Value) -> String) -> String {
        match &self.0 {
            // No stored text has control characters, and PostgreSQL refuses some of them as values.
            Condition::Equals(_, text)
            | Condition::StartsWith(_, text)
            | Condition::WordStartsWith(_, _, text)
                if text::has_control(text) =>
            {
                "1 = 0".to_owned()
            }
            Condition::OneOf(column, texts) => {
                let marks: Vec<_> = texts.iter().map(|text| bind(text.clone().into())).collect();
                format!("{column} IN ({})", marks.join(", "))
            }
            Condition::Is(column, id) => format!("{column} = {}", bind((*id).into())),
            Condition::IsAnyOf(table, columns, id) => {
                let ids: Vec<_> = columns
                    .iter()
                    .map(|column| format!("SELECT id FROM {table} WHERE {column} = {}", bind((*id).into())))
                    .collect();
                format!("id IN ({})", ids.join(" UNION ALL "))
            }
            Condition::OfSymbol(..) => "1 = 0".to_owned(),
            Condition::OfInstrument(condition, id) => condition.replace("{}", &bind((*id).into())),
            Condition::Equals(column, text) => {
                format!("{} = {}", folded(backend, column), bind(text.clone().into()))
            }
            // A range of texts, unlike LIKE, knows no wildcards, and an index can serve it.
            Condition::StartsWith(columns, text) => any(columns, |column| {
                let (column, end) = (folded(backend, column), format!("{text}{}", char::MAX));
                format!("({column} >= {} AND {column} < {})", bind(text.clone().into()), bind(end.into()))
            }),
            Condition::WordStartsWith(texts, partner_id, text) => any(texts, |column| {
                let position = if backend == DbBackend::Postgres { "strpos" } else { "instr" };
                let column = match column.split_once("{partner}") {
                    Some((before, after)) => format!("{before}{}{after}", bind((*partner_id).into())),
                    None => (*column).to_owned(),
                };
                format!(
                    "{position}(' ' || {}, {}) > 0",
                    folded(backend, &column),
                    bind(format!(" {text}").into())
                )
            }),
            Condition::From(column, time) => format!("{column} >= {}", bind((*time).into())),
            Condition::Before(column, time) => format!("{column} < {}", bind((*time).into())),
            Condition::FromDay(column, day) => format!("{column} >= {}", bind((*day).into())),
            Condition::BeforeDay(column, day) => format!("{column} < {}", bind((*day).into())),
            Condition::NotZero(column) => format!("{column} <> 0"),
            Condition::Null(column) => format!("{column} IS NULL"),
            Condition::Bytes(column, bytes) => format!("{column} = {}", bind(bytes.clone().into())),
        }
    }
}

fn any(columns: &[&str], condition: impl FnMut(&&str) -> String) -> String {
    format!("({})", columns.iter().map(condition).collect::<Vec<_>>().join(" OR "))
}

/// Returns a text column as it is compared and sorted: ASCII letters in lower case, in the order of the
/// characters' codes. Both databases then sort alike.
fn folded(backend: DbBackend, column: &str) -> String {
    if backend == DbBackend::Postgres {
        format!("lower({column} COLLATE \"C\")")
    } else {
        format!("lower({column})")
    }
}

/// Value of a column that a list is sorted by; a day as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortKey {
    Number(i64),
    Text(String),
}

impl SortKey {
    /// Returns the value as it is compared with the column.
    pub(super) fn value(&self, column: impl ColumnTrait) -> Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Text(text) if is_day(column) => text.parse::<NaiveDate>().ok().into(),
            Self::Text(text) => text.clone().into(),
        }
    }
}

/// For the APIs, which do not know the database library.
pub use sea_orm::ColumnTrait as SortColumn;

/// Page of a list that is sorted by columns; the id breaks ties. Without columns, the list is sorted by id,
/// which is the order of creation.
#[derive(Clone, Debug)]
pub struct SortedPage<C: 'static> {
    pub page: Page,
    pub columns: &'static [C],
    /// Values of the columns in the row `page.after`.
    pub after: Vec<SortKey>,
    /// Values of the columns in the row `page.before`.
    pub before: Vec<SortKey>,
}

impl<C> From<Page> for SortedPage<C> {
    fn from(page: Page) -> Self {
        Self { page, columns: &[], after: Vec::new(), before: Vec::new() }
    }
}

impl<C: ColumnTrait> SortedPage<C> {
    /// Returns the expressions that the list is sorted by.
    pub(super) fn sorted_by<E>(&self, backend: DbBackend) -> Vec<String>
    where
        E: Visible<Column = C> + Default,
    {
        let columns = self.columns.iter().map(|column| sort_text::<E>(backend, *column));
        columns.chain([E::ID.as_str().to_owned()]).collect()
    }

    /// Returns the cursor of a row. It is the id in a list that is sorted by id. Otherwise it also contains the
    /// values that the list is sorted by, so that pages neither repeat nor skip rows when values change.
    pub fn cursor_of<M>(&self, row: &M) -> Result<String>
    where
        M: ModelTrait + Identified,
        M::Entity: EntityTrait<Column = C>,
    {
        if self.columns.is_empty() {
            return Ok(row.id().to_string());
        }
        let key = |column: &C| match row.get(*column) {
            Value::BigInt(Some(number)) => Ok(SortKey::Number(number)),
            Value::String(Some(text)) => Ok(SortKey::Text(text.to_ascii_lowercase())),
            Value::ChronoDate(Some(day)) => Ok(SortKey::Text(day.to_string())),
            _ => Err(Error::broken("a list is sorted by a column that is no text, number or day")),
        };
        let keys = self.columns.iter().map(key).collect::<Result<Vec<_>>>()?;
        let parts = serde_json::to_vec(&(names(self.columns), keys, row.id()))
            .map_err(|_| Error::broken("a cursor cannot be written"))?;
        Ok(URL_SAFE_NO_PAD.encode(parts))
    }
}

/// Reads a cursor of a list that is sorted by these columns: the id and the values of its row.
pub fn read_cursor<C: ColumnTrait>(columns: &[C], kind: Kind, cursor: &str) -> Option<(Uuid, Vec<SortKey>)> {
    let (id, keys) = if columns.is_empty() {
        (ids::parse(kind, cursor), Vec::new())
    } else {
        let parts = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (sorted_by, keys, id): (Vec<String>, Vec<SortKey>, String) =
            serde_json::from_slice(&parts).ok()?;
        if sorted_by != names(columns) || !fit(&keys, columns) {
            return None;
        }
        (ids::parse(kind, &id), keys)
    };
    let is_clean = keys.iter().all(|key| !matches!(key, SortKey::Text(text) if text::has_control(text)));
    (!id.is_nil() && is_clean).then_some((id, keys))
}

fn names(columns: &[impl ColumnTrait]) -> Vec<&'static str> {
    columns.iter().map(IdenStatic::as_str).collect()
}

/// Whether values have the types of these columns.
fn fit<C: ColumnTrait>(keys: &[SortKey], columns: &[C]) -> bool {
    keys.len() == columns.len()
        && keys.iter().zip(columns).all(|(key, column)| match key {
            SortKey::Number(_) => !is_text(*column) && !is_day(*column),
            SortKey::Text(text) if is_day(*column) => text.parse::<NaiveDate>().is_ok(),
            SortKey::Text(_) => is_text(*column),
        })
}

fn is_text(column: impl ColumnTrait) -> bool {
    matches!(column.def().get_column_type(), ColumnType::Text | ColumnType::String(_))
}

fn is_day(column: impl ColumnTrait) -> bool {
    matches!(column.def().get_column_type(), ColumnType::Date)
}

fn sort_text<E: Visible + Default>(backend: DbBackend, column: E::Column) -> String {
    let name = format!("\"{}\".\"{}\"", E::default().table_name(), column.as_str());
    if is_text(column) { folded(backend, &name) } else { name }
}
