//! Limits on receiving request bodies: a body that arrives too slowly gets status 408, and the unread rest of
//! a body is read and dropped.

use super::{
    serving::{Activity, Busy},
    socket,
};
use crate::rest;
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    time::{Instant, Sleep, sleep_until, timeout},
};

/// Minimum speed of a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Maximum pause, and maximum extra time for the whole body compared with `bytes_per_second`.
    pub timeout: Duration,
    pub bytes_per_second: u32,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), bytes_per_second: 64 << 10 }
    }
}

/// Maximum size of the unread rest of a body that is read and dropped.
const UNREAD_BYTES: usize = 16 << 20;
/// Maximum time for that.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(15);

const TOO_SLOW: &str = "The body was not received in time.";

/// Middleware: applies the limits to the body of a request.
pub async fn limited(State(limits): State<BodyLimits>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    let (too_slow, too_long) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (parts, body) = request.into_parts();
    let body = LimitedBody {
        limits,
        inner: body,
        ended: false,
        awaits_continue: parts.headers.contains_key(header::EXPECT),
        received: 0,
        began: None,
        alarm: None,
        too_slow: too_slow.clone(),
        too_long: too_long.clone(),
        busy: parts.extensions.get::<Activity>().map(Activity::begin),
    };
    let mut response = next.run(Request::from_parts(parts, Body::new(body))).await;
    if too_long.load(Ordering::Relaxed) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if !too_slow.load(Ordering::Relaxed) {
        return response;
    }
    let mut response = if path.starts_with("/graphql") {
        socket::refuse(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", TOO_SLOW)
    } else {
        rest::refuse(&path, StatusCode::REQUEST_TIMEOUT, TOO_SLOW)
    };
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

struct LimitedBody {
    limits: BodyLimits,
    inner: Body,
    ended: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    awaits_continue: bool,
    received: u64,
    /// Time when reading started, and time of the last progress.
    began: Option<(Instant, Instant)>,
    alarm: Option<Pin<Box<Sleep>>>,
    too_slow: Arc<AtomicBool>,
    /// Set if more of the body may remain than the server reads and discards.
    too_long: Arc<AtomicBool>,
    busy: Option<Busy>,
}

impl HttpBody for LimitedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        this.awaits_continue = false;
        let (began, last) = *this.began.get_or_insert_with(|| (Instant::now(), Instant::now()));
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) {
            match &frame {
                Some(Ok(frame)) => {
                    this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
                    this.began = Some((began, Instant::now()));
                }
                Some(Err(_)) | None => this.ended = true,
            }
            return Poll::Ready(frame);
        }
        let LimitedBody { limits, received, .. } = *this;
        let allowed =
            Duration::from_millis(received.saturating_mul(1000) / u64::from(limits.bytes_per_second.max(1)));
        let deadline = Ord::min(last, began + allowed) + limits.timeout;
        let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        ready!(alarm.as_mut().poll(context));
        this.ended = true;
        this.too_slow.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(axum::Error::new(TOO_SLOW))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for LimitedBody {
    /// Reads and drops the rest of the body for a while: closing the connection earlier could lose the
    /// response. Not for a client that waits for `100 Continue`, since it sends no body.
    fn drop(&mut self) {
        if self.ended || self.awaits_continue || self.inner.is_end_stream() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if self.inner.size_hint().exact().is_none_or(|left| left > UNREAD_BYTES as u64) {
            self.too_long.store(true, Ordering::Relaxed);
        }
        let (mut body, busy) = (std::mem::take(&mut self.inner), self.busy.take());
        runtime.spawn(timeout(UNREAD_TIMEOUT, async move {
            let _busy = busy;
            let mut left = UNREAD_BYTES;
            while let Some(Ok(frame)) =
                std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
            {
                match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                    Some(less) => left = less,
                    // Closing now could lose the response. Wait until the client closes or the time is up.
                    None => std::future::pending().await,
                }
            }
        }));
    }
}
