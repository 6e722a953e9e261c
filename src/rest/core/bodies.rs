//! Request bodies: one JSON object whose fields are read one by one, numbers by their text.
//!
//! Every text that is kept or looked up passes through [`Body::text`] or [`Body::optional_text`], which
//! refuse control characters: some databases cannot keep them. Ids are read by [`Body::id`], since a
//! malformed one names nothing.

use super::{
    described::{Field, Value as Holds},
    errors::Problem,
};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use domain::{
    Refusal, Result,
    kernel::{ids, secrets::Secret, text},
};
use entity::{FixedError, Kind, Money, Quantity};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::{collections::HashMap, str::FromStr};
use uuid::Uuid;

/// A body as sent.
#[derive(Debug, Default)]
pub struct Body(HashMap<String, Box<RawValue>>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> super::errors::Result<Self> {
        Ok(Self::read(request, state).await?)
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    Ok(Bytes::from_request(request, state)
        .await
        .map_err(|_| Refusal::unreadable("The body is too long or broke off."))?)
}

impl Body {
    /// Reads a body to its end.
    pub async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Self> {
        Self::of(&bytes(request, state).await?)
    }

    /// The same where nothing must be said.
    pub async fn read_or_empty<S: Send + Sync>(request: Request, state: &S) -> Result<Self> {
        match bytes(request, state).await? {
            empty if empty.is_empty() => Ok(Self::default()),
            bytes => Self::of(&bytes),
        }
    }

    fn of(bytes: &[u8]) -> Result<Self> {
        Ok(Self(
            serde_json::from_slice(bytes)
                .map_err(|_| Refusal::unreadable("The body is not a JSON object."))?,
        ))
    }

    /// From fields of a body that was read already.
    pub fn of_fields(fields: HashMap<String, &RawValue>) -> Self {
        Self(fields.into_iter().map(|(name, raw)| (name, raw.to_owned())).collect())
    }

    fn raw(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(|raw| raw.get()).filter(|raw| *raw != "null")
    }

    /// A text that must be given.
    pub fn text(&self, field: &str) -> Result<String> {
        self.optional_text(field)?.ok_or_else(|| Refusal::required(field).into())
    }

    /// Refuses what is none of these fields: where money moves, ignoring a field would change what the client
    /// asked for.
    pub fn only(&self, fields: &[Field]) -> Result<()> {
        let unknown =
            self.0.keys().filter(|name| fields.iter().all(|field| field.name != name.as_str())).min();
        match unknown {
            Some(name) => {
                Err(Refusal::invalid("", format!("{} is not a field of this request", shown(name))).into())
            }
            None => Ok(()),
        }
    }

    /// Refuses texts that blanks make longer than their documented form.
    pub fn fits(&self, fields: &[Field]) -> Result<()> {
        for field in fields {
            let most = match field.value {
                Holds::Text(_, form) => form.max,
                Holds::Answer(..) => MAX_ANSWER,
                _ => continue,
            };
            let Some(text) = self.string(field.name)? else { continue };
            // How long the rest may be is the domain's to say.
            let is_padded = matches!(field.value, Holds::Answer(..)) || text.trim().chars().count() <= most;
            if is_padded && text.chars().count() > most {
                return Err(
                    Refusal::invalid(field.name, format!("must have at most {most} characters")).into()
                );
            }
        }
        Ok(())
    }

    /// Refuses a field that is given although it belongs to something else.
    pub fn without(&self, field: &str, why: &str) -> Result<()> {
        self.raw(field).map_or(Ok(()), |_| Err(Refusal::invalid(field, why).into()))
    }

    /// The id that a field must name; a malformed one names nothing.
    pub fn id(&self, field: &str, kind: Kind) -> Result<Uuid> {
        self.optional_id(field, kind)?.ok_or_else(|| Refusal::required(field).into())
    }

    /// The id in a field that may be left out; an empty one is not left out and names nothing.
    pub fn optional_id(&self, field: &str, kind: Kind) -> Result<Option<Uuid>> {
        Ok(self.string(field)?.map(|text| ids::parse(kind, &text)))
    }

    /// A text that must be given and is only ever compared: a token, a passcode.
    pub fn verbatim(&self, field: &str) -> Result<String> {
        self.string(field)?.ok_or_else(|| Refusal::required(field).into())
    }

    fn string(&self, field: &str) -> Result<Option<String>> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        Ok(Some(serde_json::from_str(raw).map_err(|_| Refusal::invalid(field, "must be a string"))?))
    }

    /// A text that must be given and is taken as it stands, blanks and all: a password.
    pub fn secret(&self, field: &str) -> Result<Secret<String>> {
        let text = self.verbatim(field)?;
        if text.is_empty() { Err(Refusal::required(field).into()) } else { Ok(Secret::new(text)) }
    }

    /// A text that may be left out; an empty one counts as left out.
    pub fn optional_text(&self, field: &str) -> Result<Option<String>> {
        let Some(text) = self.string(field)?.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
        if text::has_control(&text) {
            return Err(Refusal::invalid(field, "must not have control characters").into());
        }
        Ok(Some(text))
    }

    /// A truth that may be left out, also written as a string.
    pub fn optional_flag(&self, field: &str) -> Result<Option<bool>> {
        match self.raw(field) {
            None => Ok(None),
            Some("true" | "\"true\"") => Ok(Some(true)),
            Some("false" | "\"false\"") => Ok(Some(false)),
            Some(_) => Err(Refusal::invalid(field, "must be true or false").into()),
        }
    }

    /// Something with parts of its own that may be left out; `malformed` is told of one that is not so made.
    pub fn optional_parts<T: DeserializeOwned>(
        &self,
        field: &str,
        malformed: impl FnOnce() -> Refusal,
    ) -> Result<Option<T>> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        serde_json::from_str(raw).map(Some).map_err(|_| malformed().into())
    }

    /// An object that may be left out.
    pub fn optional_object(&self, field: &str) -> Result<Option<Self>> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        serde_json::from_str(raw)
            .map(|fields| Some(Self(fields)))
            .map_err(|_| Refusal::invalid(field, "must be an object").into())
    }

    /// An amount that must be given: a JSON number by its value, exponent included, or a string in plain
    /// decimal notation. The text is read, never a float.
    pub fn amount<T: Amount>(&self, field: &str) -> Result<T> {
        let raw = self.raw(field).ok_or_else(|| Refusal::required(field))?;
        let amount = if raw.starts_with('"') {
            let text: String = serde_json::from_str(raw)
                .map_err(|_| Refusal::invalid(field, FixedError::Malformed.to_string()))?;
            if text.is_empty() {
                return Err(Refusal::required(field).into());
            }
            text.parse()
        } else {
            T::from_json_number(raw)
        };
        amount.map_err(|error: FixedError| Refusal::invalid(field, error.to_string()).into())
    }
}

/// The most characters of an answer that is one of some words.
pub const MAX_ANSWER: usize = 100;

/// What is read from a number or a string.
pub trait Amount: FromStr<Err = FixedError> {
    fn from_json_number(number: &str) -> Result<Self, FixedError>;
}

impl Amount for Money {
    fn from_json_number(number: &str) -> Result<Self, FixedError> {
        Self::from_json_number(number)
    }
}

impl Amount for Quantity {
    fn from_json_number(number: &str) -> Result<Self, FixedError> {
        Self::from_json_number(number)
    }
}

/// The name of a field as a client may be told it: cut short, and without control characters.
fn shown(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(60).collect()
}
