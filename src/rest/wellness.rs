//! The wellness API: accounts of people who sign in, and their second factor. Its errors are `{"detail",
//! "code"}`.

mod access;

use super::core::{
    answers::hint,
    bodies::Body,
    errors::snake,
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

/// All there is of the wellness API; the router has no route besides.
pub const ROUTES: [&[Route]; 2] = [access::accounts::ROUTES, access::passcodes::ROUTES];

/// What needs nobody to have signed in (documented).
pub const OPEN: [(&str, &str); 6] = [
    ("POST", "/account/v1/users"),
    ("POST", "/account/v1/auth/token"),
    ("POST", "/account/v1/auth/token/refresh"),
    ("GET", "/account/v1/invitation/{id}"),
    ("POST", "/account/v1/password_recovery"),
    ("PATCH", "/account/v1/password_recovery/reset"),
];

/// Every route, each path with and without a slash at its end.
pub fn routes() -> Router<App> {
    router(&ROUTES)
}

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

/// Whether a path belongs to the wellness API, there or not.
pub fn is_wellness(path: &str) -> bool {
    PREFIXES.iter().any(|prefix| path.starts_with(prefix))
}

/// What the handlers answer with.
type Result<T, E = WellnessError> = std::result::Result<T, E>;

/// A fault on its way out, in the shape of this API.
pub struct WellnessError(Fault);

impl<E: Into<Fault>> From<E> for WellnessError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for WellnessError {
    fn into_response(self) -> Response {
        let (status, code) = self.0.wellness();
        let detail = self.0.detail(documented);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(json!({ "detail": detail, "code": code }))).into_response();
        hint(&mut response, self.0.hints());
        response
    }
}

/// The documented name of a field.
fn documented(path: &[String]) -> String {
    match path.last().map(String::as_str) {
        Some("birthDate") => "date_of_birth".to_owned(),
        Some("ssn") => "social_security_number".to_owned(),
        Some("phone") => "phone_number".to_owned(),
        Some(field) => snake(field),
        None => String::new(),
    }
}

/// What no route answers.
pub fn unknown() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "detail": "Not found.", "code": "not-found" }))).into_response()
}

/// A path that is there, asked in a way it does not answer.
pub fn wrong_method() -> Response {
    let body = json!({ "detail": "This path does not answer this method.", "code": "method-not-allowed" });
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}

/// A request that came in the clear to a server that wants none such.
pub fn in_the_clear(message: &str) -> Response {
    (StatusCode::FORBIDDEN, Json(json!({ "detail": message, "code": "https-required" }))).into_response()
}

/// A request whose form is refused before its content is looked at.
pub fn refused_by_form(status: StatusCode, message: &str) -> Response {
    let code = match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported-media-type",
        StatusCode::REQUEST_TIMEOUT => "request-timeout",
        _ => "refused",
    };
    (status, Json(json!({ "detail": message, "code": code }))).into_response()
}

/// A body as sent; none at all is an empty one.
struct Form(Body);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = WellnessError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        Ok(Self(Body::read_or_empty(request, state).await?))
    }
}
