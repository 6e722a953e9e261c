//! Client messages and close codes of the `graphql-transport-ws` protocol.

use super::NEXT;
use crate::{graphql::Raw, server::Denied};
use axum::extract::ws::close_code;
use serde::Deserialize;
use serde_json::{Map, Value as Data};

/// Message from the client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    ConnectionInit {
        #[serde(default)]
        payload: Option<Map<String, Data>>,
    },
    Ping {
        #[serde(default)]
        payload: Option<Map<String, Data>>,
    },
    Pong {},
    Subscribe {
        id: String,
        payload: Box<Raw>,
    },
    #[serde(alias = "stop")]
    Complete {
        id: String,
    },
    Start {
        id: String,
        payload: Box<Raw>,
    },
    ConnectionTerminate {},
}

impl ClientMessage {
    /// Returns id and content of the operation to start, and the message type of its results.
    pub fn operation(self) -> Result<(String, Raw, &'static str), Self> {
        match self {
            Self::Subscribe { id, payload } => Ok((id, *payload, NEXT)),
            Self::Start { id, payload } => Ok((id, *payload, "data")),
            other => Err(other),
        }
    }
}

/// Reason for the end of a connection.
#[derive(Debug)]
pub enum End {
    /// The client has left or does not respond. No close frame is sent.
    Gone,
    /// Close with this code and reason.
    Close(u16, &'static str),
    /// Close with this code. The reason is the cursor to resume from.
    Resume(u16),
}

pub const DONE: End = End::Close(close_code::NORMAL, "");
pub const NOT_UNDERSTOOD: End = End::Close(4400, "Message not understood");
pub const UNAUTHORIZED: End = End::Close(4401, "Unauthorized");
pub const FORBIDDEN: End = End::Close(4403, "Forbidden");
pub const NO_INIT: End = End::Close(4408, "Connection initialisation timeout");
pub const ID_IN_USE: End = End::Close(4409, "An operation with this id is running");
pub const TOO_SLOW: End = End::Resume(4413);
pub const SECOND_INIT: End = End::Close(4429, "Too many initialisation requests");
pub const TOO_LONG: End = End::Close(close_code::SIZE, "Message too long");
pub const RESTART: End = End::Resume(close_code::RESTART);

/// Returns the close code for a refused caller. The client may retry after 1013, but not after 4403.
pub fn refusal(denied: &Denied) -> End {
    match denied.code {
        "RATE_LIMITED" => End::Close(close_code::AGAIN, "Too many requests"),
        "TIMEOUT" | "UNAVAILABLE" | "INTERNAL_SERVER_ERROR" => {
            End::Close(close_code::AGAIN, "Try again later")
        }
        _ => FORBIDDEN,
    }
}
