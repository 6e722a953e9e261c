//! The REST API: bodies and routes of the two documented APIs, area by area. Each has its own shape of
//! errors.

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
    if is_wellness(path) {
        WellnessError::from(error).into_response()
    } else {
        Problem::from(error).into_response()
    }
}

/// A request that came in the clear to a server that wants none such.
pub fn in_the_clear(path: &str, message: &str) -> Response {
    if is_wellness(path) {
        return wellness::in_the_clear(message);
    }
    problem(StatusCode::FORBIDDEN, "invalid_request", message)
}

/// A request whose form is refused before its content is looked at, in the shape that the path's API
/// documents.
pub fn refused_by_form(path: &str, status: StatusCode, message: &str) -> Response {
    if is_wellness(path) {
        wellness::refused_by_form(status, message)
    } else {
        problem(status, "invalid_request", message)
    }
}
