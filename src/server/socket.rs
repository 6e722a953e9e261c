//! GraphQL over WebSocket: the `graphql-transport-ws` protocol, and no other.
//!
//! Close codes: 4400 message not understood, 4401 subscribed before `connection_ack`, 4403 credential refused
//! or ended, 4408 no `connection_init` in time, 4409 operation id in use, 4413 reader too slow, 4429 second
//! `connection_init`; 1009 message too long, 1012 server restarts, 1013 too many requests or no answer from
//! the database. With 4413 and 1012 the reason is `cursor=…`, the last cursor sent: resume after it.
//!
//! The Python client gql 4 looks for the accepted subprotocol under one spelling of the header's name only;
//! not finding it, it uses the older words `start`, `stop` and `connection_terminate` and waits for `data`.
//! They are understood, so that it works.

mod protocol;

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

use async_graphql::{Response as Answer, Value};
use axum::{
    Json, Router,
    extract::{
        Extension, State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use futures_util::StreamExt;
use serde_json::{Map, Value as Data, json};
use tokio::{
    sync::{Notify, mpsc},
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
const NEXT: &str = "next";
const READ_BUFFER: usize = 1 << 10;
/// How often the caller of a socket is looked at again.
const RECHECK: Duration = Duration::from_secs(1);
/// A peer that was not heard for this long is asked, and given up after thrice as long.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// How long a closing socket waits for its peer.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// Longest operation id: it comes back in every message.
const ID_BYTES: usize = 256;
/// Longest reason that fits into a close frame.
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
        return refuse(StatusCode::FORBIDDEN, "FORBIDDEN", "Pages of this origin may not connect.");
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

pub fn refuse(status: StatusCode, code: &'static str, message: &str) -> Response {
    (status, Json(json!({ "errors": [{ "message": message, "extensions": { "code": code } }] })))
        .into_response()
}

/// Refuses with 503; the caller may try again after a second.
pub fn refuse_for_now(message: &str) -> Response {
    let extensions = json!({ "code": "UNAVAILABLE", "retryAfter": 1 });
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({ "errors": [{ "message": message, "extensions": extensions }] })),
    )
        .into_response()
}

/// Browsers always name an origin; it must be ours or listed. Other clients name none.
fn origin_allowed(headers: &HeaderMap, listed: &[String]) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter().map(HeaderValue::to_str);
    let origin = match (origins.next(), origins.next()) {
        (None, _) => return true,
        (Some(Ok(origin)), None) => origin,
        _ => return false,
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let site = origin.split_once("://").map(|(_, site)| site);
    let ours = matches!((site, host), (Some(site), Some(host)) if site.eq_ignore_ascii_case(host));
    ours || listed.iter().any(|one| one == origin)
}

/// A message to the client, from one run of one operation.
struct Due {
    id: Arc<str>,
    run: u64,
    text: String,
    cursor: Option<String>,
    last: bool,
}

/// An operation that runs. Numbered, so that what an ended one still had to say is not taken for another's of
/// the same id.
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
        let patience = state.engine().limits().socket_init;
        let credential = timeout(patience, initialised(&mut socket)).await.unwrap_or(Err(NO_INIT))?;
        let known = state.authenticate(credential.as_deref().map(super::credential), address).await;
        count(&state.app, &known, address).await.map_err(|error| refusal(&error.into()))?;
        let actor = known.map_err(|denied| refusal(&denied))?;
        say(&mut socket, r#"{"type":"connection_ack"}"#.into()).await?;
        Ok(actor)
    };
    let began = tokio::select! {
        began = init => began,
        () = state.stopped() => Err(RESTART),
    };
    let (end, cursor) = match began {
        Ok(actor) => Session::new(state, actor).run(&mut socket).await,
        Err(end) => (end, None),
    };
    match end {
        End::Gone => part(socket, None).await,
        End::Close(code, reason) => part(socket, Some((code, reason.into()))).await,
        End::Resume(code) => {
            let reason =
                cursor.map(|cursor| format!("cursor={cursor}")).filter(|reason| reason.len() <= REASON_BYTES);
            part(socket, Some((code, reason.unwrap_or_default()))).await;
        }
    }
}

/// Says why, if there is a reason, then waits for the peer: both sides must have said goodbye, or what was
/// sent may be lost.
async fn part(mut socket: WebSocket, why: Option<(u16, String)>) {
    let goodbye = async {
        if let Some((code, reason)) = why {
            let frame = CloseFrame { code, reason: reason.into() };
            if socket.send(Message::Close(Some(frame))).await.is_err() {
                return;
            }
        }
        while let Some(Ok(_)) = socket.recv().await {}
    };
    let _ = timeout(SHUTDOWN_GRACE, goodbye).await;
}

/// Waits for `connection_init`, and gives the credential in it.
async fn initialised(socket: &mut WebSocket) -> Result<Option<String>, End> {
    loop {
        match heard(socket.recv().await)? {
            None | Some(ClientMessage::Pong {} | ClientMessage::Complete { .. }) => {}
            Some(ClientMessage::Ping { payload }) => say(socket, pong(payload)).await?,
            Some(ClientMessage::Subscribe { .. } | ClientMessage::Start { .. }) => return Err(UNAUTHORIZED),
            Some(ClientMessage::ConnectionTerminate {}) => return Err(DONE),
            Some(ClientMessage::ConnectionInit { payload }) => {
                return credential(payload.unwrap_or_default());
            }
        }
    }
}

/// The `authorization` of the payload, whatever its case; two different ones are as bad as a wrong one.
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

/// What a frame says; nothing if it belongs to the WebSocket itself.
fn heard(frame: Option<Result<Message, axum::Error>>) -> Result<Option<ClientMessage>, End> {
    match frame {
        None | Some(Ok(Message::Close(_))) => Err(End::Gone),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(NOT_UNDERSTOOD),
        Some(Ok(Message::Text(text))) => object(text.as_bytes()).map(Some).map_err(|_| NOT_UNDERSTOOD),
        Some(Err(_)) => Err(TOO_LONG),
    }
}

async fn say(socket: &mut WebSocket, text: String) -> Result<(), End> {
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

struct Session {
    state: ServerState,
    actor: Actor,
    running: HashMap<Arc<str>, Running>,
    runs: u64,
    sender: mpsc::Sender<Due>,
    due: mpsc::Receiver<Due>,
    /// KycAnswerBody when the queue has been full for too long.
    slow: Arc<Notify>,
    cursor: Option<String>,
}

impl Session {
    fn new(state: ServerState, actor: Actor) -> Self {
        let (sender, due) = mpsc::channel(state.engine().limits().socket_queue.max(1));
        let (running, slow) = (HashMap::new(), Arc::default());
        Self { state, actor, running, runs: 0, sender, due, slow, cursor: None }
    }

    async fn run(mut self, socket: &mut WebSocket) -> (End, Option<String>) {
        let state = self.state.clone();
        let slow = self.slow.clone();
        let stopped = state.stopped();
        let mut stopped = std::pin::pin!(stopped);
        let mut recheck = interval(RECHECK);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last_heard, mut asked) = (Instant::now(), false);
        let end = loop {
            let step = async {
                tokio::select! {
                    frame = socket.recv() => {
                        (last_heard, asked) = (Instant::now(), false);
                        match heard(frame)? {
                            Some(said) => self.hear(socket, said).await,
                            None => Ok(()),
                        }
                    }
                    Some(due) = self.due.recv() => self.tell(socket, due).await,
                    _ = recheck.tick() => {
                        if !self.state.still_valid(&self.actor).await.unwrap_or(true) {
                            return Err(FORBIDDEN);
                        }
                        match last_heard.elapsed() {
                            quiet if quiet > PING_INTERVAL * 3 => Err(End::Gone),
                            quiet if quiet > PING_INTERVAL && !asked => {
                                asked = true;
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
                () = slow.notified() => Err(TOO_SLOW),
                step = step => step,
            };
            if let Err(end) = step {
                break end;
            }
        };
        (end, self.cursor.take())
    }

    async fn hear(&mut self, socket: &mut WebSocket, said: ClientMessage) -> Result<(), End> {
        let (id, raw, word) = match said.operation() {
            Ok(operation) => operation,
            Err(ClientMessage::Ping { payload }) => return say(socket, pong(payload)).await,
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
            let refused = Refused::new("RATE_LIMITED", "Too many operations run on this socket.");
            return say(socket, message(&id, word, &refused.into(), usize::MAX).0).await;
        }
        if let Err(error) = limits::request(&self.state.app, &self.actor.who, self.actor.address).await {
            let denied = Denied::from(error);
            let mut answer = Answer::from(Refused::new(denied.code, denied.message));
            if let Some(seconds) = denied.retry_after {
                graphql::set_retry_after(&mut answer, seconds);
            }
            return say(socket, message(&id, word, &answer, usize::MAX).0).await;
        }
        self.start(id.into(), raw, word);
        Ok(())
    }

    /// An operation that was ended meanwhile has nothing more to say, and a caller whose right has ended
    /// hears nothing more.
    async fn tell(&mut self, socket: &mut WebSocket, due: Due) -> Result<(), End> {
        match self.running.get(&due.id) {
            Some(running) if running.run == due.run => {}
            _ => return Ok(()),
        }
        match self.state.still_valid(&self.actor).await {
            Ok(true) => {}
            Ok(false) => return Err(FORBIDDEN),
            Err(error) => return Err(refusal(&error.into())),
        }
        if due.last {
            self.running.remove(&due.id);
        }
        say(socket, due.text).await?;
        self.cursor = due.cursor.or_else(|| self.cursor.take());
        Ok(())
    }

    fn start(&mut self, id: Arc<str>, raw: Raw, word: &'static str) {
        self.runs += 1;
        let outlet = Outlet {
            id: id.clone(),
            run: self.runs,
            word,
            sender: self.sender.clone(),
            slow: self.slow.clone(),
            patience: self.state.engine().limits().socket_patience,
        };
        let task = tokio::spawn(operate(self.state.clone(), self.actor.clone(), raw, outlet));
        self.running.insert(id, Running { run: self.runs, task: task.abort_handle() });
    }
}

/// Where an operation puts what it has to say.
struct Outlet {
    id: Arc<str>,
    run: u64,
    word: &'static str,
    sender: mpsc::Sender<Due>,
    slow: Arc<Notify>,
    patience: Duration,
}

impl Outlet {
    /// False if nobody takes it any more.
    async fn put(&self, text: String, cursor: Option<String>, last: bool) -> bool {
        let due = Due { id: self.id.clone(), run: self.run, text, cursor, last };
        match self.sender.send_timeout(due, self.patience).await {
            Ok(()) => true,
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                self.slow.notify_one();
                false
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => false,
        }
    }
}

async fn operate(state: ServerState, actor: Actor, raw: Raw, outlet: Outlet) {
    let limit = state.engine().limits().response_bytes;
    let request_id = actor.request_id;
    let mut answers = state.engine().stream(raw, {
        let state = state.clone();
        move |request, operation, levels| {
            graphql::equip(&state.app, state.most, state.base_url.clone(), &actor, request, operation, levels)
        }
    });
    while let Some(mut answer) = answers.next().await {
        graphql::name_faults(&mut answer, request_id);
        let (text, ended) = message(&outlet.id, outlet.word, &answer, limit);
        let cursor = if ended { None } else { cursor(&answer) };
        if !outlet.put(text, cursor, ended).await || ended {
            return;
        }
    }
    let complete = json!({ "id": &*outlet.id, "type": "complete" }).to_string();
    outlet.put(complete, None, true).await;
}

/// `next`, or `error` if nothing ran; with the latter the operation has ended.
fn message(id: &str, word: &str, answer: &Answer, limit: usize) -> (String, bool) {
    let id = Data::from(id);
    let (payload, refusal) = graphql::render_or_refuse(answer, limit);
    let answer = refusal.as_ref().unwrap_or(answer);
    if word == NEXT && graphql::never_ran(answer) {
        let errors = serde_json::to_string(&answer.errors).unwrap_or_else(|_| "[]".into());
        return (format!(r#"{{"id":{id},"type":"error","payload":{errors}}}"#), true);
    }
    let payload = String::from_utf8_lossy(&payload);
    (format!(r#"{{"id":{id},"type":"{word}","payload":{payload}}}"#), false)
}

/// The `cursor` of the event in an answer.
fn cursor(answer: &Answer) -> Option<String> {
    let Value::Object(data) = &answer.data else { return None };
    data.values().find_map(|event| match event {
        Value::Object(event) => match event.get("cursor") {
            Some(Value::String(cursor)) => Some(cursor.clone()),
            _ => None,
        },
        _ => None,
    })
}
