//! Components shared by all operations: tags, security schemes, error responses, headers and parameters.

use super::reference;
use crate::rest::core::forms;
use serde_json::{Map, Value, json};

/// Tags of both APIs, each with its title and its description.
pub const AREAS: [(&str, &str, &str); 10] = [
    ("users", "Users", "Customers of a partner. Their identity is checked when they are registered."),
    (
        "kyc",
        "Identity checks",
        "Identity checks, their questions and their documents. In a sandbox the last name decides the \
            outcome: `Question` must answer questions, `Review` must send documents, `Denied` is denied, \
            and any other name is approved.",
    ),
    ("accounts", "Accounts", "Brokerage accounts of approved users."),
    (
        "bank_accounts",
        "Bank accounts",
        "External bank accounts of approved users. Deposits are pulled from them, withdrawals are paid to them.",
    ),
    (
        "deposits",
        "Deposits",
        "ACH deposits into brokerage accounts. A deposit settles on the next banking day at 08:30 New \
            York time.",
    ),
    (
        "orders",
        "Orders",
        "Orders to buy and sell securities. A buy order needs enough buying power: settled and \
            unsettled cash that is not held for other orders.",
    ),
    (
        "withdrawals",
        "Withdrawals",
        "ACH withdrawals from brokerage accounts: from cash, then by selling shares. From cash, the money \
            arrives three banking days after the request; with sales, two banking days after they settle.",
    ),
    (
        "statements",
        "Statements",
        "Statements of brokerage accounts, made on the first day of each month for the month before. Each request \
            returns a new download URL.",
    ),
    (
        "account",
        "Wellness API: users and sessions",
        "Users with their own login: sign-up, sign-in, profiles, invitations and password recovery.",
    ),
    (
        "two_factor_authentication",
        "Wellness API: two-factor authentication",
        "One-time passcodes by text message. A session can do nothing else until it has passed \
            two-factor authentication.",
    ),
];

pub fn security(schemes: &[Scheme]) -> Vec<Value> {
    schemes.iter().map(|(name, _)| json!({ *name: [] })).collect()
}

type Scheme = (&'static str, fn() -> Value);

/// The four ways to send an API key. A request uses exactly one of them.
pub const SCHEMES: [Scheme; 4] = [
    ("basic", || {
        json!({ "type": "http", "scheme": "basic",
            "description": "The API key as the user name. The password is ignored." })
    }),
    ("bearer", || {
        json!({ "type": "http", "scheme": "bearer",
            "description": "The API key in the header `Authorization: Bearer <key>`." })
    }),
    ("authorization", || {
        json!({ "type": "apiKey", "in": "header", "name": "Authorization",
            "description": "The API key alone in the header `Authorization`." })
    }),
    ("bearerHeader", || {
        json!({ "type": "apiKey", "in": "header", "name": "Bearer",
            "description": "The API key in the header `Bearer: <key>`." })
    }),
];

/// The credential of a signed-in user.
pub const SESSION: Scheme = ("session", || {
    json!({ "type": "http", "scheme": "bearer",
        "description": "Access token of a signed-in user." })
});

pub fn own_schemas() -> Map<String, Value> {
    let link = |text: &str| json!({ "type": ["string", "null"], "description": text });
    let error = json!({
        "type": "object",
        "required": ["type", "message"],
        "properties": {
            "type": { "type": "string", "description": "Type of error.", "enum": [
                "api_connection", "api_error", "authentication_error", "invalid_request", "not_found",
                "validation_error",
            ] },
            "message": { "type": "string", "description": "Human-readable message with the invalid field." },
        },
    });
    let limited = json!({
        "type": "object",
        "required": ["type", "message"],
        "properties": {
            "type": { "type": "string", "description": "Type of error.", "enum": ["rate_limit_exceeded"] },
            "message": { "type": "string", "description": "Human-readable message." },
        },
    });
    let pagination = json!({
        "type": "object",
        "description": "Position of the page in its list. The filters of the request are repeated here.",
        "required": ["limit", "order", "starting_after", "ending_before", "next_page", "next_uri",
            "previous_page", "previous_uri"],
        "properties": {
            "limit": { "type": "integer", "description": "Maximum number of items on this page." },
            "order": { "type": "string", "enum": ["desc", "asc"],
                "description": "`desc` for newest first, `asc` for oldest first." },
            "starting_after": link("Id of the item after which this page starts."),
            "ending_before": link("Id of the item before which this page ends."),
            "next_page": link("Path and query of the next page; null if this is the last page."),
            "next_uri": link("Full URL of the next page; null if this is the last page."),
            "previous_page": link("Path and query of the previous page; null if this is the first page."),
            "previous_uri": link("Full URL of the previous page; null if this is the first page."),
        },
    });
    let wellness_error = json!({
        "type": "object",
        "required": ["detail", "code"],
        "properties": {
            "detail": { "type": "string", "description": "Human-readable message." },
            "code": { "type": "string", "description": "Stable error code, for example `not-found`." },
        },
    });
    let wrapped =
        |inner: Value| json!({ "type": "object", "required": ["error"], "properties": { "error": inner } });
    let codes = forms::CODES.map(|(name, text, codes)| {
        let codes = codes();
        let pattern = forms::in_any_case(codes.iter().copied(), "");
        (name, json!({ "type": "string", "description": text, "anyOf": [{ "enum": codes }, { "pattern": pattern }] }))
    });
    [
        ("Error", wrapped(error)),
        ("RateLimited", wrapped(json!({ "type": "array", "items": limited }))),
        ("Pagination", pagination),
        ("WellnessError", wellness_error),
    ]
    .into_iter()
    .chain(codes)
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect()
}

/// Error responses of the brokerage API: status, component name, and when the server sends it.
pub const BROKERAGE_ERRORS: [(&str, &str, &str); 10] = [
    ("400", "BadRequest", "A field is missing or malformed."),
    ("401", "Unauthorized", "The API key is missing or invalid, or it may not make this request."),
    ("402", "RequestRefused", "The request is well-formed, but the current state does not allow it."),
    ("404", "NotFound", "The object was not found."),
    ("408", "RequestTimeout", "The body was not received in time."),
    (
        "409",
        "IdempotencyConflict",
        "The idempotency key was used for a different request, or the first request has not finished.",
    ),
    ("415", "UnsupportedMediaType", "The content type of the body is not `application/json`."),
    ("429", "TooManyRequests", "Too many requests. `error` is a list."),
    ("500", "InternalError", "Internal server error."),
    ("503", "Unavailable", "The database or another required service is unavailable. Try again later."),
];

pub fn responses() -> Map<String, Value> {
    let response = |(status, name, text): (&str, &str, &str), schema: &str| {
        let mut response = json!({
            "description": text,
            "content": { "application/json": { "schema": reference("schemas", schema) } },
        });
        if let (Value::Object(response), "409" | "429" | "503") = (&mut response, status) {
            response
                .insert("headers".to_owned(), json!({ "Retry-After": reference("headers", "RetryAfter") }));
        }
        (name.to_owned(), response)
    };
    let brokerage =
        BROKERAGE_ERRORS.map(|one| response(one, if one.0 == "429" { "RateLimited" } else { "Error" }));
    brokerage.into_iter().chain(WELLNESS_ERRORS.map(|one| response(one, "WellnessError"))).collect()
}

/// Error responses of the wellness API, in the same form.
pub const WELLNESS_ERRORS: [(&str, &str, &str); 10] = [
    ("401", "WellnessUnauthorized", "The access token is missing, invalid or expired."),
    (
        "403",
        "WellnessForbidden",
        "The session has not passed two-factor authentication, or it may not make this request.",
    ),
    ("404", "WellnessNotFound", "The object was not found."),
    ("408", "WellnessRequestTimeout", "The body was not received in time."),
    ("409", "WellnessEmailTaken", "The e-mail address is already in use."),
    ("415", "WellnessUnsupportedMediaType", "The content type of the body is not `application/json`."),
    (
        "422",
        "WellnessUnprocessable",
        "A field is missing or malformed, or the current state does not allow the request.",
    ),
    ("429", "WellnessTooManyRequests", "Too many requests."),
    ("500", "WellnessInternalError", "Internal server error."),
    (
        "503",
        "WellnessUnavailable",
        "The database or another required service is unavailable. Try again later.",
    ),
];

pub fn headers() -> Value {
    json!({
        "RetryAfter": { "description": "Seconds to wait before the next attempt.",
            "schema": { "type": "integer" } },
        "IdempotentReplayed": { "description": "`true` if this is a stored response to an earlier request.",
            "schema": { "type": "string" } },
    })
}

pub fn parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Key that the client generates, 1 to 255 visible ASCII characters. A repeated \
                request with the same key runs once and gets the same response.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        },
        "Limit": {
            "name": "limit", "in": "query", "required": false,
            "description": "Maximum number of items on the page.",
            "schema": { "type": "integer", "minimum": 0, "maximum": 100, "default": 25 },
        },
        "Order": {
            "name": "order", "in": "query", "required": false,
            "description": "`desc` for newest first, `asc` for oldest first.",
            "schema": { "type": "string", "enum": ["desc", "asc"], "default": "desc" },
        },
        "StartingAfter": {
            "name": "starting_after", "in": "query", "required": false,
            "description": "Return only items after the item with this id.",
            "schema": { "type": "string" },
        },
        "EndingBefore": {
            "name": "ending_before", "in": "query", "required": false,
            "description": "Return only items before the item with this id. Cannot be combined with \
                `starting_after`.",
            "schema": { "type": "string" },
        },
    })
}
