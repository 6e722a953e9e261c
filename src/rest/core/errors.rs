//! Error responses of the brokerage API. Messages use the documented field names.

use super::answers::add_headers;
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
    /// Field names that differ on this route.
    name: fn(&str) -> Option<&'static str>,
    /// Whether a query parameter is invalid; the type `validation_error` is for bodies only.
    in_query: bool,
}

impl<E: Into<Fault>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self { fault: error.into(), name: |_| None, in_query: false }
    }
}

impl Problem {
    /// Creates an error that uses this route's own names for some fields.
    pub fn with_field_names(error: impl Into<Fault>, name: fn(&str) -> Option<&'static str>) -> Self {
        Self { fault: error.into(), name, in_query: false }
    }

    /// Creates an error about a query parameter.
    pub fn in_query(error: impl Into<Fault>) -> Self {
        Self { in_query: true, ..Self::from(error) }
    }

    /// Returns the documented name of a field. REST bodies have no `patch` object around new values, and no
    /// `person` object inside a joint member.
    pub fn field(&self, path: &[String]) -> String {
        let steps: Vec<&str> =
            path.iter().map(String::as_str).filter(|step| !matches!(*step, "patch" | "person")).collect();
        match steps.as_slice() {
            ["jointMember" | "joint_member", rest @ ..] if !rest.is_empty() => {
                format!("joint_member.{}", self.field_name(&rest.join(".")))
            }
            steps => self.field_name(&steps.join(".")),
        }
    }

    /// Returns the documented name of a field outside a joint member.
    pub fn field_name(&self, path: &str) -> String {
        match (self.name)(path).or_else(|| documented(path)) {
            Some(name) => name.to_owned(),
            None => snake(path),
        }
    }
}

/// Returns the documented name of a field if it is not just the snake case of the domain's name.
pub fn documented(path: &str) -> Option<&'static str> {
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

pub fn snake(path: &str) -> String {
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
    fn errors_use_the_documented_field_names() {
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
