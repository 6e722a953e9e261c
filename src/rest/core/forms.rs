//! Forms of fields in both REST APIs: how a field is parsed and documented. The domain enforces most rules;
//! `tests/it/forms.rs` checks that the documented forms agree with it.

mod texts;

pub use texts::*;

use super::deserializer::Wrong;
use domain::{
    kernel::ids,
    people::person::{Country, UsState},
};
use entity::{FixedError, Kind, Money, Price, Quantity};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Value, json, value::RawValue};
use std::{collections::BTreeMap, str::FromStr};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::SchemaType};
use uuid::Uuid;

/// Form of a field: how it is parsed and documented.
pub trait Form {
    /// Type of the parsed value.
    type Value;

    /// Parses a JSON value that is not null.
    fn parse(&self, json: &str) -> Result<Self::Value, Wrong>;

    /// Returns the JSON schema of a required field.
    fn schema(&self) -> Value;
}

/// Defines types of fields: description, name, type of the value, form and example.
///
/// The description is that of the field, unless the field has a doc comment of its own.
macro_rules! fields {
    ($($(#[doc = $text:literal])+ $vis:vis $name:ident($value:ty) = $form:expr, $example:expr;)+) => {$(
        $(#[doc = $text])+
        $vis struct $name($value);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::rest::core::forms::deserialize(&$form, deserializer).map(Self)
            }
        }

        impl From<$name> for $value {
            fn from(field: $name) -> Self {
                field.0
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let text = concat!($($text),+).trim();
                $crate::rest::core::forms::described(&$form, text, serde_json::json!($example))
            }
        }

        impl utoipa::ToSchema for $name {}
    )+};
}
pub(crate) use fields;

/// Parses a field. Used by `fields!`.
pub fn deserialize<'de, F: Form, D: Deserializer<'de>>(
    form: &F,
    deserializer: D,
) -> Result<F::Value, D::Error> {
    let json = <&RawValue>::deserialize(deserializer)?;
    form.parse(json.get()).map_err(|wrong| match wrong {
        Wrong::Missing => D::Error::missing_field(""),
        Wrong::Invalid(text) => D::Error::custom(text),
        Wrong::Field(refusal) => D::Error::custom(refusal.text),
    })
}

/// Returns the schema of a form with a description and an example; none if the example is null. Used by
/// `fields!`.
pub fn described(form: &impl Form, text: &str, example: Value) -> RefOr<Schema> {
    let mut keywords = BTreeMap::from([("description".to_owned(), json!(text))]);
    if let Value::Object(schema) = form.schema() {
        keywords.extend(schema);
    }
    if !example.is_null() {
        keywords.insert("examples".to_owned(), json!([example]));
    }
    let schema = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
    schema.extensions(Some(keywords.into_iter().collect())).into()
}

/// One of these words, ignoring case and spaces; the domain enforces it.
pub struct Choice {
    /// Documented words.
    options: &'static [&'static str],
    /// Words that are accepted but not documented.
    also: &'static [&'static str],
}

/// One of these words.
pub const fn choice(options: &'static [&'static str]) -> Choice {
    Choice { options, also: &[] }
}

impl Choice {
    /// Adds words that are accepted but not documented.
    pub const fn or(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }
}

/// Maximum length of a choice, in characters.
const MAX_CHOICE: usize = 100;

impl Form for Choice {
    type Value = String;

    fn parse(&self, json: &str) -> Result<String, Wrong> {
        let text = texts::string(json)?;
        texts::check_length(&text, MAX_CHOICE)?;
        texts::printable(text)
    }

    fn schema(&self) -> Value {
        let pattern = in_any_case(self.options.iter().chain(self.also).copied(), r"\s*");
        let options = json!([{ "enum": self.options }, { "pattern": pattern }]);
        json!({ "type": "string", "maxLength": MAX_CHOICE, "anyOf": options })
    }
}

/// Code in either case, from the list of this name; the domain enforces it.
pub struct Code(pub &'static str);

impl Form for Code {
    type Value = String;

    fn parse(&self, json: &str) -> Result<String, Wrong> {
        texts::printable(texts::string(json)?)
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "allOf": [{ "$ref": format!("#/components/schemas/{}", self.0) }] })
    }
}

/// One of these exact words, each with its value.
pub struct Words<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy> Form for Words<T> {
    type Value = T;

    fn parse(&self, json: &str) -> Result<T, Wrong> {
        let word = texts::printable(texts::string(json)?)?;
        let known = self.0.iter().find(|(known, _)| *known == word);
        known.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
            Wrong::Invalid(format!("must be {}", words.join(" or ")))
        })
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "enum": self.0.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
    }
}

/// Id of an object. A malformed one matches no object.
pub struct Id(pub Kind);

impl Form for Id {
    type Value = Uuid;

    fn parse(&self, json: &str) -> Result<Uuid, Wrong> {
        Ok(ids::parse(self.0, &texts::string(json)?))
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "format": "uuid" })
    }
}

/// Boolean, which may also be sent as a string.
pub struct Flag;

impl Form for Flag {
    type Value = bool;

    fn parse(&self, json: &str) -> Result<bool, Wrong> {
        match json {
            "true" | "\"true\"" => Ok(true),
            "false" | "\"false\"" => Ok(false),
            _ => Err(Wrong::Invalid("must be true or false".to_owned())),
        }
    }

    fn schema(&self) -> Value {
        json!({ "type": ["boolean", "string"], "enum": [true, false, "true", "false"] })
    }
}

/// Field that belongs to another kind of request; the text says why it is refused.
pub struct Nothing(pub &'static str);

impl Form for Nothing {
    type Value = ();

    fn parse(&self, _: &str) -> Result<(), Wrong> {
        Err(Wrong::Invalid(self.0.to_owned()))
    }

    fn schema(&self) -> Value {
        json!({ "type": "null" })
    }
}

/// Amount above zero: a JSON number, which may have an exponent, or a string in plain decimal notation. Both
/// are parsed from their text, never from a float.
pub struct Amount<T> {
    /// Regular expression for plain decimal notation.
    pattern: &'static str,
    /// Smallest unit and maximum, as text to avoid floats.
    step: &'static str,
    max: &'static str,
    from_json_number: fn(&str) -> Result<T, FixedError>,
}

/// Dollars and cents, up to the limit of one ACH entry.
pub const DOLLARS: Amount<Money> = Amount {
    pattern: r"^(?=.*[1-9])0*[0-9]{1,8}(?:\.[0-9]{1,2}0*)?$",
    step: "0.01",
    max: "99999999.99",
    from_json_number: Money::from_json_number,
};

/// Shares, with up to four decimals.
pub const SHARES: Amount<Quantity> = Amount {
    pattern: r"^(?=.*[1-9])0*(?:[0-9]{1,8}(?:\.[0-9]{1,4}0*)?|100000000(?:\.0+)?)$",
    step: "0.0001",
    max: "100000000",
    from_json_number: Quantity::from_json_number,
};

const PRICES: Amount<Price> = Amount {
    pattern: r"^(?=.*[1-9])0*(?:0\.[0-9]{1,4}0*|[1-9][0-9]{0,5}(?:\.[0-9]{1,2}0*)?|1000000(?:\.0+)?)$",
    step: "0.0001",
    max: "1000000",
    from_json_number: Price::from_json_number,
};

/// Price of one share: in cents from one dollar on, otherwise in hundredths of a cent; the domain enforces it.
pub struct SharePrice;

impl Form for SharePrice {
    type Value = Price;

    fn parse(&self, json: &str) -> Result<Price, Wrong> {
        match PRICES.parse(json) {
            // An order whose price was lost on the way is not placed.
            Err(Wrong::Missing) => Err(Wrong::Invalid(FixedError::Malformed.to_string())),
            parsed => parsed,
        }
    }

    fn schema(&self) -> Value {
        let mut schema = PRICES.schema();
        if let Value::Object(keywords) = &mut schema {
            let steps = json!([{ "exclusiveMaximum": 1 }, { "multipleOf": 0.01 }]);
            keywords.insert("anyOf".to_owned(), steps);
        }
        schema
    }
}

impl<T: FromStr<Err = FixedError>> Form for Amount<T> {
    type Value = T;

    fn parse(&self, json: &str) -> Result<T, Wrong> {
        let invalid = |error: FixedError| Wrong::Invalid(error.to_string());
        if !json.starts_with('"') {
            return (self.from_json_number)(json).map_err(invalid);
        }
        let text: String = serde_json::from_str(json).map_err(|_| invalid(FixedError::Malformed))?;
        if text.is_empty() {
            return Err(Wrong::Missing);
        }
        text.parse().map_err(invalid)
    }

    fn schema(&self) -> Value {
        let number = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        json!({
            "type": ["string", "number"],
            "maxLength": 64,
            "pattern": self.pattern,
            "exclusiveMinimum": 0,
            "maximum": number(self.max),
            "multipleOf": number(self.step),
        })
    }
}

/// Name, description and codes of a list of codes.
pub type Codes = (&'static str, &'static str, fn() -> Vec<&'static str>);

/// Lists of codes. Codes are accepted in either case.
pub const CODES: [Codes; 3] = [
    (COUNTRY, "Two-letter country code (ISO 3166-1 alpha-2), for example `US`.", || {
        Country::all().map(Country::alpha2).collect()
    }),
    (CITIZENSHIP, "Three-letter country code (ISO 3166-1 alpha-3), for example `USA`.", || {
        Country::all().map(Country::alpha3).collect()
    }),
    (
        STATE,
        "Two-letter USPS code of a state, district, territory or military post, for example `VA`.",
        || UsState::all().map(UsState::code).collect(),
    ),
];
pub const COUNTRY: &str = "CountryCode";
pub const CITIZENSHIP: &str = "CitizenshipCode";
pub const STATE: &str = "StateCode";

/// Returns a pattern that matches any of the options in any case. Text that matches `between` may surround
/// each character.
pub fn in_any_case<'a>(options: impl Iterator<Item = &'a str>, between: &str) -> String {
    let either = |character: char| {
        if character.is_ascii_alphabetic() {
            format!("[{}{}]", character.to_ascii_lowercase(), character.to_ascii_uppercase())
        } else if character.is_ascii_digit() || matches!(character, ',' | '/' | '-') {
            character.to_string()
        } else {
            format!("[{character}]")
        }
    };
    let letters = |option: &str| {
        option
            .chars()
            .filter(|character| !character.is_whitespace())
            .map(either)
            .collect::<Vec<_>>()
            .join(between)
    };
    format!("^{between}(?:{}){between}$", options.map(letters).collect::<Vec<_>>().join("|"))
}
