//! Operations of a socket: each runs in a task of its own and queues its messages.

use super::NEXT;
use crate::{
    graphql::{self, Raw, Rendered, Reply},
    server::ServerState,
};
use async_graphql::Response as Answer;
use axum::extract::ws::Utf8Bytes;
use domain::Actor;
use futures_util::StreamExt;
use serde_json::Value as Data;
use std::{borrow::Cow, sync::Arc};
use tokio::sync::mpsc;

/// Message to the client from one run of an operation.
pub struct Outgoing {
    pub id: Arc<str>,
    /// Number of the run.
    pub run: u64,
    /// Type of a message with a result.
    message_type: &'static str,
    /// Result of the operation; none if it is complete.
    result: Option<Arc<Rendered>>,
    pub is_last: bool,
}

impl Outgoing {
    /// Returns the message, and the cursor in it.
    pub fn into_message(self) -> (Utf8Bytes, Option<Arc<str>>) {
        let Some(result) = self.result else {
            return (format!(r#"{{"id":{},"type":"complete"}}"#, Data::from(&*self.id)).into(), None);
        };
        let write = |result: &Rendered| text(&self.id, self.message_type, result);
        let message = match result.message(&self.id, self.message_type, write) {
            Cow::Borrowed(shared) => shared.into(),
            Cow::Owned(own) => own.into(),
        };
        (message, result.cursor.clone())
    }
}

/// Returns the text of a message with the response to an operation.
pub fn message(id: &str, message_type: &str, answer: &Answer) -> String {
    text(id, message_type, &Rendered::new(answer, usize::MAX))
}

/// Returns the text of the message for a result: `next`, or `error` if the operation never ran.
fn text(id: &str, message_type: &str, result: &Rendered) -> String {
    let (message_type, payload) = match ends(message_type, result) {
        Some(errors) => ("error", errors),
        None => (message_type, &*result.payload),
    };
    let id = Data::from(id).to_string();
    [r#"{"id":"#, &id, r#","type":""#, message_type, r#"","payload":"#, payload, "}"].concat()
}

/// Returns the errors of a result that ends its operation. Messages of the older protocol never do.
fn ends<'a>(message_type: &str, result: &'a Rendered) -> Option<&'a str> {
    result.refusal.as_deref().filter(|_| message_type == NEXT)
}

/// Queue for the messages of an operation.
pub struct OutgoingQueue {
    pub id: Arc<str>,
    pub run: u64,
    pub message_type: &'static str,
    pub sender: mpsc::Sender<Outgoing>,
}

impl OutgoingQueue {
    /// Queues a message. Returns false if the session has ended.
    async fn push(&self, result: Option<Arc<Rendered>>, is_last: bool) -> bool {
        let (id, run, message_type) = (self.id.clone(), self.run, self.message_type);
        self.sender.send(Outgoing { id, run, message_type, result, is_last }).await.is_ok()
    }
}

/// Runs an operation and queues its messages.
pub async fn operate(state: ServerState, actor: Actor, raw: Raw, queue: OutgoingQueue) {
    let limit = state.engine().limits().response_bytes;
    let request_id = actor.request_id;
    let engine = state.engine().clone();
    let mut replies = engine.stream(raw, move |request, operation, levels| {
        let (app, base_url) = (&state.app, state.base_url.clone());
        graphql::prepare(app, state.most, base_url, &actor, request, operation, levels)
    });
    while let Some(reply) = replies.next().await {
        let result = match reply {
            Reply::Shared(result) => result,
            Reply::Own(mut answer) => {
                graphql::add_request_id(&mut answer, request_id);
                Arc::new(Rendered::new(&answer, limit))
            }
        };
        let has_ended = ends(queue.message_type, &result).is_some();
        if !queue.push(Some(result), has_ended).await || has_ended {
            return;
        }
    }
    queue.push(None, true).await;
}
