//! Every request is counted once, before its body is read, and every answer says what is left.

use super::{Denied, House, arrival::Arrival, credential, door, request_id};
use crate::{
    app::App,
    domain::{
        self, Actor, Error, Who,
        limits::{self, Remaining},
        tokens,
    },
    graphql::Here,
    rest,
};
use axum::{
    body::HttpBody,
    extract::{Extension, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use std::net::IpAddr;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Headers of an answer that a page of another origin may read.
pub const TOLD: [HeaderName; 6] =
    [LIMIT, REMAINING, RESET, header::RETRY_AFTER, super::REQUEST_ID, HeaderName::from_static("idempotent-replayed")];

/// The caller of a GraphQL request, once it is counted, or why her credential opens nothing; and where she found us.
#[derive(Clone)]
pub struct Known(pub Result<Actor, Denied>, pub Here);

/// Counts a request of the GraphQL door and puts its caller into it.
pub async fn at_graphql(State(house): State<House>, Extension(arrival): Extension<Arrival>, mut request: Request, next: Next) -> Response {
    let known = door::caller(&house, request.headers(), arrival.address).await;
    match count(&house.app, &known, arrival.address).await {
        Ok(remaining) => {
            let here = arrival.here(request.headers());
            request.extensions_mut().insert(Known(known, here));
            told(next.run(request).await, remaining)
        }
        Err(error) => {
            let remaining = nothing_left(&house.app, &error);
            told(door::refuse(request.headers(), error.into()), remaining)
        }
    }
}

/// Counts a request, against its caller or, where the credential opens nothing, against the address it came from.
pub async fn count(app: &App, known: &Result<Actor, Denied>, address: Option<IpAddr>) -> domain::Result<Option<Remaining>> {
    match known {
        Ok(actor) => limits::request(app, &actor.who, address).await,
        Err(denied) if denied.code == "UNAUTHENTICATED" => limits::request(app, &Who::Nobody, address).await,
        Err(_) => Ok(None),
    }
}

/// Counts a request of the REST door and puts its caller into it.
pub async fn at_rest(State(app): State<App>, Extension(arrival): Extension<Arrival>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let known = rest_caller(&app, request.method(), &path, request.headers(), arrival.address).await;
    let counted = match &known {
        Ok(actor) => limits::request(&app, &actor.who, arrival.address).await,
        Err(Error::Unauthenticated) => limits::request(&app, &Who::Nobody, arrival.address).await,
        Err(_) => Ok(None),
    };
    match (counted, known) {
        (Ok(remaining), Ok(_)) if !is_json_or_empty(&request) => {
            told(rest::refused_by_form(&path, StatusCode::UNSUPPORTED_MEDIA_TYPE, door::NOT_JSON), remaining)
        }
        (Ok(remaining), Ok(actor)) => {
            request.extensions_mut().insert(actor);
            told(next.run(request).await, remaining)
        }
        (Ok(remaining), Err(error)) => told(rest::faulty(&path, error), remaining),
        (Err(error), _) => {
            let remaining = nothing_left(&app, &error);
            told(rest::faulty(&path, error), remaining)
        }
    }
}

/// Whether the body is JSON or empty. A page of another site can make a browser send any other body along with a credential that
/// the browser keeps, and a body of no type as well.
fn is_json_or_empty(request: &Request) -> bool {
    let headers = request.headers();
    let is_announced = !request.method().is_safe() && headers.contains_key(header::CONTENT_TYPE);
    (request.body().is_end_stream() && !is_announced) || door::is_json(headers)
}

/// Who calls the REST door. The brokerage API serves nobody without a credential, the wellness API whoever has signed in or a
/// partner's key; what needs neither is open to an expired token too, which a client may send with every request.
async fn rest_caller(app: &App, method: &Method, path: &str, headers: &HeaderMap, address: Option<IpAddr>) -> domain::Result<Actor> {
    let open = rest::OPEN.iter().any(|(asked, open)| method == *asked && fits(open, path.trim_end_matches('/')));
    match documented_caller(app, headers, address).await {
        Err(Error::Unauthenticated) if open && !has_key(headers) => {
            Ok(Actor { request_id: request_id(headers), address, ..Actor::default() })
        }
        known => known,
    }
}

/// Whether a path is the one described, `{…}` standing for any one step.
fn fits(described: &str, path: &str) -> bool {
    let (described, path): (Vec<&str>, Vec<&str>) = (described.split('/').collect(), path.split('/').collect());
    described.len() == path.len() && described.iter().zip(path).all(|(step, given)| step.starts_with('{') || *step == given)
}

/// Whether a request shows something that is no token, and so was meant to be a key.
fn has_key(headers: &HeaderMap) -> bool {
    let shown = headers.get_all(header::AUTHORIZATION).iter().chain(headers.get_all("bearer"));
    shown.map(|value| value.to_str().map(credential).unwrap_or_default()).any(|credential| !tokens::looks_like(&credential))
}

/// Besides `Authorization`, the documented header `Bearer: <key>` is understood; two credentials are none.
async fn documented_caller(app: &App, headers: &HeaderMap, address: Option<IpAddr>) -> domain::Result<Actor> {
    let authorization = headers.get_all(header::AUTHORIZATION).iter().map(|value| value.to_str().map(credential));
    let bearer = headers.get_all("bearer").iter().map(|value| value.to_str().map(|key| key.trim().to_owned()));
    let mut credentials = authorization.chain(bearer);
    match (credentials.next(), credentials.next()) {
        (Some(Ok(credential)), None) => super::caller(app, Some(credential), request_id(headers), address).await,
        _ => Err(Error::Unauthenticated),
    }
}

fn nothing_left(app: &App, error: &Error) -> Option<Remaining> {
    match error {
        Error::TooMany { retry_after } => {
            app.limits.requests.map(|requests| Remaining { most: requests.most, left: 0, reset: *retry_after })
        }
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
