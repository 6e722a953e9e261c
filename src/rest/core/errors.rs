//! Error responses of the brokerage API. Messages use the documented field names.

use super::{answers::add_headers, bodies::RequestBody};
use crate::wire::Fault;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Result of a handler of the brokerage API.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// Error response of the brokerage API.
pub struct Problem {
    fault: Fault,
    /// Returns the documented name of a field.
    name: fn(&str) -> String,
    /// Whether a query parameter is invalid; the type `validation_error` is for bodies only.
    in_query: bool,
}

impl<E: Into<Fault>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self { fault: error.into(), name: documented_name, in_query: false }
    }
}

impl Problem {
    /// Creates an error that uses the field names of a request body.
    pub fn in_body<T: RequestBody>(error: impl Into<Fault>) -> Self {
        Self { name: T::field_name, ..Self::from(error) }
    }

    /// Creates an error whose fields have their documented names already.
    pub fn of_fields(error: impl Into<Fault>) -> Self {
        Self { name: str::to_owned, ..Self::from(error) }
    }

    /// Creates an error about a query parameter.
    pub fn in_query(error: impl Into<Fault>) -> Self {
        Self { in_query: true, ..Self::from(error) }
    }
}

/// Returns the path of a field in a REST body, which has no `patch` object around new values.
fn path_in_body(path: &[String]) -> String {
    path.iter().map(String::as_str).filter(|step| *step != "patch").collect::<Vec<_>>().join(".")
}

/// Returns the name of a field that the domain calls `path`: in snake case.
pub fn documented_name(path: &str) -> String {
    if path == "idempotencyKey" { "Idempotency-Key".to_owned() } else { snake(path) }
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
        let message = self.fault.text(|path| (self.name)(&path_in_body(path)));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = json!({ "type": kind, "message": message });
        // As documented, `error` is a list for this status only.
        let error = if status == StatusCode::TOO_MANY_REQUESTS { json!([error]) } else { error };
        let mut response = (status, Json(json!({ "error": error }))).into_response();
        add_headers(&mut response, self.fault.hints());
        response
    }
}

/// Creates an error response that does not come from the domain.
pub fn problem(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "type": kind, "message": message } }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_in_snake_case() {
        for (path, name) in [
            ("firstName", "first_name"),
            ("address.postalCode", "address_postal_code"),
            ("patch.accountId", "account_id"),
            ("amount", "amount"),
            ("idempotencyKey", "Idempotency-Key"),
        ] {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            assert_eq!(documented_name(&path_in_body(&path)), name);
        }
    }
}
