//! The REST door: bodies and routes of the two documented APIs, feature by feature. Each has its own shape of errors.

mod accounts;
mod bank_accounts;
mod body;
mod deposits;
mod described;
mod document_body;
mod forms;
mod kyc;
mod kyc_documents;
pub mod large_body;
mod list;
pub mod openapi;
mod orders;
mod users;
mod wellness;

use crate::wire::{Fault, Hints};
use axum::{
    Json, Router,
    extract::{Extension, FromRequestParts, Path},
    http::{HeaderValue, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter},
};
use body::Body;
use described::Description;
use domain::{
    Actor,
    app::App,
    kernel::{command::Answer, idempotency::Key, text},
};
use serde::Serialize;
use serde_json::json;
use std::convert::Infallible;

/// One way to ask one path.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    filter: MethodFilter,
    handler: fn(MethodFilter) -> MethodRouter<App>,
    /// What the documentation says of it; a test asks it of every route.
    description: Option<Description>,
}

impl Route {
    const fn new(method: &'static str, path: &'static str, filter: MethodFilter, handler: fn(MethodFilter) -> MethodRouter<App>) -> Self {
        Self { method, path, filter, handler, description: None }
    }

    const fn described(mut self, description: Description) -> Self {
        self.description = Some(description);
        self
    }

    const fn get(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Self {
        Self::new("GET", path, MethodFilter::GET, handler)
    }

    const fn post(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Self {
        Self::new("POST", path, MethodFilter::POST, handler)
    }

    const fn put(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Self {
        Self::new("PUT", path, MethodFilter::PUT, handler)
    }

    const fn patch(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Self {
        Self::new("PATCH", path, MethodFilter::PATCH, handler)
    }

    const fn delete(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Self {
        Self::new("DELETE", path, MethodFilter::DELETE, handler)
    }
}

/// All there is of the brokerage API; the router has no route besides.
pub const ROUTES: [&[Route]; 7] =
    [users::ROUTES, kyc::ROUTES, kyc_documents::ROUTES, accounts::ROUTES, bank_accounts::ROUTES, deposits::ROUTES, orders::ROUTES];

/// Every route of the brokerage API, each path with and without a slash at its end.
pub fn routes() -> Router<App> {
    router(&ROUTES)
}

pub use kyc_documents::DocumentBody;
use wellness::WellnessError;
pub use wellness::{OPEN, ROUTES as WELLNESS, is_wellness, routes as wellness_routes};

fn router(groups: &[&[Route]]) -> Router<App> {
    groups.iter().copied().flatten().fold(Router::new(), |router, Route { path, filter, handler, .. }| {
        router.route(path, handler(*filter)).route(&format!("{path}/"), handler(*filter))
    })
}

/// What the handlers answer with.
type Result<T, E = Problem> = std::result::Result<T, E>;

/// A fault on its way out, with the documented names of the fields.
pub struct Problem {
    fault: Fault,
    name: fn(&str) -> Option<&'static str>,
    /// Whether a parameter of a query is at fault; `validation_error` is for bodies.
    in_query: bool,
}

impl<E: Into<Fault>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self { fault: error.into(), name: |_| None, in_query: false }
    }
}

impl Problem {
    /// The same fault, some fields called by their names on this route.
    fn calling(error: impl Into<Fault>, name: fn(&str) -> Option<&'static str>) -> Self {
        Self { fault: error.into(), name, in_query: false }
    }

    /// The same fault in a parameter of a query.
    fn in_query(error: impl Into<Fault>) -> Self {
        Self { in_query: true, ..Self::from(error) }
    }

    /// The documented name of a field. Bodies have no `patch` around what is new, and hold a joint member as a person.
    fn field(&self, path: &[String]) -> String {
        let steps: Vec<&str> = path.iter().map(String::as_str).filter(|step| !matches!(*step, "patch" | "person")).collect();
        match steps.as_slice() {
            ["jointMember" | "joint_member", rest @ ..] if !rest.is_empty() => format!("joint_member.{}", self.called(&rest.join("."))),
            steps => self.called(&steps.join(".")),
        }
    }

    fn called(&self, path: &str) -> String {
        match (self.name)(path).or_else(|| documented(path)) {
            Some(name) => name.to_owned(),
            None => snake(path),
        }
    }
}

/// The documented names of fields that are not just another spelling.
fn documented(path: &str) -> Option<&'static str> {
    Some(match path {
        "email" => "email_address",
        "phone" => "phone_number",
        "ssn" => "ssn_number",
        "address.line1" => "address_line_1",
        "address.line2" => "address_line_2",
        "number" => "bank_account_number",
        "routingNumber" => "bank_routing_number",
        "nickname" => "bank_account_nickname",
        "maritalStatus" => "martial_status",
        "idempotencyKey" => "Idempotency-Key",
        _ => return None,
    })
}

fn snake(path: &str) -> String {
    let mut name = String::with_capacity(path.len() + 4);
    for character in path.chars() {
        match character {
            '.' => name.push('_'),
            upper if upper.is_ascii_uppercase() => {
                name.push('_');
                name.push(upper.to_ascii_lowercase());
            }
            other => name.push(other),
        }
    }
    name
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, kind) = self.fault.rest();
        let kind = if self.in_query && kind == "validation_error" { "invalid_request" } else { kind };
        let message = self.fault.text(|path| self.field(path));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = json!({ "type": kind, "message": message });
        // Of this error alone, the documented body is a list.
        let error = if status == StatusCode::TOO_MANY_REQUESTS { json!([error]) } else { error };
        let mut response = (status, Json(json!({ "error": error }))).into_response();
        hint(&mut response, self.fault.hints());
        response
    }
}

/// Names the ways to send a credential.
pub fn challenge(response: &mut Response) {
    for scheme in [r#"Basic realm="coffer", charset="UTF-8""#, r#"Bearer realm="coffer""#] {
        response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
}

fn hint(response: &mut Response, hints: Hints) {
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

/// A command's answer as a body.
fn answer<T, B: Serialize>(answer: &Answer<T>, body: &B) -> Response {
    let mut response = Json(body).into_response();
    hint(&mut response, Hints { replayed: answer.replayed, retry_after: None });
    response
}

/// What no route answers.
pub async fn unknown(uri: Uri) -> Response {
    if is_wellness(uri.path()) {
        return wellness::unknown();
    }
    problem(StatusCode::NOT_FOUND, "not_found", "There is nothing here.")
}

/// A path that is there, asked in a way it does not answer.
pub async fn wrong_method(uri: Uri) -> Response {
    if is_wellness(uri.path()) {
        return wellness::wrong_method();
    }
    problem(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "This path does not answer this method.")
}

/// A fault in the shape that the path's API documents.
pub fn faulty(path: &str, error: impl Into<Fault>) -> Response {
    if is_wellness(path) { WellnessError::from(error).into_response() } else { Problem::from(error).into_response() }
}

/// A request that came in the clear to a server that wants none such.
pub fn in_the_clear(path: &str, message: &str) -> Response {
    if is_wellness(path) {
        return wellness::in_the_clear(message);
    }
    problem(StatusCode::FORBIDDEN, "invalid_request", message)
}

/// A request whose form is refused before its content is looked at, in the shape that the path's API documents.
pub fn refused_by_form(path: &str, status: StatusCode, message: &str) -> Response {
    if is_wellness(path) { wellness::refused_by_form(status, message) } else { problem(status, "invalid_request", message) }
}

fn problem(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "type": kind, "message": message } }))).into_response()
}

/// The caller, put into the request before it came here.
type Caller = Extension<Actor>;

/// The id or token in a path as it stands there; empty, which names nothing, where it cannot be read or holds a control character.
struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(path.map(|Path(id)| id).ok().filter(|id| !text::has_control(id)).unwrap_or_default()))
    }
}

/// The `Idempotency-Key` header, if there is one.
struct KeyHeader(Option<Key>);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_called_by_their_documented_names() {
        for (path, name) in [
            ("firstName", "first_name"),
            ("email", "email_address"),
            ("address.line1", "address_line_1"),
            ("address.postalCode", "address_postal_code"),
            ("routingNumber", "bank_routing_number"),
            ("maritalStatus", "martial_status"),
            ("accountId", "account_id"),
            ("amount", "amount"),
            ("patch.maritalStatus", "martial_status"),
            ("patch.jointMember", "joint_member"),
            ("jointMember.person.address.line1", "joint_member.address_line_1"),
            ("joint_member.ssn_number", "joint_member.ssn_number"),
        ] {
            let problem = Problem::from(domain::Error::Busy);
            assert_eq!(problem.field(&path.split('.').map(str::to_owned).collect::<Vec<_>>()), name);
        }
    }
}
