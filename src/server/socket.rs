//! GraphQL over WebSocket with the `graphql-transport-ws` protocol.
//!
//! Close codes: 4400 invalid message, 4401 subscribed before `connection_ack`, 4403 credential refused or no
//! longer valid, 4408 no `connection_init` in time, 4409 operation id in use, 4413 client too slow, 4429
//! second `connection_init`; 1009 message too long, 1012 server restarts, 1013 too many requests or database
//! unavailable. With 4413 and 1012 the reason is `cursor=…`, the last cursor sent, to resume from.
//!
//! The Python client gql 4 recognizes the accepted subprotocol only for one spelling of the header name.
//! Otherwise it sends the older messages `start`, `stop` and `connection_terminate` and expects `data`. The
//! server supports these as well.

mod operations;
mod protocol;

use operations::{Outgoing, OutgoingQueue, message, operate};
use protocol::{
    ClientMessage, DONE, End, FORBIDDEN, ID_IN_USE, NO_INIT, NOT_UNDERSTOOD, RESTART, SECOND_INIT, TOO_LONG,
    TOO_SLOW, UNAUTHORIZED, refusal,
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use async_graphql::Response as Answer;
use axum::{
    Json, Router,
    extract::{
        Extension, State,
        ws::{
            CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection,
        },
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::{Map, Value as Data, json};
use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{Denied, ServerState, client_address::ClientInfo, graphql_http::object, rate_limit::count};
use crate::{
    graphql::{self, Raw, Refused},
    wire::BaseUrl,
};
use domain::{Actor, kernel::limits};

const PROTOCOL: &str = "graphql-transport-ws";
/// Type of a message that carries a result.
const NEXT: &str = "next";
/// Size of the read buffer in bytes.
const READ_BUFFER: usize = 1 << 10;
/// Interval at which the credential of a socket is checked again.
const RECHECK: Duration = Duration::from_secs(1);
/// Time without a message after which the client is pinged. After three times as long the connection is lost.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Maximum time to wait for the client when closing a socket.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// Maximum length of an operation id, which is repeated in every message.
const ID_BYTES: usize = 256;
/// Maximum length of the reason in a close frame.
const REASON_BYTES: usize = 123;

pub fn routes() -> Router<ServerState> {
    Router::new().route("/graphql/ws", any(upgrade))
}

async fn upgrade(
    State(state): State<ServerState>,
    Extension(client): Extension<ClientInfo>,
    Extension(base_url): Extension<BaseUrl>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.protocols([PROTOCOL]),
        Err(rejection) => return rejection.into_response(),
    };
    if !origin_allowed(&headers, &state.origins) {
        return refuse(StatusCode::FORBIDDEN, "FORBIDDEN", "Web pages of this origin may not connect.");
    }
    if upgrade.selected_protocol().is_none() {
        let message = "The subprotocol must be graphql-transport-ws.";
        return refuse(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", message);
    }
    let longest = state.engine().limits().socket_message_bytes;
    let upgrade = upgrade.max_message_size(longest).max_frame_size(longest).read_buffer_size(READ_BUFFER);
    let state = ServerState { base_url, ..state };
    upgrade.on_upgrade(move |socket| serve(state, client.address, socket))
}

/// Returns an error response in the GraphQL format.
pub fn refuse(status: StatusCode, code: &'static str, message: &str) -> Response {
    (status, Json(json!({ "errors": [{ "message": message, "extensions": { "code": code } }] })))
        .into_response()
}

/// Returns status 503. The caller may try again after one second.
pub fn refuse_for_now(message: &str) -> Response {
    let extensions = json!({ "code": "UNAVAILABLE", "retryAfter": 1 });
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({ "errors": [{ "message": message, "extensions": extensions }] })),
    )
        .into_response()
}

/// Checks the `Origin` header, which browsers always send: it must be the server's own origin or a listed
/// one. Other clients send none.
fn origin_allowed(headers: &HeaderMap, listed: &[String]) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter().map(HeaderValue::to_str);
    let origin = match (origins.next(), origins.next()) {
        (None, _) => return true,
        (Some(Ok(origin)), None) => origin,
        _ => return false,
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let site = origin.split_once("://").map(|(_, site)| site);
    let same_origin = matches!((site, host), (Some(site), Some(host)) if site.eq_ignore_ascii_case(host));
    same_origin || listed.iter().any(|one| one == origin)
}

/// Running operation. Runs are numbered so that leftover messages of an ended operation are not attributed to
/// a new operation with the same id.
struct Running {
    run: u64,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(state: ServerState, address: Option<IpAddr>, mut socket: WebSocket) {
    let init = async {
        let init_timeout = state.engine().limits().socket_init;
        let credential = timeout(init_timeout, wait_for_init(&mut socket)).await.unwrap_or(Err(NO_INIT))?;
        let known = state.authenticate(credential.as_deref().map(super::credential), address).await;
        count(&state.app, &known, address).await.map_err(|error| refusal(&error.into()))?;
        let actor = known.map_err(|denied| refusal(&denied))?;
        send(&mut socket, r#"{"type":"connection_ack"}"#.into()).await?;
        Ok(actor)
    };
    let session = tokio::select! {
        session = init => session,
        () = state.stopped() => Err(RESTART),
    };
    let (end, cursor) = match session {
        Ok(actor) => Session::new(state, actor).run(&mut socket).await,
        Err(end) => (end, None),
    };
    match end {
        End::Gone => close(socket, None).await,
        End::Close(code, reason) => close(socket, Some((code, reason.into()))).await,
        End::Resume(code) => {
            let reason =
                cursor.map(|cursor| format!("cursor={cursor}")).filter(|reason| reason.len() <= REASON_BYTES);
            close(socket, Some((code, reason.unwrap_or_default()))).await;
        }
    }
}

/// Sends a close frame, unless the client has left, and waits for the client to close. Without that wait,
/// sent messages could be lost.
async fn close(mut socket: WebSocket, reason: Option<(u16, String)>) {
    let closing = async {
        if let Some((code, reason)) = reason {
            let frame = CloseFrame { code, reason: reason.into() };
            if socket.send(Message::Close(Some(frame))).await.is_err() {
                return;
            }
        }
        while let Some(Ok(_)) = socket.recv().await {}
    };
    let _ = timeout(SHUTDOWN_GRACE, closing).await;
}

/// Waits for `connection_init` and returns the credential in it.
async fn wait_for_init(socket: &mut WebSocket) -> Result<Option<String>, End> {
    loop {
        match parse_frame(socket.recv().await)? {
            None | Some(ClientMessage::Pong {} | ClientMessage::Complete { .. }) => {}
            Some(ClientMessage::Ping { payload }) => send(socket, pong(payload)).await?,
            Some(ClientMessage::Subscribe { .. } | ClientMessage::Start { .. }) => return Err(UNAUTHORIZED),
            Some(ClientMessage::ConnectionTerminate {}) => return Err(DONE),
            Some(ClientMessage::ConnectionInit { payload }) => {
                return credential(payload.unwrap_or_default());
            }
        }
    }
}

/// Returns the `authorization` in the payload, in any case. Two different values are refused.
fn credential(payload: Map<String, Data>) -> Result<Option<String>, End> {
    let mut found = None;
    for (key, value) in payload {
        if !key.eq_ignore_ascii_case("authorization") || value.is_null() {
            continue;
        }
        match (value, &found) {
            (Data::String(text), None) => found = Some(text),
            (Data::String(text), Some(other)) if text == *other => {}
            _ => return Err(FORBIDDEN),
        }
    }
    Ok(found)
}

/// Parses a frame. Returns None for a ping or pong of the WebSocket itself.
fn parse_frame(frame: Option<Result<Message, axum::Error>>) -> Result<Option<ClientMessage>, End> {
    match frame {
        None | Some(Ok(Message::Close(_))) => Err(End::Gone),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(NOT_UNDERSTOOD),
        Some(Ok(Message::Text(text))) => object(text.as_bytes()).map(Some).map_err(|_| NOT_UNDERSTOOD),
        Some(Err(_)) => Err(TOO_LONG),
    }
}

async fn send(socket: &mut WebSocket, text: String) -> Result<(), End> {
    match timeout(PING_INTERVAL * 3, socket.send(Message::Text(text.into()))).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::Gone),
    }
}

fn pong(payload: Option<Map<String, Data>>) -> String {
    match payload {
        None => r#"{"type":"pong"}"#.into(),
        Some(payload) => json!({ "type": "pong", "payload": payload }).to_string(),
    }
}

/// Initialized connection of a caller.
struct Session {
    state: ServerState,
    actor: Actor,
    running: HashMap<Arc<str>, Running>,
    runs: u64,
    sender: mpsc::Sender<Outgoing>,
    outgoing: mpsc::Receiver<Outgoing>,
    /// Last cursor sent to the client.
    cursor: Option<Arc<str>>,
}

impl Session {
    fn new(state: ServerState, actor: Actor) -> Self {
        let (sender, outgoing) = mpsc::channel(state.engine().limits().socket_queue.max(1));
        Self { state, actor, running: HashMap::new(), runs: 0, sender, outgoing, cursor: None }
    }

    async fn run(mut self, socket: &mut WebSocket) -> (End, Option<Arc<str>>) {
        let state = self.state.clone();
        let stopped = state.stopped();
        let mut stopped = std::pin::pin!(stopped);
        let mut recheck = interval(RECHECK);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last_heard, mut pinged) = (Instant::now(), false);
        let end = loop {
            let step = async {
                tokio::select! {
                    frame = socket.recv() => {
                        (last_heard, pinged) = (Instant::now(), false);
                        match parse_frame(frame)? {
                            // Boxed to keep the future of each socket small.
                            Some(message) => Box::pin(self.handle(socket, message)).await,
                            None => Ok(()),
                        }
                    }
                    Some(outgoing) = self.outgoing.recv() => self.deliver(socket, outgoing).await,
                    _ = recheck.tick() => {
                        if !self.state.still_valid(&self.actor).await.unwrap_or(true) {
                            return Err(FORBIDDEN);
                        }
                        match last_heard.elapsed() {
                            quiet if quiet > PING_INTERVAL * 3 => Err(End::Gone),
                            quiet if quiet > PING_INTERVAL && !pinged => {
                                pinged = true;
                                socket.send(Message::Ping(Vec::new().into())).await.map_err(|_| End::Gone)
                            }
                            _ => Ok(()),
                        }
                    }
                }
            };
            let step = tokio::select! {
                biased;
                () = &mut stopped => Err(RESTART),
                step = step => step,
            };
            if let Err(end) = step {
                break end;
            }
        };
        (end, self.cursor.take())
    }

    async fn handle(&mut self, socket: &mut WebSocket, received: ClientMessage) -> Result<(), End> {
        let (id, raw, message_type) = match received.operation() {
            Ok(operation) => operation,
            Err(ClientMessage::Ping { payload }) => return self.send(socket, pong(payload).into()).await,
            Err(ClientMessage::Complete { id }) => {
                self.running.remove(id.as_str());
                return Ok(());
            }
            Err(ClientMessage::ConnectionInit { .. }) => return Err(SECOND_INIT),
            Err(ClientMessage::ConnectionTerminate {}) => return Err(DONE),
            Err(_) => return Ok(()),
        };
        if id.is_empty() || id.len() > ID_BYTES {
            return Err(NOT_UNDERSTOOD);
        }
        if self.running.contains_key(id.as_str()) {
            return Err(ID_IN_USE);
        }
        if self.running.len() >= self.state.engine().limits().socket_operations {
            let refused = Refused::new("RATE_LIMITED", "Too many operations are running on this socket.");
            return self.send(socket, message(&id, message_type, &refused.into()).into()).await;
        }
        if let Err(error) = limits::request(&self.state.app, &self.actor.who, self.actor.address).await {
            let denied = Denied::from(error);
            let mut answer = Answer::from(Refused::new(denied.code, denied.message));
            if let Some(seconds) = denied.retry_after {
                graphql::set_retry_after(&mut answer, seconds);
            }
            return self.send(socket, message(&id, message_type, &answer).into()).await;
        }
        self.start(id.into(), raw, message_type);
        Ok(())
    }

    /// Sends a message to the client, unless its operation has ended. Ends the session if the caller's
    /// credential is no longer valid.
    async fn deliver(&mut self, socket: &mut WebSocket, outgoing: Outgoing) -> Result<(), End> {
        match self.running.get(&outgoing.id) {
            Some(running) if running.run == outgoing.run => {}
            _ => return Ok(()),
        }
        match self.state.still_valid(&self.actor).await {
            Ok(true) => {}
            Ok(false) => return Err(FORBIDDEN),
            Err(error) => return Err(refusal(&error.into())),
        }
        if outgoing.is_last {
            self.running.remove(&outgoing.id);
        }
        let (message, cursor) = outgoing.into_message();
        self.send(socket, message).await?;
        self.cursor = cursor.or_else(|| self.cursor.take());
        Ok(())
    }

    /// Sends a message. Ends the session if that takes long while the queue is full, or if the client is lost.
    async fn send(&self, socket: &mut WebSocket, text: Utf8Bytes) -> Result<(), End> {
        let patience = self.state.engine().limits().socket_patience;
        let began = Instant::now();
        let mut sending = std::pin::pin!(socket.send(Message::Text(text)));
        loop {
            match timeout(patience, &mut sending).await {
                Ok(sent) => return sent.map_err(|_| End::Gone),
                Err(_) if self.sender.capacity() == 0 => return Err(TOO_SLOW),
                Err(_) if began.elapsed() > PING_INTERVAL * 3 => return Err(End::Gone),
                Err(_) => {}
            }
        }
    }

    fn start(&mut self, id: Arc<str>, raw: Raw, message_type: &'static str) {
        self.runs += 1;
        let queue =
            OutgoingQueue { id: id.clone(), run: self.runs, message_type, sender: self.sender.clone() };
        let task = tokio::spawn(operate(self.state.clone(), self.actor.clone(), raw, queue));
        self.running.insert(id, Running { run: self.runs, task: task.abort_handle() });
    }
}
