//! Request bodies: a JSON object that is read field by field; numbers are read as text, never as floats.
//!
//! Every text that is stored or looked up is read with [`Body::text`] or [`Body::optional_text`], which
//! refuse control characters: some databases cannot store them. Ids are read with [`Body::id`], which treats
//! a malformed id as one that is not found.

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

/// Request body as sent.
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
        .map_err(|_| Refusal::unreadable("The body is too long or incomplete."))?)
}

impl Body {
    /// Reads a JSON object.
    pub async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Self> {
        Self::of(&bytes(request, state).await?)
    }

    /// Reads a JSON object; an empty body counts as an object without fields.
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

    /// Creates a body from fields that were read already.
    pub fn of_fields(fields: HashMap<String, &RawValue>) -> Self {
        Self(fields.into_iter().map(|(name, raw)| (name, raw.to_owned())).collect())
    }

    fn raw(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(|raw| raw.get()).filter(|raw| *raw != "null")
    }

    /// Returns a required text.
    pub fn text(&self, field: &str) -> Result<String> {
        self.optional_text(field)?.ok_or_else(|| Refusal::required(field).into())
    }

    /// Refuses unknown fields. Requests that move money use it: ignoring a field could change their meaning.
    pub fn only(&self, fields: &[Field]) -> Result<()> {
        let unknown =
            self.0.keys().filter(|name| fields.iter().all(|field| field.name != name.as_str())).min();
        match unknown {
            Some(name) => {
                Err(Refusal::invalid("", format!("{} is not a field of this request", printable(name)))
                    .into())
            }
            None => Ok(()),
        }
    }

    /// Refuses texts that are longer than documented because of leading or trailing spaces.
    pub fn fits(&self, fields: &[Field]) -> Result<()> {
        for field in fields {
            let max = match field.value {
                Holds::Text(_, form) => form.max,
                Holds::LooseChoice(..) => MAX_CHOICE,
                _ => continue,
            };
            let Some(text) = self.string(field.name)? else { continue };
            // The domain checks the length without those spaces.
            let is_padded =
                matches!(field.value, Holds::LooseChoice(..)) || text.trim().chars().count() <= max;
            if is_padded && text.chars().count() > max {
                return Err(
                    Refusal::invalid(field.name, format!("must have at most {max} characters")).into()
                );
            }
        }
        Ok(())
    }

    /// Refuses a field that does not belong to this kind of request.
    pub fn without(&self, field: &str, why: &str) -> Result<()> {
        self.raw(field).map_or(Ok(()), |_| Err(Refusal::invalid(field, why).into()))
    }

    /// Returns a required id. A malformed one matches no object.
    pub fn id(&self, field: &str, kind: Kind) -> Result<Uuid> {
        self.optional_id(field, kind)?.ok_or_else(|| Refusal::required(field).into())
    }

    /// Returns an optional id. An empty string counts as an id that matches no object.
    pub fn optional_id(&self, field: &str, kind: Kind) -> Result<Option<Uuid>> {
        Ok(self.string(field)?.map(|text| ids::parse(kind, &text)))
    }

    /// Returns a required text that is only compared, such as a token or a passcode.
    pub fn verbatim(&self, field: &str) -> Result<String> {
        self.string(field)?.ok_or_else(|| Refusal::required(field).into())
    }

    fn string(&self, field: &str) -> Result<Option<String>> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        Ok(Some(serde_json::from_str(raw).map_err(|_| Refusal::invalid(field, "must be a string"))?))
    }

    /// Returns a required text unchanged, including spaces: a password.
    pub fn secret(&self, field: &str) -> Result<Secret<String>> {
        let text = self.verbatim(field)?;
        if text.is_empty() { Err(Refusal::required(field).into()) } else { Ok(Secret::new(text)) }
    }

    /// Returns an optional text. A blank one counts as left out.
    pub fn optional_text(&self, field: &str) -> Result<Option<String>> {
        let Some(text) = self.string(field)?.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
        if text::has_control(&text) {
            return Err(Refusal::invalid(field, "must not contain control characters").into());
        }
        Ok(Some(text))
    }

    /// Returns an optional boolean, which may also be sent as a string.
    pub fn optional_flag(&self, field: &str) -> Result<Option<bool>> {
        match self.raw(field) {
            None => Ok(None),
            Some("true" | "\"true\"") => Ok(Some(true)),
            Some("false" | "\"false\"") => Ok(Some(false)),
            Some(_) => Err(Refusal::invalid(field, "must be true or false").into()),
        }
    }

    /// Returns an optional value of any deserializable type. `malformed` creates the error if parsing fails.
    pub fn optional_parts<T: DeserializeOwned>(
        &self,
        field: &str,
        malformed: impl FnOnce() -> Refusal,
    ) -> Result<Option<T>> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        serde_json::from_str(raw).map(Some).map_err(|_| malformed().into())
    }

    /// Returns an optional object.
    pub fn optional_object(&self, field: &str) -> Result<Option<Self>> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        serde_json::from_str(raw)
            .map(|fields| Some(Self(fields)))
            .map_err(|_| Refusal::invalid(field, "must be an object").into())
    }

    /// Returns a required amount: a JSON number, which may have an exponent, or a string in plain decimal
    /// notation. Both are parsed from their text, never from a float.
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

/// Maximum length of a choice, in characters.
pub const MAX_CHOICE: usize = 100;

/// Value that is parsed from a JSON number or a string.
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

/// Makes a field name safe for an error message: at most 60 characters, no control characters.
fn printable(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(60).collect()
}
