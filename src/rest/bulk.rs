//! Bodies that are long: read into one piece of memory by who has a place for it, and otherwise not kept.

use crate::domain::{Refusal, Result};
use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::{HeaderMap, header},
};
use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::timeout;

/// How long a sender may say nothing, and how long a whole body may take.
const SILENCE: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(120);

/// How much of a body that nobody wants is let pass by, and for how long, so that its sender comes to read the answer.
const UNWANTED: usize = 16 << 20;
const LINGER: Duration = Duration::from_secs(15);

/// Why a body was not read.
pub enum Unread {
    TooLong,
    BrokeOff,
}

/// Reads a body of at most `most` bytes.
pub async fn read(request: Request, most: usize) -> Result<Vec<u8>, Unread> {
    let (parts, body) = request.into_parts();
    let said = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if said > most {
        pass_by(&parts.headers, body);
        return Err(Unread::TooLong);
    }
    let mut bytes = Vec::with_capacity(said);
    let mut stream = body.into_data_stream();
    let whole = async {
        loop {
            match timeout(SILENCE, stream.next()).await {
                Ok(None) => return Ok(()),
                Ok(Some(Ok(piece))) if bytes.len() + piece.len() <= most => bytes.extend_from_slice(&piece),
                Ok(Some(Ok(_))) => return Err(Unread::TooLong),
                Ok(Some(Err(_))) | Err(_) => return Err(Unread::BrokeOff),
            }
        }
    };
    match timeout(WHOLE, whole).await {
        Ok(Ok(())) => Ok(bytes),
        Ok(Err(Unread::TooLong)) => {
            pass_by(&parts.headers, Body::from_stream(stream));
            Err(Unread::TooLong)
        }
        _ => Err(Unread::BrokeOff),
    }
}

impl Unread {
    /// As a refusal where a long body is a fault of `too_long`.
    pub fn refusal(self, too_long: impl FnOnce() -> crate::domain::Error) -> crate::domain::Error {
        match self {
            Self::TooLong => too_long(),
            Self::BrokeOff => Refusal::unreadable("The body broke off.").into(),
        }
    }
}

/// Lets a body that nobody wants pass by while its sender is answered: a connection that is closed with a body still under way
/// takes the answer with it. Who waits to be asked for the body is not asked.
pub fn pass_by(headers: &HeaderMap, body: Body) {
    if headers.contains_key(header::EXPECT) || body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(LINGER, async move {
        let mut stream = body.into_data_stream();
        let mut left = UNWANTED;
        while let Some(Ok(piece)) = stream.next().await {
            match left.checked_sub(piece.len()) {
                Some(less) => left = less,
                None => return,
            }
        }
    }));
}
