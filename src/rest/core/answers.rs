//! Responses and their headers.

use crate::wire::Hints;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::kernel::command::Answer;
use serde::Serialize;

/// Adds the `WWW-Authenticate` headers.
pub fn challenge(response: &mut Response) {
    for scheme in [r#"Basic realm="coffer", charset="UTF-8""#, r#"Bearer realm="coffer""#] {
        response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
}

/// Adds the headers of an error or of a replayed response.
pub fn add_headers(response: &mut Response, hints: Hints) {
    if response.status() == StatusCode::UNAUTHORIZED {
        challenge(response);
    }
    if hints.replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    if let Some(seconds) = hints.retry_after {
        response.headers_mut().insert("retry-after", HeaderValue::from(seconds));
    }
}

/// Returns the response to a command.
pub fn answer<T, B: Serialize>(answer: &Answer<T>, body: &B) -> Response {
    let mut response = Json(body).into_response();
    add_headers(&mut response, Hints { replayed: answer.replayed, retry_after: None });
    response
}
