//! The parts that every operation refers to: areas, credentials, errors, headers and parameters.

use super::reference;
use crate::rest::core::forms;
use serde_json::{Map, Value, json};

/// Areas of both APIs: the tag, its title and its description.
pub const AREAS: [(&str, &str, &str); 8] = [
    ("users", "Users", "Customers of a partner. Their identity is checked when they are registered."),
    (
        "kyc",
        "Identity checks",
        "Identity checks, their questions and their documents. In a sandbox the last name decides the \
            outcome: `Question` is asked \
            questions, `Review` is asked for documents, `Denied` is denied, and any other name is approved.",
    ),
    ("accounts", "Accounts", "Brokerage accounts of approved users."),
    ("bank_accounts", "Bank accounts", "External bank accounts of approved users, which deposits come from."),
    (
        "deposits",
        "Deposits",
        "ACH deposits into brokerage accounts. A deposit settles on the next banking day at 08:30 New York time.",
    ),
    ("orders", "Orders", "Orders to buy and sell securities. A buy order needs settled cash."),
    (
        "account",
        "Wellness API: users and sessions",
        "Users who sign in themselves: sign-up, sign-in, profiles, invitations and password recovery.",
    ),
    (
        "two_factor_authentication",
        "Wellness API: two-factor authentication",
        "Passcodes by text message. Until one is verified, a session may not do anything else.",
    ),
];

pub fn security(schemes: &[Scheme]) -> Vec<Value> {
    schemes.iter().map(|(name, _)| json!({ *name: [] })).collect()
}

type Scheme = (&'static str, fn() -> Value);

/// The four ways to send a key, one at a time.
pub const SCHEMES: [Scheme; 4] = [
    ("basic", || {
        json!({ "type": "http", "scheme": "basic",
            "description": "The key as user name; a password is not read." })
    }),
    (
        "bearer",
        || json!({ "type": "http", "scheme": "bearer", "description": "`Authorization: Bearer <key>`." }),
    ),
    (
        "authorization",
        || json!({ "type": "apiKey", "in": "header", "name": "Authorization", "description": "The key alone." }),
    ),
    ("bearerHeader", || {
        json!({ "type": "apiKey", "in": "header", "name": "Bearer",
            "description": "A header of its own: `Bearer: <key>`." })
    }),
];

/// How a person who has signed in proves it.
pub const SESSION: Scheme = ("session", || {
    json!({ "type": "http", "scheme": "bearer",
        "description": "The access token of somebody who has signed in." })
});

pub fn own_schemas() -> Map<String, Value> {
    let link = |text: &str| json!({ "type": ["string", "null"], "description": text });
    let error = json!({
        "type": "object",
        "required": ["type", "message"],
        "properties": {
            "type": { "type": "string", "description": "What kind of error it is.", "enum": [
                "api_connection", "api_error", "authentication_error", "invalid_request", "not_found",
                "validation_error",
            ] },
            "message": { "type": "string", "description": "A sentence for a person, naming the field at fault." },
        },
    });
    let limited = json!({
        "type": "object",
        "required": ["type", "message"],
        "properties": {
            "type": { "type": "string", "description": "What kind of error it is.", "enum": ["rate_limit_exceeded"] },
            "message": { "type": "string", "description": "A sentence for a person." },
        },
    });
    let pagination = json!({
        "type": "object",
        "description": "Where a page stands in its list; a list's own parameters come back here too.",
        "required": ["limit", "order", "starting_after", "ending_before", "next_page", "next_uri",
            "previous_page", "previous_uri"],
        "properties": {
            "limit": { "type": "integer", "description": "The most items on this page." },
            "order": { "type": "string", "description": "Newest first or oldest first.", "enum": ["desc", "asc"] },
            "starting_after": link("The cursor that this page begins after."),
            "ending_before": link("The cursor that this page ends before."),
            "next_page": link("Path and query of the next page; null when there is none."),
            "next_uri": link("The same with the origin."),
            "previous_page": link("Path and query of the page before; null when there is none."),
            "previous_uri": link("The same with the origin."),
        },
    });
    let trouble = json!({
        "type": "object",
        "required": ["detail", "code"],
        "properties": {
            "detail": { "type": "string", "description": "A sentence for a person." },
            "code": { "type": "string", "description": "A stable reason, such as `not-found`." },
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
        ("WellnessError", trouble),
    ]
    .into_iter()
    .chain(codes)
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect()
}

/// Refusals and faults: the status, its name here, and when it is answered.
pub const PROBLEMS: [(&str, &str, &str); 10] = [
    ("400", "BadRequest", "A field is missing or malformed."),
    ("401", "Unauthorized", "No valid key, or one that may not do this."),
    ("402", "Refused", "The request is well-formed, and the state of things refuses it."),
    ("404", "NotFound", "An id was not found."),
    ("408", "RequestTimeout", "The body was not received in time."),
    (
        "409",
        "IdempotencyConflict",
        "The idempotency key stands for another request, or the first one has not finished.",
    ),
    ("415", "UnsupportedMediaType", "The content type of the body is not `application/json`."),
    ("429", "TooManyRequests", "Too many requests in this hour; the body holds a list."),
    ("500", "Fault", "Something went wrong on our side."),
    ("503", "Unavailable", "Something that this needs cannot be had right now."),
];

pub fn responses() -> Map<String, Value> {
    let problem = |(status, name, text): (&str, &str, &str), schema: &str| {
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
    let brokerage = PROBLEMS.map(|one| problem(one, if one.0 == "429" { "RateLimited" } else { "Error" }));
    brokerage.into_iter().chain(TROUBLES.map(|one| problem(one, "WellnessError"))).collect()
}

/// The same of the wellness API.
pub const TROUBLES: [(&str, &str, &str); 10] = [
    ("401", "NotSignedIn", "Nobody has signed in, or the sign-in is worth nothing."),
    ("403", "NotAllowed", "The session has not passed its second factor, or may not do this."),
    ("404", "NothingNamed", "An id was not found."),
    ("408", "TooSlow", "The body was not received in time."),
    ("409", "TakenAlready", "Somebody else has it already."),
    ("415", "NotJson", "The content type of the body is not `application/json`."),
    ("422", "TroubledRequest", "Something is missing, malformed, or refused by the state of things."),
    ("429", "TooOften", "Too many requests in this hour."),
    ("500", "WellnessError", "Something went wrong on our side."),
    ("503", "NotNow", "Something that this needs cannot be had right now."),
];

pub fn headers() -> Value {
    json!({
        "RetryAfter": { "description": "After how many seconds it may be tried again.",
            "schema": { "type": "integer" } },
        "IdempotentReplayed": { "description": "`true` when this repeats an earlier answer.",
            "schema": { "type": "string" } },
    })
}

pub fn parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Made by the client, 1 to 255 visible characters; the same request under the \
                same key answers the same and happens once.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        },
        "Limit": {
            "name": "limit", "in": "query", "required": false, "description": "The most items on the page.",
            "schema": { "type": "integer", "minimum": 0, "maximum": 100, "default": 25 },
        },
        "Order": {
            "name": "order", "in": "query", "required": false, "description": "Newest first or oldest first.",
            "schema": { "type": "string", "enum": ["desc", "asc"], "default": "desc" },
        },
        "StartingAfter": {
            "name": "starting_after", "in": "query", "required": false,
            "description": "Only what follows the item with this id.",
            "schema": { "type": "string" },
        },
        "EndingBefore": {
            "name": "ending_before", "in": "query", "required": false,
            "description": "Only what stands ahead of the item with this id; not together with `starting_after`.",
            "schema": { "type": "string" },
        },
    })
}
