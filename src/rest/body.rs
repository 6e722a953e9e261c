//! Request bodies: one JSON object whose fields are read one by one, numbers by their text.

use super::Problem;
use crate::domain::{Refusal, Result, secrets::Secret};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use entity::FixedError;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::{collections::HashMap, str::FromStr};

/// A body as sent.
#[derive(Debug, Default)]
pub struct Body(HashMap<String, Box<RawValue>>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> super::Result<Self> {
        Ok(Self::read(request, state).await?)
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    Ok(Bytes::from_request(request, state).await.map_err(|_| Refusal::unreadable("The body is too long or broke off."))?)
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
        Ok(Self(serde_json::from_slice(bytes).map_err(|_| Refusal::unreadable("The body is not a JSON object."))?))
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

    /// A text that must be given and is taken as it stands, blanks and all: a password.
    pub fn secret(&self, field: &str) -> Result<Secret<String>> {
        let raw = self.raw(field).ok_or_else(|| Refusal::required(field))?;
        let text: String = serde_json::from_str(raw).map_err(|_| Refusal::invalid(field, "must be a string"))?;
        if text.is_empty() { Err(Refusal::required(field).into()) } else { Ok(Secret::new(text)) }
    }

    /// A text that may be left out; an empty one counts as left out.
    pub fn optional_text(&self, field: &str) -> Result<Option<String>> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        let text: String = serde_json::from_str(raw).map_err(|_| Refusal::invalid(field, "must be a string"))?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
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
    pub fn optional_parts<T: DeserializeOwned>(&self, field: &str, malformed: impl FnOnce() -> Refusal) -> Result<Option<T>> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        serde_json::from_str(raw).map(Some).map_err(|_| malformed().into())
    }

    /// An object that may be left out.
    pub fn optional_object(&self, field: &str) -> Result<Option<Self>> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        serde_json::from_str(raw).map(|fields| Some(Self(fields))).map_err(|_| Refusal::invalid(field, "must be an object").into())
    }

    /// An amount that must be given, as a number or a string; its text is read, never a float.
    pub fn amount<T: FromStr<Err = FixedError>>(&self, field: &str) -> Result<T> {
        let raw = self.raw(field).ok_or_else(|| Refusal::required(field))?;
        let text = match raw.strip_prefix('"') {
            Some(_) => serde_json::from_str(raw).map_err(|_| Refusal::invalid(field, "is not a decimal number"))?,
            None => raw.to_owned(),
        };
        if text.is_empty() {
            return Err(Refusal::required(field).into());
        }
        text.parse().map_err(|error: FixedError| Refusal::invalid(field, error.to_string()).into())
    }
}
