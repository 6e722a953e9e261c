//! REST API: routes and bodies of the brokerage API and the wellness API, by area. Each API has its own error
//! format.

mod brokerage;
pub mod core;
mod wellness;

pub use brokerage::{DocumentBody, ROUTES, routes};
pub use core::{answers::challenge, routes::Route};
pub use wellness::{OPEN, ROUTES as WELLNESS, is_wellness, routes as wellness_routes};

use crate::wire::Fault;
use axum::{
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use core::errors::{Problem, problem};
use wellness::WellnessError;

/// Responds to an unknown path.
pub async fn unknown(uri: Uri) -> Response {
    if is_wellness(uri.path()) {
        return wellness::unknown();
    }
    problem(StatusCode::NOT_FOUND, "not_found", "This path was not found.")
}

/// Responds to a method that the path does not support.
pub async fn wrong_method(uri: Uri) -> Response {
    if is_wellness(uri.path()) {
        return wellness::wrong_method();
    }
    problem(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "This path does not support this method.")
}

/// Returns an error response in the format of the path's API.
pub fn faulty(path: &str, error: impl Into<Fault>) -> Response {
    if is_wellness(path) {
        WellnessError::from(error).into_response()
    } else {
        Problem::from(error).into_response()
    }
}

/// Refuses a request without TLS to a server that requires TLS.
pub fn https_required(path: &str, message: &str) -> Response {
    if is_wellness(path) {
        return wellness::https_required(message);
    }
    problem(StatusCode::FORBIDDEN, "invalid_request", message)
}

/// Refuses a request before its body is parsed, in the format of the path's API.
pub fn refuse(path: &str, status: StatusCode, message: &str) -> Response {
    if is_wellness(path) {
        wellness::refuse(status, message)
    } else {
        problem(status, "invalid_request", message)
    }
}
