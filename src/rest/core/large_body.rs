//! Bodies that are longer than others: read by a handler that holds a permit for the memory.

use axum::{
    body::{Bytes, HttpBody},
    extract::Request,
};
use domain::{Error, Refusal, Result};
use futures_util::StreamExt;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    TooLong,
    BrokeOff,
}

/// Hands a body of at most `most` bytes to `take`, piece by piece, until that refuses one.
pub async fn for_each(
    request: Request,
    most: usize,
    mut take: impl FnMut(&[u8]) -> Result<(), Unread>,
) -> Result<(), Unread> {
    let body = request.into_body();
    if announced(&body) > most {
        return Err(Unread::TooLong);
    }
    let mut left = most;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece: Bytes = piece.map_err(|_| Unread::BrokeOff)?;
        left = left.checked_sub(piece.len()).ok_or(Unread::TooLong)?;
        take(&piece)?;
    }
    Ok(())
}

/// Reads a body of at most `most` bytes into memory that has room for `spare` bytes more.
pub async fn read(request: Request, most: usize, spare: usize) -> Result<Vec<u8>, Unread> {
    // What is reserved and not written to takes no memory, and growing would hold two copies for a moment.
    let mut bytes = Vec::with_capacity(most + spare);
    for_each(request, most, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })
    .await?;
    Ok(bytes)
}

/// How long a body is at least, as its headers say.
fn announced(body: &impl HttpBody) -> usize {
    usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX)
}

impl Unread {
    /// As a refusal where a long body is a fault of `too_long`.
    pub fn refusal(self, too_long: impl FnOnce() -> Error) -> Error {
        match self {
            Self::TooLong => too_long(),
            Self::BrokeOff => Refusal::unreadable("The body broke off.").into(),
        }
    }
}
