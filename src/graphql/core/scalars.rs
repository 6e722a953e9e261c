//! Scalars for amounts, dates and times. Amounts are exact decimal strings, never floats.

use async_graphql::{
    Enum, InputObject, InputType, InputValueError, InputValueResult, Scalar, ScalarType, SimpleObject, Value,
};
use chrono::{DateTime as Instant, NaiveDate, SecondsFormat, Utc};
use domain::{Refusal, Result, people::person::parse_date};
use entity::{FixedError, Money as Cents, Percent, Price, Quantity, Rate};
use macros::{Fields, Leaf};
use std::str::FromStr;

/// What each scalar accepts. This is the message of the error for any other value.
const FORMS: [(&str, &str); 3] = [
    (
        "Decimal",
        "Decimal must be a string with a decimal number, for example \"12.50\". A JSON number could lose digits.",
    ),
    ("Date", "Date must be a string with a calendar date as YYYY-MM-DD, for example \"2026-01-31\"."),
    (
        "DateTime",
        "DateTime must be a string with an RFC 3339 timestamp, for example \"2026-01-31T12:00:00Z\".",
    ),
];

/// Returns what a scalar of this file accepts.
pub fn form(scalar: &str) -> Option<&'static str> {
    FORMS.iter().find(|(name, _)| *name == scalar).map(|(_, form)| *form)
}

/// Returns the error for a value that a scalar does not accept.
fn malformed<T: InputType>(scalar: &str) -> InputValueError<T> {
    InputValueError::custom(form(scalar).unwrap_or_default())
}

/// Exact decimal as a JSON string without exponent, for example "1250.00". JSON numbers are refused as input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal(String);

/// Exact decimal as a JSON string without exponent, for example "1250.00". JSON numbers are refused as input.
#[Scalar(name = "Decimal", specified_by_url = "https://www.w3.org/TR/xmlschema-2/#decimal")]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) if is_decimal(&text) => Ok(Self(text)),
            _ => Err(malformed("Decimal")),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if is_decimal(text))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// Returns whether a text is a decimal number. Whether a field accepts its size and decimals is checked later.
fn is_decimal(text: &str) -> bool {
    text.parse::<Quantity>() != Err(FixedError::Malformed)
}

impl Decimal {
    /// Returns the number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the amount. The error names `field` if it is too large or has too many decimals.
    pub fn amount<T: FromStr<Err = FixedError>>(&self, field: &str) -> Result<T> {
        self.0.parse().map_err(|error: FixedError| Refusal::invalid(field, error.to_string()).into())
    }
}

impl From<Percent> for Decimal {
    fn from(percent: Percent) -> Self {
        Self(percent.to_string())
    }
}

impl From<Rate> for Decimal {
    fn from(rate: Rate) -> Self {
        Self(rate.to_string())
    }
}

impl From<Quantity> for Decimal {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.to_string())
    }
}

impl Decimal {
    /// Creates a decimal from a number of hundredths.
    pub fn hundredths(hundredths: i32) -> Self {
        Self(rust_decimal::Decimal::new(hundredths.into(), 2).to_string())
    }
}

/// Settlement currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum, Leaf)]
pub enum Currency {
    /// US dollar.
    #[default]
    Usd,
}

/// Amount of money in one currency.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct Money {
    /// Exact amount, for example "1250.00".
    amount: Decimal,
    /// ISO 4217 currency code.
    currency: Currency,
}

impl From<Cents> for Money {
    fn from(cents: Cents) -> Self {
        Self { amount: Decimal(cents.to_string()), currency: Currency::Usd }
    }
}

impl From<Price> for Money {
    fn from(price: Price) -> Self {
        Self { amount: Decimal(price.to_string()), currency: Currency::Usd }
    }
}

impl From<Rate> for Money {
    fn from(rate: Rate) -> Self {
        Self { amount: rate.into(), currency: Currency::Usd }
    }
}

/// Amount of money in one currency.
#[derive(Clone, Debug, InputObject)]
pub struct MoneyInput {
    /// Exact amount, for example "1250.00".
    pub amount: Decimal,
    /// ISO 4217 currency code.
    #[graphql(default_with = "Currency::Usd")]
    pub currency: Currency,
}

impl MoneyInput {
    /// Parses the amount. Errors name `field`, the input field that holds it.
    pub fn cents(&self, field: &str) -> Result<Cents> {
        self.amount.amount(&format!("{field}.amount"))
    }
}

/// Calendar date without a time zone, as YYYY-MM-DD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Date(pub String);

/// Calendar date without a time zone, as YYYY-MM-DD.
#[Scalar(name = "Date", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6")]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) if is_date(&text) => Ok(Self(text)),
            _ => Err(malformed("Date")),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if is_date(text))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// Parses a date. The error names `field`.
pub fn parsed(Date(text): &Date, field: &str) -> Result<NaiveDate> {
    parse_date(text).map_err(|_| Refusal::invalid(field, "must be a calendar date").into())
}

/// Returns whether a text is a calendar date.
fn is_date(text: &str) -> bool {
    parse_date(text).is_ok()
}

impl From<NaiveDate> for Date {
    fn from(day: NaiveDate) -> Self {
        Self(day.to_string())
    }
}

/// RFC 3339 timestamp, for example "2026-01-31T12:00:00Z". Responses always use UTC with a trailing Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime(pub Instant<Utc>);

/// RFC 3339 timestamp, for example "2026-01-31T12:00:00Z". Responses always use UTC with a trailing Z.
#[Scalar(name = "DateTime", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(malformed("DateTime")) };
        let instant = Instant::parse_from_rfc3339(text).map_err(|_| malformed("DateTime"))?;
        Ok(Self(instant.with_timezone(&Utc)))
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if Instant::parse_from_rfc3339(text).is_ok())
    }

    fn to_value(&self) -> Value {
        Value::String(self.text())
    }
}

impl DateTime {
    /// Returns the timestamp as text.
    pub fn text(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }
}

impl From<Instant<Utc>> for DateTime {
    fn from(instant: Instant<Utc>) -> Self {
        Self(instant)
    }
}
