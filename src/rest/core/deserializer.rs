//! Deserializer for request bodies.
//!
//! It differs from that of `serde_json` in four ways: `null` counts as left out, the fields of a struct are
//! read in the order of the struct, an error names its field, and a field that a type reports as missing
//! although it was sent (a blank text) counts as left out.

use domain::Refusal;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::HashMap, fmt, slice};

/// What is wrong with a body.
#[derive(Debug)]
pub enum Wrong {
    /// The value is required.
    Missing,
    /// The value is invalid; the text follows the name of the field.
    Invalid(String),
    /// A field of the body is refused.
    Field(Refusal),
}

impl Wrong {
    /// Adds the name of the field.
    fn at(self, name: &str) -> Self {
        match self {
            Self::Missing => Self::Field(Refusal::required(name)),
            Self::Invalid(text) => Self::Field(Refusal::invalid(name, text)),
            Self::Field(mut refusal) => {
                if !refusal.path.is_empty() {
                    refusal.path.insert(0, name.to_owned());
                }
                Self::Field(refusal)
            }
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::Invalid(text.to_string())
    }

    fn missing_field(_: &'static str) -> Self {
        Self::Missing
    }

    fn unknown_field(name: &str, _: &'static [&'static str]) -> Self {
        let name: String = name.chars().filter(|character| !character.is_control()).take(60).collect();
        Self::Field(Refusal::invalid("", format!("{name} is not a field of this request")))
    }
}

/// Value of a field as sent; none if it is absent or null.
#[derive(Clone, Copy)]
pub struct JsonField<'de>(Option<&'de RawValue>);

impl<'de> JsonField<'de> {
    /// Creates the deserializer of a JSON value.
    pub fn new(json: &'de RawValue) -> Self {
        Self(Some(json).filter(|json| json.get() != "null"))
    }
}

impl<'de> Deserializer<'de> for JsonField<'de> {
    type Error = Wrong;

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.0.is_some() { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let json = self.0.ok_or(Wrong::Missing)?;
        let sent: HashMap<String, &RawValue> =
            serde_json::from_str(json.get()).map_err(|_| Wrong::Invalid("must be an object".to_owned()))?;
        let unknown = sent.keys().filter(|name| !names.contains(&name.as_str())).min().cloned();
        visitor.visit_map(Fields { sent, unknown, names: names.iter(), name: Cow::Borrowed("") })
    }

    // The types of `fields!` ask for a `&RawValue`, which is a newtype.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.0.ok_or(Wrong::Missing)?.deserialize_newtype_struct(name, visitor).map_err(de::Error::custom)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.0.ok_or(Wrong::Missing)?.deserialize_any(visitor).map_err(de::Error::custom)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map enum identifier
    }
}

/// Fields of a struct: an unknown one that was sent, if any, and then all that the struct has.
struct Fields<'de> {
    sent: HashMap<String, &'de RawValue>,
    unknown: Option<String>,
    names: slice::Iter<'static, &'static str>,
    /// Name of the current field.
    name: Cow<'static, str>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let next = match self.unknown.take() {
            Some(unknown) => Cow::Owned(unknown),
            None => match self.names.next() {
                Some(name) => Cow::Borrowed(*name),
                None => return Ok(None),
            },
        };
        self.name = next;
        seed.deserialize(StrDeserializer::new(&self.name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        seed.deserialize(self.value()).map_err(|wrong| wrong.at(&self.name))
    }

    fn next_value<V: Deserialize<'de>>(&mut self) -> Result<V, Wrong> {
        match V::deserialize(self.value()) {
            // A blank text was sent.
            Err(Wrong::Missing) => V::deserialize(JsonField(None)),
            other => other,
        }
        .map_err(|wrong| wrong.at(&self.name))
    }
}

impl<'de> Fields<'de> {
    fn value(&self) -> JsonField<'de> {
        self.sent.get(&*self.name).map_or(JsonField(None), |json| JsonField::new(json))
    }
}
