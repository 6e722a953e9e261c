//! The server: routes, layers, who is calling, health.

mod door;
mod playground;
mod socket;

use crate::{
    app::App,
    domain::{self, Actor, Error, Who, keys, sessions, tokens},
    graphql::{Engine, Limits, Most},
    rest,
    wire::Fault,
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use entity::Kind;
use futures_util::FutureExt;
use playground::Playground;
use serde_json::json;
use std::{panic::AssertUnwindSafe, sync::Arc};
use tokio::sync::watch;
use tracing::Instrument;
use uuid::Uuid;

/// What the doors share.
#[derive(Clone)]
pub struct House {
    pub app: App,
    engine: Engine,
    /// The most items on a page.
    most: Most,
    /// Origins whose pages may open a socket, besides our own.
    origins: Arc<[String]>,
    stopping: watch::Receiver<bool>,
}

/// What the server is told besides the app.
#[derive(Clone, Debug)]
pub struct Settings {
    pub limits: Limits,
    /// The most items on a page.
    pub page_most: u64,
    pub introspection: bool,
    /// Whether there is a page to try queries on.
    pub playground: bool,
    pub origins: Vec<String>,
    /// Preset in the playground.
    pub sandbox_key: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { limits: Limits::default(), page_most: 100, introspection: true, playground: true, origins: Vec::new(), sandbox_key: None }
    }
}

/// Every route. `stopping` turns true when the server is about to stop.
pub fn router(app: App, settings: Settings, stopping: watch::Receiver<bool>) -> domain::Result<Router> {
    let schema = crate::graphql::schema(settings.introspection);
    let once_only = crate::graphql::ONCE_ONLY.to_vec();
    let limits = Limits { page_most: settings.page_most, introspection: settings.introspection, once_only, ..settings.limits };
    let sdl = crate::graphql::sdl(&schema);
    let engine = Engine::new(schema, &sdl, limits).map_err(|cause| Error::broken(format!("the schema cannot be read back: {cause}")))?;
    let house = House { app: app.clone(), engine, most: Most(settings.page_most), origins: settings.origins.into(), stopping };
    let playground = Playground {
        title: "Coffer playground".into(),
        endpoint: "/graphql".into(),
        subscriptions: "/graphql/ws".into(),
        queries: playground::SAMPLES.map(str::to_owned).to_vec(),
        key: settings.sandbox_key,
    };
    let rest = rest::routes()
        .layer(DefaultBodyLimit::max(house.engine.limits().body_bytes))
        .layer(middleware::from_fn_with_state(app.clone(), known_caller))
        .with_state(app.clone());
    let wellness = rest::wellness_routes()
        .layer(DefaultBodyLimit::max(house.engine.limits().body_bytes))
        .layer(middleware::from_fn_with_state(app.clone(), known_person))
        .with_state(app);
    let own = Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .merge(door::routes(house.engine.limits()))
        .merge(socket::routes())
        .merge(if settings.playground { visited(&playground) } else { Router::new() })
        .with_state(house);
    Ok(own
        .merge(rest)
        .merge(wellness)
        .fallback(rest::unknown)
        .method_not_allowed_fallback(rest::wrong_method)
        .layer(middleware::from_fn(named_request)))
}

/// The playground, and the way to it.
fn visited(playground: &Playground) -> Router<House> {
    Router::new().route("/", get(|| async { Redirect::temporary("/playground") })).merge(playground.routes())
}

impl House {
    fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns when the server is about to stop.
    async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        if stopping.wait_for(|stopping| *stopping).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Who presents this `Authorization` text.
    async fn authenticate(&self, authorization: Option<&str>) -> Result<Actor, Denied> {
        let credential = authorization.map(credential);
        caller(&self.app, credential, self.app.ids.next(Kind::Request)).await.map_err(Denied::from)
    }

    /// Whether a caller who was let in still would be.
    async fn still_valid(&self, actor: &Actor) -> bool {
        keys::still_valid(&self.app, actor).await.unwrap_or(true)
    }
}

/// Why a credential opens nothing.
#[derive(Clone, Debug)]
struct Denied {
    code: &'static str,
    message: String,
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        let fault = Fault::from(error);
        Self { code: fault.code(), message: fault.text(|path| path.join(".")) }
    }
}

async fn ready(State(house): State<House>) -> Response {
    let database = house.app.db.answers().await;
    if *house.stopping.borrow() || !database {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "unavailable" }))).into_response();
    }
    Json(json!({ "status": "ready" })).into_response()
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives every request an id of ours, in its log lines and in its answer, and the headers every answer carries.
async fn named_request(mut request: Request, next: Next) -> Response {
    let id = crate::domain::ids::Ids.next(Kind::Request).to_string();
    let value = HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("unknown"));
    request.headers_mut().insert(REQUEST_ID, value.clone());
    let path = request.uri().path().to_owned();
    let span = tracing::error_span!("request", id, method = %request.method(), path);
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span).await;
    let mut response = answered.unwrap_or_else(|_| rest::faulty(&path, Error::broken("a handler panicked")));
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, value);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

fn request_id(headers: &HeaderMap) -> Uuid {
    headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).and_then(|text| Uuid::try_parse(text).ok()).unwrap_or_default()
}

/// The credential in an `Authorization` text: a bearer token, the user name of HTTP Basic, or the bare key.
fn credential(text: &str) -> String {
    let text = text.trim();
    let (scheme, rest) = text.split_once(' ').unwrap_or(("", text));
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => rest.trim().to_owned(),
        "basic" => {
            let decoded = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
            decoded.split_once(':').map_or(decoded.as_str(), |(name, _)| name).to_owned()
        }
        _ => text.to_owned(),
    }
}

async fn caller(app: &App, credential: Option<String>, request_id: Uuid) -> domain::Result<Actor> {
    let who = match credential {
        None => Who::Nobody,
        Some(token) if tokens::looks_like(&token) => sessions::authenticate(app, &token).await?,
        Some(key) => keys::authenticate(app, &key).await?,
    };
    Ok(Actor { who, request_id, address: None })
}

/// Puts the caller into a request of the REST door, which serves nobody without a credential. Besides `Authorization`, the
/// documented header `Bearer: <key>` is understood; two credentials are none.
async fn known_caller(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match documented_caller(&app, request.headers()).await {
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(error) => rest::Problem::from(error).into_response(),
    }
}

/// Puts the caller into a request of the wellness API: whoever has signed in, or a partner's key. What needs neither is open to
/// an expired token too, which a client may send with every request.
async fn known_person(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let open = rest::OPEN.iter().any(|(method, open)| request.method() == *method && fits(open, &path));
    let actor = match (documented_caller(&app, request.headers()).await, open) {
        (Err(Error::Unauthenticated), true) if !has_key(request.headers()) => {
            Ok(Actor { request_id: request_id(request.headers()), ..Actor::default() })
        }
        (actor, _) => actor,
    };
    match actor {
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(error) => rest::Trouble::from(error).into_response(),
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

async fn documented_caller(app: &App, headers: &HeaderMap) -> domain::Result<Actor> {
    let authorization = headers.get_all(header::AUTHORIZATION).iter().map(|value| value.to_str().map(credential));
    let bearer = headers.get_all("bearer").iter().map(|value| value.to_str().map(|key| key.trim().to_owned()));
    let mut credentials = authorization.chain(bearer);
    match (credentials.next(), credentials.next()) {
        (Some(Ok(credential)), None) => caller(app, Some(credential), request_id(headers)).await,
        _ => Err(Error::Unauthenticated),
    }
}
