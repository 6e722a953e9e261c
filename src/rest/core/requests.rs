//! Extractors for everything in a request except its body.

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

/// Caller of the request, authenticated by the rate limit middleware.
pub type Caller = Extension<Actor>;

/// Id or token in the path. Empty, which matches no object, if it cannot be decoded or holds a control
/// character.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(path.map(|Path(id)| id).ok().filter(|id| !text::has_control(id)).unwrap_or_default()))
    }
}

/// Optional `Idempotency-Key` header.
pub struct KeyHeader(pub Option<Key>);

impl<S: Sync> FromRequestParts<S> for KeyHeader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let text = match (values.next(), values.next()) {
            (None, _) => return Ok(Self(None)),
            (Some(value), None) => value.to_str().unwrap_or("\u{fffd}"),
            // More than one key is invalid.
            _ => "\u{fffd}",
        };
        Ok(Self(Some(Key::parse(text)?)))
    }
}
