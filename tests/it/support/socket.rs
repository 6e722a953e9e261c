//! A GraphQL client over WebSocket.

use super::TestApp;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

/// WebSocket with the protocol `graphql-transport-ws`.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// Longest wait for a message, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Socket {
    /// Opens a socket without sending anything.
    pub async fn open(app: &TestApp) -> Self {
        Self::open_at(&app.url).await
    }

    /// The same for the server at this URL.
    pub async fn open_at(server: &str) -> Self {
        let url = format!("{}/graphql/ws", server.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        Self(connect_async(request).await.unwrap().0)
    }

    /// Opens a socket with this key, or without credentials, and waits for the acknowledgment.
    pub async fn join(app: &TestApp, key: Option<&str>) -> Self {
        let mut socket = Self::open(app).await;
        let payload = key.map_or(json!({}), |key| json!({ "authorization": format!("Bearer {key}") }));
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.hear().await.unwrap(), json!({ "type": "connection_ack" }));
        socket
    }

    /// Sends a message.
    pub async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Sends text, which need not be a valid message.
    pub async fn say_text(&mut self, text: &str) {
        self.0.send(Message::text(text.to_owned())).await.unwrap();
    }

    /// Starts an operation.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        self.say(
            json!({ "id": id, "type": "subscribe", "payload": { "query": query, "variables": variables } }),
        )
        .await;
    }

    /// Returns the next message, or the code and reason with which the server closed the socket.
    pub async fn hear(&mut self) -> Result<Value, (u16, String)> {
        loop {
            match tokio::time::timeout(TIMEOUT, self.0.next()).await.expect("the server sent nothing") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err((frame.code.into(), frame.reason.to_string()));
                }
                Some(Ok(Message::Close(None))) | None => return Err((0, String::new())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err((1, error.to_string())),
            }
        }
    }

    /// Returns the next message, or `None` if none arrives within this time.
    pub async fn hear_within(&mut self, time: Duration) -> Option<Value> {
        tokio::time::timeout(time, self.hear()).await.ok().map(Result::unwrap)
    }

    /// Returns the code and reason with which the server closes the socket, skipping messages before that.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Err(end) = self.hear().await {
                return end;
            }
        }
    }

    /// Returns the data of the next message, which must have type `next`.
    pub async fn next(&mut self) -> Value {
        let message = self.hear().await.unwrap();
        assert_eq!(message["type"], "next", "{message}");
        assert!(message["payload"].get("errors").is_none(), "{message}");
        message["payload"]["data"].clone()
    }
}
