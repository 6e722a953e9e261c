//! Wellness API: users with their own login, and two-factor authentication. Errors have the form
//! `{"detail", "code"}`.

mod access;

use super::core::{
    answers::add_headers,
    bodies::{Body, RequestBody, read},
    errors::documented_name,
    routes::{Route, router},
};
use crate::wire::Fault;
use axum::{
    Json, Router,
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::app::App;
use serde_json::json;

/// Routes of the wellness API, by area.
pub const ROUTES: [&[Route]; 2] = [access::accounts::ROUTES, access::passcodes::ROUTES];

/// Routes that need no session, as documented.
pub const OPEN: [(&str, &str); 6] = [
    ("POST", "/account/v1/users"),
    ("POST", "/account/v1/auth/token"),
    ("POST", "/account/v1/auth/token/refresh"),
    ("GET", "/account/v1/invitation/{id}"),
    ("POST", "/account/v1/password_recovery"),
    ("PATCH", "/account/v1/password_recovery/reset"),
];

/// Returns the router of the wellness API.
pub fn routes() -> Router<App> {
    router(&ROUTES)
}

/// Path prefixes of the wellness API, including areas that Coffer does not serve.
const PREFIXES: [&str; 8] = [
    "/account/",
    "/two_factor_authentication/",
    "/advisor_meeting/",
    "/bank_account/",
    "/financial_services/",
    "/reports/",
    "/retirement/",
    "/savings/",
];

/// Returns whether a path belongs to the wellness API, whether or not it exists.
pub fn is_wellness(path: &str) -> bool {
    PREFIXES.iter().any(|prefix| path.starts_with(prefix))
}

/// Result of a handler of the wellness API.
type Result<T, E = WellnessError> = std::result::Result<T, E>;

/// Error response of the wellness API.
pub struct WellnessError {
    fault: Fault,
    /// Returns the documented name of a field.
    name: fn(&str) -> String,
}

impl<E: Into<Fault>> From<E> for WellnessError {
    fn from(error: E) -> Self {
        Self { fault: error.into(), name: documented_name }
    }
}

impl WellnessError {
    /// Creates an error that uses the field names of a request body.
    pub fn in_body<T: RequestBody>(error: impl Into<Fault>) -> Self {
        Self { fault: error.into(), name: T::field_name }
    }
}

impl IntoResponse for WellnessError {
    fn into_response(self) -> Response {
        let (status, code) = self.fault.wellness();
        // Bodies have no nested objects.
        let name = |path: &[String]| path.last().map(|field| (self.name)(field)).unwrap_or_default();
        let detail = self.fault.detail(name);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(json!({ "detail": detail, "code": code }))).into_response();
        add_headers(&mut response, self.fault.hints());
        response
    }
}

/// Responds to an unknown path.
pub fn unknown() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "detail": "Not found.", "code": "not-found" }))).into_response()
}

/// Responds to a method that the path does not support.
pub fn wrong_method() -> Response {
    let body = json!({ "detail": "This path does not support this method.", "code": "method-not-allowed" });
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}

/// Refuses a request without TLS to a server that requires TLS.
pub fn https_required(message: &str) -> Response {
    (StatusCode::FORBIDDEN, Json(json!({ "detail": message, "code": "https-required" }))).into_response()
}

/// Refuses a request before its body is parsed.
pub fn refuse(status: StatusCode, message: &str) -> Response {
    let code = match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported-media-type",
        StatusCode::REQUEST_TIMEOUT => "request-timeout",
        _ => "refused",
    };
    (status, Json(json!({ "detail": message, "code": code }))).into_response()
}

/// Request body. A missing body counts as one without fields.
struct BodyOrNone<T>(Body<T>);

impl<T: RequestBody, S: Send + Sync> FromRequest<S> for BodyOrNone<T> {
    type Rejection = WellnessError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bytes = read(request, state).await?;
        Ok(Self(Body::parse(if bytes.is_empty() { b"{}" } else { &bytes })?))
    }
}
