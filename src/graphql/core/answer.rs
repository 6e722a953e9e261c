//! Serializes responses as JSON and inspects their errors.

use std::{
    borrow::Cow,
    io::{self, Write},
    sync::{Arc, OnceLock},
};

use super::guard::Refused;
use async_graphql::{ErrorExtensionValues, Response, ServerError, Value};
use uuid::Uuid;

pub const TOO_LARGE: &str = "RESPONSE_TOO_LARGE";
pub const TIMEOUT: &str = "TIMEOUT";
pub const INTERNAL: &str = "INTERNAL_SERVER_ERROR";

/// Returns whether the operation was refused before execution, so that the response has no `data`.
/// Execution errors always have a path.
pub fn never_ran(response: &Response) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}

/// Returns the code of the first error.
pub fn code(response: &Response) -> Option<&str> {
    match response.errors.first()?.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        _ => None,
    }
}

/// Adds the request id to every internal error, so that its cause can be found in the log.
pub fn add_request_id(response: &mut Response, request_id: Uuid) {
    for error in &mut response.errors {
        if let Some(extensions) = error.extensions.as_mut().filter(|extensions| is_internal(extensions)) {
            extensions.set("requestId", request_id.to_string());
        }
    }
}

/// Returns whether there is an internal error.
pub fn has_internal_error(response: &Response) -> bool {
    response.errors.iter().filter_map(|error| error.extensions.as_ref()).any(is_internal)
}

/// Sets `retryAfter` on every error: the seconds to wait before a retry.
pub fn set_retry_after(response: &mut Response, seconds: u64) {
    for error in &mut response.errors {
        error.extensions.get_or_insert_default().set("retryAfter", seconds);
    }
}

/// Returns the longest `retryAfter` of all errors, in seconds.
pub fn retry_after(response: &Response) -> Option<u64> {
    let seconds = |error: &ServerError| match error.extensions.as_ref()?.get("retryAfter")? {
        Value::Number(seconds) => seconds.as_u64(),
        _ => None,
    };
    response.errors.iter().filter_map(seconds).max()
}

fn is_internal(extensions: &ErrorExtensionValues) -> bool {
    matches!(extensions.get("code"), Some(Value::String(code)) if code == INTERNAL)
}

/// Serializes a response as JSON, with `data`, `errors` and `extensions` in the order of the specification.
/// Fails as soon as it exceeds `limit` bytes.
pub fn render(response: &Response, limit: usize) -> Result<Vec<u8>, Refused> {
    let mut buffer = LimitedBuffer { bytes: Vec::with_capacity(256), limit };
    match write_response(response, &mut buffer) {
        Ok(()) => Ok(buffer.bytes),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(too_large(limit)),
        Err(error) => {
            tracing::error!(%error, "a response could not be serialized");
            Err(Refused::new(INTERNAL, "Internal error."))
        }
    }
}

/// Returns the refusal of a response that would be larger than `limit` bytes.
pub fn too_large(limit: usize) -> Refused {
    Refused::new(TOO_LARGE, format!("The response is larger than {limit} bytes. Request less data."))
}

fn write_response(response: &Response, out: &mut LimitedBuffer) -> io::Result<()> {
    let mut separator = b"{".as_slice();
    if !never_ran(response) {
        out.write_all(b"{\"data\":")?;
        write_value(&response.data, out)?;
        separator = b",";
    }
    if !response.errors.is_empty() {
        out.write_all(separator)?;
        out.write_all(b"\"errors\":")?;
        serde_json::to_writer(&mut *out, &response.errors)?;
        separator = b",";
    }
    if !response.extensions.is_empty() {
        out.write_all(separator)?;
        out.write_all(b"\"extensions\":")?;
        serde_json::to_writer(&mut *out, &response.extensions)?;
    }
    out.write_all(b"}")
}

/// Writes a value as JSON. A binary value is JSON already: the breadth-first engine wrote it.
fn write_value(value: &Value, out: &mut LimitedBuffer) -> io::Result<()> {
    match value {
        Value::Binary(json) => out.write_all(json),
        Value::List(items) => {
            out.write_all(b"[")?;
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.write_all(b",")?;
                }
                write_value(item, out)?;
            }
            out.write_all(b"]")
        }
        Value::Object(map) => {
            out.write_all(b"{")?;
            for (number, (key, item)) in map.iter().enumerate() {
                if number > 0 {
                    out.write_all(b",")?;
                }
                serde_json::to_writer(&mut *out, key.as_str())?;
                out.write_all(b":")?;
                write_value(item, out)?;
            }
            out.write_all(b"}")
        }
        leaf => Ok(serde_json::to_writer(out, leaf)?),
    }
}

/// Does the same as [`render`], but serializes the refusal if the response is too large. Then it also returns
/// the refusal.
pub fn render_or_refuse(response: &Response, limit: usize) -> (Vec<u8>, Option<Response>) {
    match render(response, limit) {
        Ok(bytes) => (bytes, None),
        Err(refused) => {
            let refusal = Response::from(refused);
            (render(&refusal, usize::MAX).unwrap_or_default(), Some(refusal))
        }
    }
}

/// Response that was serialized once for many subscribers.
#[derive(Debug)]
pub struct Rendered {
    /// The response as JSON.
    pub payload: Arc<str>,
    /// Its errors as JSON, if the operation never ran.
    pub refusal: Option<Arc<str>>,
    /// Cursor of the event in it.
    pub cursor: Option<Arc<str>>,
    pub has_errors: bool,
    message: OnceLock<FirstMessage>,
}

/// Message with a response to its first subscriber. Most clients choose the same ids, so that it serves the
/// others as well.
#[derive(Debug)]
struct FirstMessage {
    id: Arc<str>,
    message_type: &'static str,
    text: String,
}

impl Rendered {
    /// Serializes a response, or the refusal if it exceeds `limit` bytes.
    pub fn new(response: &Response, limit: usize) -> Self {
        let (payload, refusal) = render_or_refuse(response, limit);
        let response = refusal.as_ref().unwrap_or(response);
        let has_run = !never_ran(response);
        let errors = || serde_json::to_string(&response.errors).unwrap_or_else(|_| "[]".into());
        Self {
            payload: String::from_utf8_lossy(&payload).into(),
            refusal: (!has_run).then(|| errors().into()),
            cursor: cursor(response).filter(|_| has_run).map(Into::into),
            has_errors: response.is_err(),
            message: OnceLock::new(),
        }
    }

    /// Returns the text of the message for an operation, which is written once for all operations with the same
    /// id and message type.
    pub fn message(
        &self,
        id: &Arc<str>,
        message_type: &'static str,
        write: impl Fn(&Self) -> String,
    ) -> Cow<'_, str> {
        let first =
            self.message.get_or_init(|| FirstMessage { id: id.clone(), message_type, text: write(self) });
        if first.id == *id && first.message_type == message_type {
            Cow::Borrowed(&first.text)
        } else {
            Cow::Owned(write(self))
        }
    }
}

/// Returns the `cursor` of the event in a response.
fn cursor(response: &Response) -> Option<&str> {
    let Value::Object(data) = &response.data else { return None };
    data.values().find_map(|event| match event {
        Value::Object(event) => match event.get("cursor") {
            Some(Value::String(cursor)) => Some(cursor.as_str()),
            _ => None,
        },
        _ => None,
    })
}

/// Buffer that refuses to grow beyond `limit` bytes.
struct LimitedBuffer {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for LimitedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
