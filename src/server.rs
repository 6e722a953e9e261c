//! HTTP server: routes, middleware, authentication and health checks.

mod base_url;
mod client_address;
pub mod connections;
mod docs;
mod documents;
mod graphql_http;
mod playground;
mod rate_limit;
mod request_body;
pub mod serving;
mod socket;
mod statements;
pub mod tls;
pub mod workers;

pub use base_url::parse as parse_base_url;
pub use client_address::{Network, NetworkSettings};
pub use request_body::BodyLimits;

use crate::{
    graphql::{Engine, Limits, MaxPageSize},
    rest,
    wire::{BaseUrl, Fault},
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    Actor, Error, Who,
    access::{keys, sessions, tokens},
    app::App,
};
use entity::Kind;
use futures_util::FutureExt;
use playground::Playground;
use serde_json::json;
use std::{
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tower_http::cors::{AllowHeaders, CorsLayer};
use tracing::Instrument;
use uuid::Uuid;

/// State shared by all handlers.
#[derive(Clone)]
pub struct ServerState {
    pub app: App,
    engine: Engine,
    /// Maximum number of items on a page.
    most: MaxPageSize,
    /// Origins of web pages that may send requests and open sockets, besides the server's own origin.
    origins: Arc<[String]>,
    /// Base URL of links, set for each socket.
    base_url: BaseUrl,
    /// Turns true when the server starts to shut down.
    stopping: watch::Receiver<bool>,
}

/// Settings of the HTTP server.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    pub limits: Limits,
    pub body: BodyLimits,
    /// Maximum number of items on a page.
    pub page_most: u64,
    pub introspection: bool,
    /// Whether queries are answered breadth first where possible. The answers are the same without.
    pub breadth_first: bool,
    /// Whether the playground is served.
    pub playground: bool,
    /// Origins of web pages that may send requests and open sockets, besides the server's own origin.
    pub origins: Vec<String>,
    pub network: NetworkSettings,
    /// Sandbox API key that is preset in the playground.
    pub sandbox_key: Option<String>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            body: BodyLimits::default(),
            page_most: 100,
            introspection: true,
            breadth_first: true,
            playground: true,
            origins: Vec::new(),
            network: NetworkSettings::default(),
            sandbox_key: None,
        }
    }
}

/// Returns the router with all routes. `stopping` turns true when the server starts to shut down.
pub fn router(app: App, settings: HttpSettings, stopping: watch::Receiver<bool>) -> domain::Result<Router> {
    let network = Arc::new(settings.network.clone());
    let body_limits = settings.body;
    let schema = crate::graphql::schema(settings.introspection);
    let (once_only, open) = (crate::graphql::ONCE_ONLY.to_vec(), crate::graphql::OPEN.to_vec());
    let limits = Limits {
        page_most: settings.page_most,
        introspection: settings.introspection,
        once_only,
        open,
        ..settings.limits
    };
    let types = crate::graphql::types()
        .map_err(|cause| Error::broken(format!("the schema cannot be read back: {cause}")))?;
    let engine = Engine::new(schema, types, limits).breadth_first(settings.breadth_first);
    let state = ServerState {
        app: app.clone(),
        engine,
        most: MaxPageSize(settings.page_most),
        origins: settings.origins.into(),
        base_url: BaseUrl::default(),
        stopping,
    };
    let playground = Playground {
        title: "Coffer".into(),
        endpoint: "/graphql".into(),
        subscriptions: "/graphql/ws".into(),
        queries: playground::SAMPLES.map(str::to_owned).to_vec(),
        key: settings.sandbox_key,
    };
    let rest = rest::routes()
        .merge(rest::wellness_routes())
        .layer(DefaultBodyLimit::max(state.engine.limits().body_bytes))
        .layer(middleware::from_fn_with_state(app.clone(), rate_limit::at_rest))
        .with_state(app)
        .method_not_allowed_fallback(rest::wrong_method);
    let rest = with_cors(&state.origins, rest);
    let graphql = graphql_http::routes(state.engine.limits())
        .layer(middleware::from_fn_with_state(state.clone(), rate_limit::at_graphql));
    let own = Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .merge(with_cors(&state.origins, graphql))
        .merge(socket::routes())
        .merge(docs::routes(settings.playground))
        .merge(documents::routes(&state))
        .merge(statements::routes(&state))
        .merge(if settings.playground { playground_routes(&playground) } else { Router::new() })
        .with_state(state);
    let all = own.merge(rest).fallback(rest::unknown).method_not_allowed_fallback(rest::wrong_method);
    let all = all.layer(middleware::from_fn_with_state(network, client_address::identify_client));
    let all = all.layer(middleware::from_fn_with_state(body_limits, request_body::limited));
    Ok(all.layer(middleware::from_fn(with_request_id)))
}

/// Adds CORS headers so that web pages of the listed origins can send requests and read the responses.
/// Cookies are not used, so every request must carry a credential.
fn with_cors<S: Clone + Send + Sync + 'static>(origins: &[String], router: Router<S>) -> Router<S> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return router;
    }
    let rules = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        // Clients add their own headers, such as apollographql-client-name. A listed origin may send any.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(rate_limit::EXPOSED_HEADERS)
        .max_age(Duration::from_secs(3600));
    router.layer(rules)
}

/// Routes of the playground, with a redirect from `/`.
fn playground_routes(playground: &Playground) -> Router<ServerState> {
    Router::new().route("/", get(|| async { Redirect::temporary("/playground") })).merge(playground.routes())
}

impl ServerState {
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

    /// Returns the caller with this credential.
    async fn authenticate(
        &self,
        credential: Option<String>,
        address: Option<IpAddr>,
    ) -> Result<Actor, Denied> {
        caller(&self.app, credential, self.app.ids.next(Kind::Request), address).await.map_err(Denied::from)
    }

    /// Returns whether the caller's credential is still valid. Fails if the database is unavailable.
    async fn still_valid(&self, actor: &Actor) -> domain::Result<bool> {
        keys::still_valid(&self.app, actor).await
    }
}

/// Reason why a credential was refused.
#[derive(Clone, Debug)]
struct Denied {
    code: &'static str,
    message: String,
    /// Seconds after which the caller may try again.
    retry_after: Option<u64>,
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        let fault = Fault::from(error);
        Self {
            code: fault.code(),
            message: fault.text(|path| path.join(".")),
            retry_after: fault.hints().retry_after,
        }
    }
}

async fn ready(State(state): State<ServerState>) -> Response {
    let database = state.app.db.works().await;
    let keys = state.app.keys_known.load(Ordering::Relaxed);
    if *state.stopping.borrow() || !database || !keys {
        let retry_after = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
        return (StatusCode::SERVICE_UNAVAILABLE, retry_after, Json(json!({ "status": "unavailable" })))
            .into_response();
    }
    Json(json!({ "status": "ready" })).into_response()
}

/// Paths of health checks. They also work without TLS and when the connection limit is reached.
const HEALTH_PATHS: [&str; 2] = ["/livez", "/readyz"];
const HTTPS_REQUIRED: &str = "HTTPS is required.";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Generates an id for each request and adds it to the log lines and the response. Adds the headers that
/// every response has, and turns a panic into an error response.
async fn with_request_id(mut request: Request, next: Next) -> Response {
    let id = domain::kernel::ids::Ids.next(Kind::Request).to_string();
    let value = HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("unknown"));
    request.headers_mut().insert(REQUEST_ID, value.clone());
    let path = request.uri().path().to_owned();
    // Log the route, not the path: a client may put a secret in place of an id.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let span = tracing::error_span!("request", id, method = %request.method(), route,
        partner = tracing::field::Empty);
    let started = Instant::now();
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let mut response = answered.unwrap_or_else(|_| rest::faulty(&path, Error::broken("a handler panicked")));
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), milliseconds, "answered"));
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, value);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Responses contain personal data and tokens. A handler that allows caching sets the header itself.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn request_id(headers: &HeaderMap) -> Uuid {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| Uuid::try_parse(text).ok())
        .unwrap_or_default()
}

/// Returns the credentials in the `Authorization` header and in the documented header `Bearer`. A value that
/// is not text yields None.
fn credentials(headers: &HeaderMap) -> impl Iterator<Item = Option<String>> {
    let authorization =
        headers.get_all(header::AUTHORIZATION).iter().map(|value| value.to_str().ok().map(credential));
    let bearer =
        headers.get_all("bearer").iter().map(|value| value.to_str().ok().map(|key| key.trim().to_owned()));
    authorization.chain(bearer)
}

/// Returns the credential in an `Authorization` value: a bearer token, the user name of HTTP Basic, or the
/// API key alone.
fn credential(text: &str) -> String {
    let text = text.trim();
    let (scheme, rest) = text.split_once(' ').unwrap_or(("", text));
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => rest.trim().to_owned(),
        "basic" => {
            let decoded = STANDARD
                .decode(rest.trim())
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .unwrap_or_default();
            decoded.split_once(':').map_or(decoded.as_str(), |(name, _)| name).to_owned()
        }
        _ => text.to_owned(),
    }
}

/// Maximum time to authenticate the caller.
const AUTHENTICATION_TIMEOUT: Duration = Duration::from_secs(5);

/// Authenticates the caller. Without a credential the caller is anonymous.
async fn caller(
    app: &App,
    credential: Option<String>,
    request_id: Uuid,
    address: Option<IpAddr>,
) -> domain::Result<Actor> {
    let who = async {
        match credential {
            None => Ok(Who::Anonymous),
            Some(token) if tokens::looks_like(&token) => sessions::authenticate(app, &token).await,
            Some(key) => keys::authenticate(app, &key).await,
        }
    };
    let who = tokio::time::timeout(AUTHENTICATION_TIMEOUT, who)
        .await
        .unwrap_or_else(|_| Err(Error::database_timed_out()))?;
    if let Some(partner) = who.partner_id() {
        tracing::Span::current().record("partner", tracing::field::display(partner));
    }
    Ok(Actor { who, request_id, address })
}
