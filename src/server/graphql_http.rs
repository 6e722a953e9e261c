//! GraphQL over HTTP: POST and GET, with JSON or server-sent events as the response.

use std::{convert::Infallible, net::IpAddr, time::Duration};

use async_graphql::{Response as Answer, parser::types::OperationType};
use axum::{
    Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Extension, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Denied, ServerState, rate_limit::Authenticated, request_id};
use crate::{
    graphql::{
        self, Limits, PERSISTED_QUERY_NOT_FOUND, PERSISTED_QUERY_NOT_SUPPORTED, Plan, Raw, Refused, Reply,
        core::guard::BAD_USER_INPUT,
    },
    rest,
    wire::BaseUrl,
};
use domain::Actor;

/// Message for a content type other than JSON.
pub const NOT_JSON: &str = "The content type must be application/json.";
/// Interval between keep-alive comments in an event stream.
const KEEP_ALIVE: Duration = Duration::from_secs(12);
/// Interval at which the credential of an open stream is checked again.
const RECHECK: Duration = Duration::from_secs(1);

pub fn routes(limits: &Limits) -> Router<ServerState> {
    Router::new()
        .route("/graphql", get(by_get).post(by_post).fallback(by_other))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
}

/// Media type of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    /// `application/json`: the older convention, with status 200 for every readable request.
    Json,
    /// `application/graphql-response+json`: the status shows whether the operation ran.
    Graphql,
    /// `text/event-stream`: GraphQL over SSE in distinct connections mode.
    Events,
}

impl Media {
    /// Returns the supported type that the client prefers, the first of equals. JSON without an `Accept`
    /// header.
    fn wanted(headers: &HeaderMap) -> Option<Self> {
        let mut best = None;
        let mut has_accept = false;
        for value in headers.get_all(header::ACCEPT) {
            for part in value.to_str().unwrap_or_default().split(',').map(str::trim) {
                has_accept |= !part.is_empty();
                let mut pieces = part.split(';').map(str::trim);
                let media = match pieces.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                    "application/json" | "application/*" | "*/*" => Self::Json,
                    "application/graphql-response+json" => Self::Graphql,
                    "text/event-stream" => Self::Events,
                    _ => continue,
                };
                let quality = pieces.find_map(|piece| piece.strip_prefix("q=")).map_or(1000, thousandths);
                if quality > 0 && best.is_none_or(|(other, _)| quality > other) {
                    best = Some((quality, media));
                }
            }
        }
        match best {
            Some((_, media)) => Some(media),
            None => (!has_accept).then_some(Self::Json),
        }
    }

    /// Returns the status of a response.
    fn status(self, answer: &Answer) -> StatusCode {
        if self != Self::Graphql || !graphql::never_ran(answer) {
            return StatusCode::OK;
        }
        match graphql::code(answer) {
            // Clients expect these as a normal response to a persisted query hash.
            Some(PERSISTED_QUERY_NOT_FOUND | PERSISTED_QUERY_NOT_SUPPORTED) => StatusCode::OK,
            Some("TIMEOUT") => StatusCode::GATEWAY_TIMEOUT,
            Some("INTERNAL_SERVER_ERROR") => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns the content type of a response that is not streamed.
    fn content_type(self) -> &'static str {
        match self {
            Self::Graphql => "application/graphql-response+json; charset=utf-8",
            Self::Json | Self::Events => "application/json; charset=utf-8",
        }
    }
}

/// Parses a weight such as `0.75` and returns it in thousandths.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    let number = |text: &str| text.parse::<u32>().unwrap_or(0).min(1000);
    (number(whole) * 1000 + number(&fraction)).min(1000)
}

/// Error that refuses the request as a whole. Its status does not depend on `Accept`.
struct RequestError {
    status: StatusCode,
    media: Media,
    refused: Refused,
    allow: Option<&'static str>,
    retry_after: Option<u64>,
}

impl RequestError {
    fn new(media: Media, status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, media, refused: Refused::new(BAD_USER_INPUT, message), allow: None, retry_after: None }
    }

    fn bad(media: Media, message: impl Into<String>) -> Self {
        Self::new(media, StatusCode::BAD_REQUEST, message)
    }

    fn denied(media: Media, denied: Denied) -> Self {
        let status = match denied.code {
            "FORBIDDEN" | "TWO_FACTOR_REQUIRED" => StatusCode::FORBIDDEN,
            "RATE_LIMITED" => StatusCode::TOO_MANY_REQUESTS,
            "UNAUTHENTICATED" => StatusCode::UNAUTHORIZED,
            "TIMEOUT" | "UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self {
            status,
            media,
            refused: Refused::new(denied.code, denied.message),
            allow: None,
            retry_after: denied.retry_after,
        }
    }

    fn method(media: Media, message: &str, allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::new(media, StatusCode::METHOD_NOT_ALLOWED, message) }
    }
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let mut answer = Answer::from(self.refused);
        if let Some(seconds) = self.retry_after {
            graphql::set_retry_after(&mut answer, seconds);
        }
        let mut response = write(self.media, self.status, &answer, usize::MAX);
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            rest::challenge(&mut response);
        }
        response
    }
}

async fn by_post(
    State(state): State<ServerState>,
    Extension(known): Extension<Authenticated>,
    Extension(base_url): Extension<BaseUrl>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, RequestError> {
    let media = acceptable(&headers)?;
    if !is_json(&headers) {
        return Err(RequestError::new(media, StatusCode::UNSUPPORTED_MEDIA_TYPE, NOT_JSON));
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("The body is longer than {} bytes.", state.engine().limits().body_bytes);
            RequestError::new(media, StatusCode::PAYLOAD_TOO_LARGE, message)
        }
        status => RequestError::new(media, status, "The body could not be read."),
    })?;
    let raw: Raw =
        object(&body).map_err(|reason| RequestError::bad(media, format!("The body is {reason}.")))?;
    answer(state, known, base_url, media, raw, &Method::POST).await
}

/// Query parameters of a GET request. `variables` and `extensions` are JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

async fn by_get(
    State(state): State<ServerState>,
    Extension(known): Extension<Authenticated>,
    Extension(base_url): Extension<BaseUrl>,
    method: Method,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, RequestError> {
    let media = acceptable(&headers)?;
    let Ok(Query(parameters)) = parameters else {
        return Err(RequestError::bad(media, "The query parameters could not be read."));
    };
    let raw = Raw {
        query: parameters.query,
        operation_name: parameters.operation_name.filter(|name| !name.is_empty()),
        variables: parameter(media, "variables", parameters.variables.as_deref())?,
        extensions: parameter(media, "extensions", parameters.extensions.as_deref())?.unwrap_or_default(),
    };
    if !raw.has_document() {
        return Err(RequestError::bad(media, "The parameter query is required."));
    }
    answer(state, known, base_url, media, raw, &method).await
}

async fn by_other(headers: HeaderMap) -> RequestError {
    let media = Media::wanted(&headers).unwrap_or(Media::Json);
    RequestError::method(media, "Use POST, or GET for queries.", "GET, POST")
}

fn acceptable(headers: &HeaderMap) -> Result<Media, RequestError> {
    let message =
        "Accept must allow application/json, application/graphql-response+json or text/event-stream.";
    Media::wanted(headers).ok_or_else(|| RequestError::new(Media::Json, StatusCode::NOT_ACCEPTABLE, message))
}

/// Returns whether there is exactly one content type, and it is JSON in UTF-8.
pub fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter().map(HeaderValue::to_str);
    let (Some(Ok(text)), None) = (values.next(), values.next()) else { return false };
    let mut pieces = text.split(';').map(|piece| piece.trim().to_ascii_lowercase());
    pieces.next().as_deref() == Some("application/json")
        && pieces.all(|piece| match piece.strip_prefix("charset=") {
            Some(charset) => charset.trim_matches('"') == "utf-8",
            None => true,
        })
}

/// Parses a JSON object. A JSON array is refused, although serde could read it as a struct.
pub fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, &'static str> {
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err("not a JSON object");
    }
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            "not a GraphQL request: query must be a string, variables and extensions must be objects"
        }
        _ => "not JSON",
    })
}

fn parameter<T: DeserializeOwned>(
    media: Media,
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, RequestError> {
    match text {
        None | Some("" | "null") => Ok(None),
        Some(text) => object(text.as_bytes())
            .map(Some)
            .map_err(|_| RequestError::bad(media, format!("The parameter {name} is not a JSON object."))),
    }
}

/// Authenticates the caller by the `Authorization` or `Bearer` header. Anonymous without either.
pub async fn caller(
    state: &ServerState,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Actor, Denied> {
    let mut sent = super::credentials(headers);
    let actor = match (sent.next(), sent.next()) {
        (None, _) => state.authenticate(None, address).await,
        (Some(Some(credential)), None) => state.authenticate(Some(credential), address).await,
        _ => Err(unreadable_credential()),
    }?;
    Ok(Actor { request_id: request_id(headers), ..actor })
}

fn unreadable_credential() -> Denied {
    Denied {
        code: "UNAUTHENTICATED",
        message: "The credential could not be read. Send exactly one credential.".into(),
        retry_after: None,
    }
}

/// Refuses a request before its body is read.
pub fn refuse(headers: &HeaderMap, denied: Denied) -> Response {
    RequestError::denied(Media::wanted(headers).unwrap_or(Media::Json), denied).into_response()
}

async fn answer(
    state: ServerState,
    known: Authenticated,
    base_url: BaseUrl,
    media: Media,
    raw: Raw,
    method: &Method,
) -> Result<Response, RequestError> {
    let limit = state.engine().limits().response_bytes;
    let plan = state.engine().plan(raw);
    let is_open = plan.as_ref().is_ok_and(Plan::is_open);
    let actor = known.caller.or_else(|denied| {
        known.anonymous.filter(|_| is_open).ok_or_else(|| RequestError::denied(media, denied))
    })?;
    let plan = match plan {
        Ok(plan) => plan,
        Err(refused) => {
            let answer = Answer::from(refused);
            return Ok(match media {
                Media::Events => events(state, actor, stream::once(async { Reply::own(answer) })),
                _ => write(media, media.status(&answer), &answer, limit),
            });
        }
    };
    if *method != Method::POST && plan.kind() == OperationType::Mutation {
        return Err(RequestError::method(media, "Mutations require POST.", "POST"));
    }
    let prepare = {
        let (state, actor) = (state.clone(), actor.clone());
        move |request, operation: &_, levels| {
            graphql::prepare(&state.app, state.most, base_url.clone(), &actor, request, operation, levels)
        }
    };
    if media == Media::Events {
        let replies = state.engine().flow(plan, prepare);
        return Ok(events(state, actor, replies));
    }
    let request_id = actor.request_id;
    let mut answer = state.engine().run(plan, prepare).await;
    graphql::add_request_id(&mut answer, request_id);
    Ok(write(media, media.status(&answer), &answer, limit))
}

fn write(media: Media, status: StatusCode, answer: &Answer, limit: usize) -> Response {
    let (bytes, refusal) = graphql::render_or_refuse(answer, limit);
    let status = refusal.map_or(status, |refusal| media.status(&refusal));
    let mut headers: HeaderMap = answer.http_headers.clone();
    let fixed: [(HeaderName, &'static str); 3] = [
        (header::CONTENT_TYPE, media.content_type()),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(seconds) = graphql::retry_after(answer) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    (status, headers, bytes).into_response()
}

/// Streams a `next` event for each response, then `complete`. The stream ends without `complete` when the
/// server stops or the caller's credential has become invalid, so that the client reconnects.
fn events(state: ServerState, actor: Actor, replies: impl Stream<Item = Reply> + Send + 'static) -> Response {
    let (limit, request_id) = (state.engine().limits().response_bytes, actor.request_id);
    let next = replies.map(move |reply| {
        let next = Event::default().event("next");
        match reply {
            Reply::Shared(rendered) => next.data(&*rendered.payload),
            Reply::Own(mut answer) => {
                graphql::add_request_id(&mut answer, request_id);
                let (bytes, _) = graphql::render_or_refuse(&answer, limit);
                next.data(String::from_utf8_lossy(&bytes))
            }
        }
    });
    let complete = stream::once(async { Event::default().event("complete").data("null") });
    let all = next.chain(complete).take_until(Box::pin(interrupted(state.clone(), actor.clone())));
    let all = all.take_while(move |_| {
        let (state, actor) = (state.clone(), actor.clone());
        async move { state.still_valid(&actor).await.unwrap_or(false) }
    });
    let mut response = Sse::new(all.map(Ok::<_, Infallible>))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Keeps proxies such as nginx from buffering events.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Waits until the server stops or the caller's credential is no longer valid.
async fn interrupted(state: ServerState, actor: Actor) {
    let revoked = async {
        loop {
            tokio::time::sleep(RECHECK).await;
            if !state.still_valid(&actor).await.unwrap_or(true) {
                return;
            }
        }
    };
    tokio::select! {
        () = state.stopped() => {}
        () = revoked => {}
    }
}
