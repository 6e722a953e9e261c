//! Reads large request bodies. The handler must hold a permit for the memory.

use axum::{
    body::{Bytes, HttpBody},
    extract::Request,
};
use domain::{Error, Refusal, Result};
use futures_util::StreamExt;

/// Reason why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    TooLong,
    Incomplete,
}

/// Passes a body of at most `max` bytes to `take` piece by piece. Stops at the first error.
pub async fn for_each(
    request: Request,
    max: usize,
    mut take: impl FnMut(&[u8]) -> Result<(), Unread>,
) -> Result<(), Unread> {
    let body = request.into_body();
    if announced(&body) > max {
        return Err(Unread::TooLong);
    }
    let mut left = max;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece: Bytes = piece.map_err(|_| Unread::Incomplete)?;
        left = left.checked_sub(piece.len()).ok_or(Unread::TooLong)?;
        take(&piece)?;
    }
    Ok(())
}

/// Reads a body of at most `max` bytes into a buffer with room for `spare` more bytes.
pub async fn read(request: Request, max: usize, spare: usize) -> Result<Vec<u8>, Unread> {
    // Reserved memory that is never written costs nothing, while growing would briefly hold two copies.
    let mut bytes = Vec::with_capacity(max + spare);
    for_each(request, max, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })
    .await?;
    Ok(bytes)
}

/// Returns the length that the headers announce, or 0.
fn announced(body: &impl HttpBody) -> usize {
    usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX)
}

impl Unread {
    /// Converts to a domain error. `too_long` creates the error for a body that is too long.
    pub fn refusal(self, too_long: impl FnOnce() -> Error) -> Error {
        match self {
            Self::TooLong => too_long(),
            Self::Incomplete => Refusal::unreadable("The body is incomplete.").into(),
        }
    }
}
