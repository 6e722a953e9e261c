//! Sends what is published to every subscriber.

use super::Limit;
use axum::{
    extract::{
        State,
        ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    },
    response::Response,
};
use chrono::{DateTime, SecondsFormat, Utc};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};
use tokio::sync::broadcast;

pub struct Fanout {
    events: broadcast::Sender<Utf8Bytes>,
    cursor: AtomicU64,
}

impl Fanout {
    pub fn new() -> Self {
        Self { events: broadcast::Sender::new(64), cursor: AtomicU64::new(0) }
    }
}

/// Publishes an event like that of an order, which the body contains.
pub async fn publish(State(limit): State<Arc<Limit>>, order: String) -> String {
    let cursor = limit.fanout.cursor.fetch_add(1, Ordering::Relaxed);
    let now: DateTime<Utc> = SystemTime::now().into();
    let now = now.to_rfc3339_opts(SecondsFormat::Micros, true);
    let event = format!(
        concat!(
            r#"{{"id":"1","type":"next","payload":{{"data":{{"orderChanged":{{"cursor":"{}","#,
            r#""occurredAt":"{}","orderStatus":"ACCEPTED","order":{}}}}}}}}}"#
        ),
        cursor, now, order
    );
    _ = limit.fanout.events.send(event.into());
    String::new()
}

pub async fn subscribe(State(limit): State<Arc<Limit>>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.protocols(["graphql-transport-ws"]).read_buffer_size(1024);
    let events = limit.fanout.events.subscribe();
    upgrade.on_upgrade(|socket| serve(events, socket))
}

async fn serve(mut events: broadcast::Receiver<Utf8Bytes>, mut socket: WebSocket) {
    loop {
        tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) if text.contains("connection_init") => {
                    _ = socket.send(Message::Text(r#"{"type":"connection_ack"}"#.into())).await;
                }
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return,
            },
            event = events.recv() => {
                let Ok(event) = event else { return };
                if socket.send(Message::Text(event)).await.is_err() {
                    return;
                }
            }
        }
    }
}
