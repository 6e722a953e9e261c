//! What handlers read from a request besides its body.

use super::errors::{Problem, Result};
use axum::{
    extract::{Extension, FromRequestParts, Path},
    http::request::Parts,
};
use domain::{
    Actor,
    kernel::{idempotency::Key, text},
};
use std::convert::Infallible;

/// The caller, put into the request before it came here.
pub type Caller = Extension<Actor>;

/// The id or token in a path as it stands there; empty, which names nothing, where it cannot be read or holds
/// a control character.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(path.map(|Path(id)| id).ok().filter(|id| !text::has_control(id)).unwrap_or_default()))
    }
}

/// The `Idempotency-Key` header, if there is one.
pub struct KeyHeader(pub Option<Key>);

impl<S: Sync> FromRequestParts<S> for KeyHeader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let text = match (values.next(), values.next()) {
            (None, _) => return Ok(Self(None)),
            (Some(value), None) => value.to_str().unwrap_or("\u{fffd}"),
            // Two keys are none.
            _ => "\u{fffd}",
        };
        Ok(Self(Some(Key::parse(text)?)))
    }
}
