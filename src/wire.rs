//! The one place where an error becomes words for a stranger.

use crate::domain::{self, Code, Error, Refusal, command::Answer};
use std::sync::Arc;

/// An error on its way out. It cannot be printed, so a bare `?` on a database error in a door does not compile.
#[derive(Clone)]
pub struct Fault(Arc<Error>);

/// What the doors answer with.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match &error {
            Error::Database(_) | Error::Broken(_) => tracing::error!(cause = %error.cause(), "a request failed"),
            Error::Busy | Error::Unavailable(_) => tracing::warn!(cause = %error.cause(), "a request could not be served"),
            _ => {}
        }
        Self(Arc::new(error))
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(refusal).into()
    }
}

impl Fault {
    /// The stable code in GraphQL's `extensions.code`.
    pub fn code(&self) -> &'static str {
        match &*self.0 {
            Error::Refused(_) => "BAD_USER_INPUT",
            Error::Unauthenticated => "UNAUTHENTICATED",
            Error::Forbidden(_) => "FORBIDDEN",
            Error::TwoFactorRequired => "TWO_FACTOR_REQUIRED",
            Error::TooMany { .. } => "RATE_LIMITED",
            Error::Busy => "TIMEOUT",
            Error::CursorExpired => "CURSOR_EXPIRED",
            Error::Unavailable(_) => "UNAVAILABLE",
            Error::Database(_) | Error::Broken(_) => "INTERNAL_SERVER_ERROR",
        }
    }

    /// The words for a stranger, fields called as `name` says.
    pub fn text(&self, name: impl Fn(&[String]) -> String) -> String {
        match &*self.0 {
            Error::Refused(refusal) => refusal.message(&name(&refusal.path)),
            Error::Unauthenticated => "Authentication is required.".to_owned(),
            Error::Forbidden(scope) => format!("The credential lacks the scope `{scope}`."),
            Error::TwoFactorRequired => "User is not two factor authenticated.".to_owned(),
            Error::TooMany { .. } => "Too many requests".to_owned(),
            Error::Busy => "The server is busy; try again.".to_owned(),
            Error::CursorExpired => "The cursor is older than the events that are kept.".to_owned(),
            Error::Unavailable(what) => (*what).to_owned(),
            Error::Database(_) | Error::Broken(_) => "Something went wrong on our side.".to_owned(),
        }
    }

    /// The status and the documented error type on the REST door.
    pub fn rest(&self) -> (u16, &'static str) {
        match &*self.0 {
            Error::Refused(refusal) => match refusal.code {
                Code::Required => (400, "invalid_request"),
                Code::Invalid => (400, "validation_error"),
                Code::NotFound => (404, "not_found"),
                Code::IdempotencyKeyReused | Code::IdempotencyInProgress => (409, "invalid_request"),
                _ => (402, "invalid_request"),
            },
            Error::Unauthenticated | Error::Forbidden(_) => (401, "authentication_error"),
            Error::TwoFactorRequired => (403, "authentication_error"),
            Error::TooMany { .. } => (429, "rate_limit_exceeded"),
            Error::CursorExpired => (400, "invalid_request"),
            Error::Busy => (503, "api_error"),
            Error::Unavailable(_) => (503, "api_connection"),
            Error::Database(_) | Error::Broken(_) => (500, "api_error"),
        }
    }

    /// Whether this repeats an earlier answer, and after how many seconds the caller may try again.
    pub fn hints(&self) -> Hints {
        match &*self.0 {
            Error::Refused(refusal) => {
                let retry_after = (refusal.code == Code::IdempotencyInProgress).then_some(1);
                Hints { replayed: refusal.replayed, retry_after }
            }
            Error::Busy => Hints { replayed: false, retry_after: Some(1) },
            Error::TooMany { retry_after } => Hints { replayed: false, retry_after: Some(*retry_after) },
            _ => Hints::default(),
        }
    }
}

/// What the headers of an answer may add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    pub replayed: bool,
    pub retry_after: Option<u64>,
}

impl From<Fault> for async_graphql::Error {
    #[expect(clippy::disallowed_methods, reason = "the one place where a GraphQL error is made")]
    fn from(fault: Fault) -> Self {
        use async_graphql::ErrorExtensions;
        let text = fault.text(|path| path.join("."));
        Self::new(text).extend_with(|_, extensions| extensions.set("code", fault.code()))
    }
}

/// A refusal is an answer (`Err` inside `Ok`), everything else is a fault.
pub fn outcome<T>(result: domain::Result<T>) -> Result<std::result::Result<T, Refusal>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Refused(refusal)) => Ok(Err(refusal)),
        Err(other) => Err(other.into()),
    }
}

/// The same for a command's answer.
pub fn answered<T>(result: domain::Result<Answer<T>>) -> Result<std::result::Result<T, Refusal>> {
    outcome(result.map(|answer| answer.value))
}
