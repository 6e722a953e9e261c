//! Errors of the brokerage API, with the documented names of the fields.

use super::answers::hint;
use crate::wire::Fault;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// What the handlers answer with.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

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
    pub fn calling(error: impl Into<Fault>, name: fn(&str) -> Option<&'static str>) -> Self {
        Self { fault: error.into(), name, in_query: false }
    }

    /// The same fault in a parameter of a query.
    pub fn in_query(error: impl Into<Fault>) -> Self {
        Self { in_query: true, ..Self::from(error) }
    }

    /// The documented name of a field. Bodies have no `patch` around what is new, and hold a joint member as
    /// a person.
    pub fn field(&self, path: &[String]) -> String {
        let steps: Vec<&str> =
            path.iter().map(String::as_str).filter(|step| !matches!(*step, "patch" | "person")).collect();
        match steps.as_slice() {
            ["jointMember" | "joint_member", rest @ ..] if !rest.is_empty() => {
                format!("joint_member.{}", self.called(&rest.join(".")))
            }
            steps => self.called(&steps.join(".")),
        }
    }

    pub fn called(&self, path: &str) -> String {
        match (self.name)(path).or_else(|| documented(path)) {
            Some(name) => name.to_owned(),
            None => snake(path),
        }
    }
}

/// The documented names of fields that are not just another spelling.
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
        // Of this error alone, the documented body is a list.
        let error = if status == StatusCode::TOO_MANY_REQUESTS { json!([error]) } else { error };
        let mut response = (status, Json(json!({ "error": error }))).into_response();
        hint(&mut response, self.fault.hints());
        response
    }
}

/// An error that no rule of the domain has made.
pub fn problem(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "type": kind, "message": message } }))).into_response()
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
