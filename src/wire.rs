//! Converts errors of the domain into codes, statuses and messages of the APIs.

use domain::{Code, Error, Refusal, kernel::command::Answer};
use std::{fmt, sync::Arc};

/// Error of a request, ready for a response. It implements neither `Display` nor `From<DbErr>`, so that a
/// bare `?` on a database error in a resolver or handler does not compile.
#[derive(Clone)]
pub struct Fault(Arc<Error>);

/// URL that links in responses start with, without a trailing slash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BaseUrl(Arc<str>);

impl BaseUrl {
    /// Creates a base URL from a checked scheme, host and optional path.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Result of a request to one of the APIs.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match &error {
            Error::Database(_) | Error::Broken(_) => {
                tracing::error!(cause = %error.cause(), "a request failed");
            }
            Error::Busy | Error::Unavailable(_) | Error::DatabaseUnavailable(_) => {
                tracing::warn!(cause = %error.cause(), "a request could not be served");
            }
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
    /// Returns the stable code for `extensions.code` in GraphQL.
    pub fn code(&self) -> &'static str {
        match &*self.0 {
            Error::Refused(refusal) if refusal.code == Code::NotFound => "NOT_FOUND",
            Error::Refused(_) => "BAD_USER_INPUT",
            Error::Unauthenticated => "UNAUTHENTICATED",
            Error::Forbidden(_) | Error::UserSessionRequired => "FORBIDDEN",
            Error::TwoFactorRequired => "TWO_FACTOR_REQUIRED",
            Error::TooMany { .. } => "RATE_LIMITED",
            Error::Busy => "TIMEOUT",
            Error::CursorExpired => "CURSOR_EXPIRED",
            Error::Unavailable(_) | Error::DatabaseUnavailable(_) => "UNAVAILABLE",
            Error::Database(_) | Error::Broken(_) => "INTERNAL_SERVER_ERROR",
        }
    }

    /// Returns the message for a caller. `name` maps the path of a field to its name in the API.
    pub fn text(&self, name: impl Fn(&[String]) -> String) -> String {
        match &*self.0 {
            Error::Refused(refusal) => refusal.message(&name(&refusal.path)),
            Error::Unauthenticated => "Authentication is required.".to_owned(),
            Error::Forbidden(scope) => format!("The credential lacks the scope `{scope}`."),
            Error::UserSessionRequired => {
                "Only available to signed-in users. Use an access token instead of an API key.".to_owned()
            }
            Error::TwoFactorRequired => "User is not two factor authenticated.".to_owned(),
            Error::TooMany { .. } => "Too many requests".to_owned(),
            Error::Busy => "The server is busy; try again.".to_owned(),
            Error::CursorExpired => {
                "The cursor is older than the stored events. Start again without a cursor.".to_owned()
            }
            Error::Unavailable(what) => (*what).to_owned(),
            Error::DatabaseUnavailable(_) => "The database is unavailable. Try again.".to_owned(),
            Error::Database(_) | Error::Broken(_) => "Something went wrong on our side.".to_owned(),
        }
    }

    /// Returns the HTTP status and the documented error type for the brokerage REST API.
    pub fn rest(&self) -> (u16, &'static str) {
        match &*self.0 {
            Error::Refused(refusal) => match refusal.code {
                Code::Required => (400, "invalid_request"),
                Code::Invalid => (400, "validation_error"),
                Code::NotFound => (404, "not_found"),
                Code::IdempotencyKeyReused | Code::IdempotencyInProgress => (409, "invalid_request"),
                _ => (402, "invalid_request"),
            },
            Error::Unauthenticated | Error::Forbidden(_) | Error::UserSessionRequired => {
                (401, "authentication_error")
            }
            Error::TwoFactorRequired => (403, "authentication_error"),
            Error::TooMany { .. } => (429, "rate_limit_exceeded"),
            Error::CursorExpired => (400, "invalid_request"),
            Error::Busy => (503, "api_error"),
            Error::Unavailable(_) | Error::DatabaseUnavailable(_) => (503, "api_connection"),
            Error::Database(_) | Error::Broken(_) => (500, "api_error"),
        }
    }

    /// Returns the HTTP status and the documented error code for the wellness REST API.
    pub fn wellness(&self) -> (u16, &'static str) {
        match &*self.0 {
            Error::Refused(refusal) => match refusal.code {
                Code::NotFound => (404, "not-found"),
                Code::InvalidCredentials => (403, "invalid-credentials"),
                Code::InvalidToken => (422, "invalid-token"),
                Code::EmailTaken => (409, "email-has-been-taken"),
                Code::InvitationEmailMismatch => (422, "belongs-to-different-email"),
                Code::InvalidPhone => (422, "invalid-phone-number"),
                Code::PhoneVerified => (422, "already-has-verified-phone-number"),
                Code::PhoneNotVerified => (422, "does-not-have-verified-phone-number"),
                Code::PhoneTaken => (422, "phone-number-has-been-taken"),
                Code::InvalidHashCode => (422, "invalid-hash-code"),
                Code::InvalidPasscode => (422, "invalid-passcode"),
                Code::IdempotencyKeyReused | Code::IdempotencyInProgress => (409, "idempotency-conflict"),
                Code::Invalid | Code::Required => (422, "invalid-input"),
                _ => (422, "refused"),
            },
            Error::Unauthenticated | Error::Forbidden(_) | Error::UserSessionRequired => {
                (401, "not-authenticated")
            }
            Error::TwoFactorRequired => (403, "not-two-factor-authenticated"),
            Error::TooMany { .. } => (429, "too-many-requests"),
            Error::CursorExpired => (422, "invalid-input"),
            Error::Busy | Error::Unavailable(_) | Error::DatabaseUnavailable(_) => (503, "unavailable"),
            Error::Database(_) | Error::Broken(_) => (500, "internal-error"),
        }
    }

    /// Returns the message for the wellness REST API. `name` maps the path of a field to its name in the API.
    pub fn detail(&self, name: impl Fn(&[String]) -> String) -> String {
        match &*self.0 {
            Error::Unauthenticated | Error::Forbidden(_) | Error::UserSessionRequired => {
                "Authentication credentials are missing or invalid.".to_owned()
            }
            Error::Refused(refusal) => match refusal.code {
                Code::NotFound => "Not found.".to_owned(),
                // The wording of the documented API.
                Code::EmailTaken => "Email already has be taken.".to_owned(),
                Code::PhoneTaken => "Phone number already has be taken.".to_owned(),
                _ => self.text(name),
            },
            _ => self.text(name),
        }
    }

    /// Returns the values for the response headers that go with this error.
    pub fn hints(&self) -> Hints {
        match &*self.0 {
            Error::Refused(refusal) => {
                let retry_after = (refusal.code == Code::IdempotencyInProgress).then_some(1);
                Hints { replayed: refusal.replayed, retry_after }
            }
            Error::Busy | Error::DatabaseUnavailable(_) => Hints { replayed: false, retry_after: Some(1) },
            Error::Unavailable(_) => Hints { replayed: false, retry_after: Some(5) },
            Error::TooMany { retry_after } => Hints { replayed: false, retry_after: Some(*retry_after) },
            _ => Hints::default(),
        }
    }
}

/// Values for response headers: whether the response repeats an earlier one, and the seconds to wait before a
/// retry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    pub replayed: bool,
    pub retry_after: Option<u64>,
}

impl From<Fault> for async_graphql::Error {
    #[expect(clippy::disallowed_methods, reason = "the only place that creates a GraphQL error")]
    fn from(fault: Fault) -> Self {
        use async_graphql::ErrorExtensions;
        let text = fault.text(|path| path.join("."));
        Self::new(text).extend_with(|_, extensions| {
            extensions.set("code", fault.code());
            if let Some(seconds) = fault.hints().retry_after {
                extensions.set("retryAfter", seconds);
            }
        })
    }
}

/// Separates refusals, which mutations return as data (`Err` inside `Ok`), from all other errors.
pub fn outcome<T>(result: domain::Result<T>) -> Result<std::result::Result<T, Refusal>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Refused(refusal)) => Ok(Err(refusal)),
        Err(other) => Err(other.into()),
    }
}

/// Does the same as [`outcome`] for the answer of a command.
pub fn answered<T>(result: domain::Result<Answer<T>>) -> Result<std::result::Result<T, Refusal>> {
    outcome(result.map(|answer| answer.value))
}
