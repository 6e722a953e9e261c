//! Every request is counted once, before its body is read, and every answer says what is left.

use super::{Denied, ServerState, client_address::Arrival, graphql_http, request_id};
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

/// Headers of an answer that a page of another origin may read.
pub const TOLD: [HeaderName; 6] = [
    LIMIT,
    REMAINING,
    RESET,
    header::RETRY_AFTER,
    super::REQUEST_ID,
    HeaderName::from_static("idempotent-replayed"),
];

/// Who sent a GraphQL request, once it is counted.
#[derive(Clone)]
pub struct Authenticated {
    /// The caller, or why the credential is refused.
    pub caller: Result<Actor, Denied>,
    /// The caller of operations that need no credential, where a refused one is no reason to refuse them: an
    /// expired token, which a client may send with every request, but not a mistyped key, whose partner would
    /// be lost.
    pub anonymous: Option<Actor>,
}

/// Counts a request of the GraphQL door and puts its caller into it.
pub async fn at_graphql(
    State(state): State<ServerState>,
    Extension(arrival): Extension<Arrival>,
    mut request: Request,
    next: Next,
) -> Response {
    let known = graphql_http::caller(&state, request.headers(), arrival.address).await;
    match count(&state.app, &known, arrival.address).await {
        Ok(remaining) => {
            let expired = known.as_ref().is_err_and(|denied| denied.code == "UNAUTHENTICATED")
                && !has_key(request.headers());
            let request_id = request_id(request.headers());
            let anonymous =
                expired.then(|| Actor { request_id, address: arrival.address, ..Actor::default() });
            request.extensions_mut().insert(Authenticated { caller: known, anonymous });
            told(next.run(request).await, remaining)
        }
        Err(error) => {
            let remaining = nothing_left(&state.app, &error);
            told(graphql_http::refuse(request.headers(), error.into()), remaining)
        }
    }
}

/// Counts a request, against its caller or, where the credential opens nothing, against the address it came
/// from.
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

/// How long a read over REST may take; GraphQL has a limit of its own.
const READ_TIMEOUT: Duration = Duration::from_secs(8);

/// Counts a request of the REST door and puts its caller into it.
pub async fn at_rest(
    State(app): State<App>,
    Extension(arrival): Extension<Arrival>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let known = rest_caller(&app, request.method(), &path, request.headers(), arrival.address).await;
    let counted = match &known {
        Ok(actor) => limits::request(&app, &actor.who, arrival.address).await,
        Err(Error::Unauthenticated) => limits::request(&app, &Who::Anonymous, arrival.address).await,
        Err(_) => Ok(None),
    };
    match (counted, known) {
        (Ok(remaining), Ok(_)) if !is_json_or_empty(&request) => told(
            rest::refused_by_form(&path, StatusCode::UNSUPPORTED_MEDIA_TYPE, graphql_http::NOT_JSON),
            remaining,
        ),
        (Ok(remaining), Ok(actor)) => {
            request.extensions_mut().insert(actor);
            // A change runs to its end, and its statements are limited one by one.
            let limit = if request.method() == Method::GET { READ_TIMEOUT } else { Duration::MAX };
            let answered = tokio::time::timeout(limit, next.run(request)).await;
            told(answered.unwrap_or_else(|_| rest::faulty(&path, Error::database_timed_out())), remaining)
        }
        (Ok(remaining), Err(error)) => told(rest::faulty(&path, error), remaining),
        (Err(error), _) => {
            let remaining = nothing_left(&app, &error);
            told(rest::faulty(&path, error), remaining)
        }
    }
}

/// Whether the body is JSON or empty. A page of another site can make a browser send any other body along
/// with a credential that the browser keeps, and a body of no type as well.
fn is_json_or_empty(request: &Request) -> bool {
    let headers = request.headers();
    let is_announced = !request.method().is_safe() && headers.contains_key(header::CONTENT_TYPE);
    (request.body().is_end_stream() && !is_announced) || graphql_http::is_json(headers)
}

/// Who calls the REST door. The brokerage API serves nobody without a credential, the wellness API whoever
/// has signed in or a partner's key; what needs neither is open to an expired token too, which a client may
/// send with every request.
async fn rest_caller(
    app: &App,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> domain::Result<Actor> {
    let open =
        rest::OPEN.iter().any(|(asked, open)| method == *asked && fits(open, path.trim_end_matches('/')));
    match documented_caller(app, headers, address).await {
        Err(Error::Unauthenticated) if open && !has_key(headers) => {
            Ok(Actor { request_id: request_id(headers), address, ..Actor::default() })
        }
        known => known,
    }
}

/// Whether a path is the one described, `{…}` standing for any one step.
fn fits(described: &str, path: &str) -> bool {
    let (described, path): (Vec<&str>, Vec<&str>) =
        (described.split('/').collect(), path.split('/').collect());
    described.len() == path.len()
        && described.iter().zip(path).all(|(step, given)| step.starts_with('{') || *step == given)
}

/// Whether a request shows something that is meant to be a key.
fn has_key(headers: &HeaderMap) -> bool {
    super::credentials(headers).flatten().any(|credential| keys::looks_like(&credential))
}

/// Besides `Authorization`, the documented header `Bearer: <key>` is understood; two credentials are none.
async fn documented_caller(app: &App, headers: &HeaderMap, address: Option<IpAddr>) -> domain::Result<Actor> {
    let mut sent = super::credentials(headers);
    match (sent.next(), sent.next()) {
        (Some(Some(credential)), None) => {
            super::caller(app, Some(credential), request_id(headers), address).await
        }
        _ => Err(Error::Unauthenticated),
    }
}

fn nothing_left(app: &App, error: &Error) -> Option<Remaining> {
    match error {
        Error::TooMany { retry_after } => app.limits.requests.map(|requests| Remaining {
            most: requests.most,
            left: 0,
            reset: *retry_after,
        }),
        _ => None,
    }
}

/// Says on the answer what is left; of nothing, also when to come back.
fn told(mut response: Response, remaining: Option<Remaining>) -> Response {
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
