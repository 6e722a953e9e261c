//! Rate limits and authentication: counts each request once before its body is read, and adds the remaining
//! allowance to the response.

use super::{Denied, ServerState, client_address::ClientInfo, graphql_http, request_id};
use crate::rest;
use axum::{
    body::HttpBody,
    extract::{Extension, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use domain::{
    Actor, Error, Who,
    access::keys,
    app::App,
    kernel::limits::{self, Remaining},
};
use std::{net::IpAddr, time::Duration};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Response headers that web pages of other origins may read.
pub const EXPOSED_HEADERS: [HeaderName; 6] = [
    LIMIT,
    REMAINING,
    RESET,
    header::RETRY_AFTER,
    super::REQUEST_ID,
    HeaderName::from_static("idempotent-replayed"),
];

/// Caller of a GraphQL request that has been counted.
#[derive(Clone)]
pub struct Authenticated {
    /// The caller, or the reason why the credential was refused.
    pub caller: Result<Actor, Denied>,
    /// Anonymous caller for operations that need no credential, if the request carries an expired or invalid
    /// token: clients may send an old token with every request. None for a mistyped API key, because without
    /// it the partner is unknown.
    pub anonymous: Option<Actor>,
}

/// Middleware of the GraphQL API: counts the request and adds its caller as an extension.
pub async fn at_graphql(
    State(state): State<ServerState>,
    Extension(client): Extension<ClientInfo>,
    mut request: Request,
    next: Next,
) -> Response {
    let known = graphql_http::caller(&state, request.headers(), client.address).await;
    match count(&state.app, &known, client.address).await {
        Ok(remaining) => {
            let expired = known.as_ref().is_err_and(|denied| denied.code == "UNAUTHENTICATED")
                && !has_key(request.headers());
            let request_id = request_id(request.headers());
            let anonymous =
                expired.then(|| Actor { request_id, address: client.address, ..Actor::default() });
            request.extensions_mut().insert(Authenticated { caller: known, anonymous });
            with_headers(next.run(request).await, remaining)
        }
        Err(error) => {
            let remaining = none_remaining(&state.app, &error);
            with_headers(graphql_http::refuse(request.headers(), error.into()), remaining)
        }
    }
}

/// Counts a request against the allowance of its caller, or of its client address if the credential is
/// invalid.
pub async fn count(
    app: &App,
    known: &Result<Actor, Denied>,
    address: Option<IpAddr>,
) -> domain::Result<Option<Remaining>> {
    match known {
        Ok(actor) => limits::request(app, &actor.who, address).await,
        Err(denied) if denied.code == "UNAUTHENTICATED" => {
            limits::request(app, &Who::Anonymous, address).await
        }
        Err(_) => Ok(None),
    }
}

/// Maximum time for a GET request to a REST API. GraphQL has its own limit.
const READ_TIMEOUT: Duration = Duration::from_secs(8);

/// Middleware of the REST APIs: counts the request and adds its caller as an extension.
pub async fn at_rest(
    State(app): State<App>,
    Extension(client): Extension<ClientInfo>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let known = rest_caller(&app, request.method(), &path, request.headers(), client.address).await;
    let counted = match &known {
        Ok(actor) => limits::request(&app, &actor.who, client.address).await,
        Err(Error::Unauthenticated) => limits::request(&app, &Who::Anonymous, client.address).await,
        Err(_) => Ok(None),
    };
    match (counted, known) {
        (Ok(remaining), Ok(_)) if !is_json_or_empty(&request) => with_headers(
            rest::refuse(&path, StatusCode::UNSUPPORTED_MEDIA_TYPE, graphql_http::NOT_JSON),
            remaining,
        ),
        (Ok(remaining), Ok(actor)) => {
            request.extensions_mut().insert(actor);
            // A change is never interrupted. Its statements have their own timeouts.
            let limit = if request.method() == Method::GET { READ_TIMEOUT } else { Duration::MAX };
            let response = tokio::time::timeout(limit, next.run(request)).await;
            with_headers(
                response.unwrap_or_else(|_| rest::faulty(&path, Error::database_timed_out())),
                remaining,
            )
        }
        (Ok(remaining), Err(error)) => with_headers(rest::faulty(&path, error), remaining),
        (Err(error), _) => {
            let remaining = none_remaining(&app, &error);
            with_headers(rest::faulty(&path, error), remaining)
        }
    }
}

/// Returns whether the body is JSON or empty. A page of another site can make a browser send any other body,
/// even one without a content type, together with a credential that the browser has stored.
fn is_json_or_empty(request: &Request) -> bool {
    let headers = request.headers();
    let has_content_type = !request.method().is_safe() && headers.contains_key(header::CONTENT_TYPE);
    (request.body().is_end_stream() && !has_content_type) || graphql_http::is_json(headers)
}

/// Authenticates the caller of a REST API. A valid credential is required except on open routes, where a
/// missing or expired token makes the caller anonymous: clients may send an old token with every request.
async fn rest_caller(
    app: &App,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> domain::Result<Actor> {
    let open = rest::OPEN
        .iter()
        .any(|(allowed, open)| method == *allowed && matches_route(open, path.trim_end_matches('/')));
    match documented_caller(app, headers, address).await {
        Err(Error::Unauthenticated) if open && !has_key(headers) => {
            Ok(Actor { request_id: request_id(headers), address, ..Actor::default() })
        }
        known => known,
    }
}

/// Returns whether a path matches a route. `{…}` matches any one segment.
fn matches_route(route: &str, path: &str) -> bool {
    let (route, path): (Vec<&str>, Vec<&str>) = (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len()
        && route.iter().zip(path).all(|(step, given)| step.starts_with('{') || *step == given)
}

/// Returns whether a credential looks like an API key, valid or not.
fn has_key(headers: &HeaderMap) -> bool {
    super::credentials(headers).flatten().any(|credential| keys::looks_like(&credential))
}

/// Authenticates by the `Authorization` header or the documented header `Bearer: <key>`. Exactly one
/// credential must be sent.
async fn documented_caller(app: &App, headers: &HeaderMap, address: Option<IpAddr>) -> domain::Result<Actor> {
    let mut sent = super::credentials(headers);
    match (sent.next(), sent.next()) {
        (Some(Some(credential)), None) => {
            super::caller(app, Some(credential), request_id(headers), address).await
        }
        _ => Err(Error::Unauthenticated),
    }
}

/// Returns the headers' values for a caller that has used up its allowance.
fn none_remaining(app: &App, error: &Error) -> Option<Remaining> {
    match error {
        Error::TooMany { retry_after } => {
            app.limits.most_requests().map(|most| Remaining { most, left: 0, reset: *retry_after })
        }
        _ => None,
    }
}

/// Adds the rate limit headers to a response, and `Retry-After` if the request was refused.
fn with_headers(mut response: Response, remaining: Option<Remaining>) -> Response {
    let Some(Remaining { most, left, reset }) = remaining else { return response };
    let refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
    let headers = response.headers_mut();
    for (name, value) in [(LIMIT, most), (REMAINING, left), (RESET, reset)] {
        headers.insert(name, HeaderValue::from(value));
    }
    if refused && !headers.contains_key(header::RETRY_AFTER) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(reset));
    }
    response
}
