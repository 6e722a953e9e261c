//! Request bodies: one that comes too slowly is answered with 408, and what is left unread of one is taken
//! off the connection.

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

/// How fast a body must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// How long a sender may pause, and how much longer than at `bytes_per_second` a whole body may take.
    pub timeout: Duration,
    pub bytes_per_second: u32,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), bytes_per_second: 64 << 10 }
    }
}

/// How much of an unread body is read and dropped, and how long its connection stays open for that.
const UNREAD_BYTES: usize = 16 << 20;
const UNREAD_WITHIN: Duration = Duration::from_secs(15);

const TOO_SLOW: &str = "The body was not received in time.";

/// Holds the body of a request to the limits.
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
        rest::refused_by_form(&path, StatusCode::REQUEST_TIMEOUT, TOO_SLOW)
    };
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

struct LimitedBody {
    limits: BodyLimits,
    inner: Body,
    ended: bool,
    /// Whether the client sends nothing before it is asked to.
    awaits_continue: bool,
    received: u64,
    /// When reading began, and when it last went on.
    began: Option<(Instant, Instant)>,
    alarm: Option<Pin<Box<Sleep>>>,
    too_slow: Arc<AtomicBool>,
    /// Whether more of the body may be left unread than is taken off the connection.
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
        let granted =
            Duration::from_millis(received.saturating_mul(1000) / u64::from(limits.bytes_per_second.max(1)));
        let deadline = Ord::min(last, began + granted) + limits.timeout;
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
    /// A connection that is closed with a body still under way loses the answer with it, so that the rest is
    /// read for a while. A client that waits to be asked for the body is not asked.
    fn drop(&mut self) {
        if self.ended || self.awaits_continue || self.inner.is_end_stream() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if self.inner.size_hint().exact().is_none_or(|left| left > UNREAD_BYTES as u64) {
            self.too_long.store(true, Ordering::Relaxed);
        }
        let (mut body, busy) = (std::mem::take(&mut self.inner), self.busy.take());
        runtime.spawn(timeout(UNREAD_WITHIN, async move {
            let _busy = busy;
            let mut left = UNREAD_BYTES;
            while let Some(Ok(frame)) =
                std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
            {
                match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                    Some(less) => left = less,
                    // Closing now could still lose the answer: the client waits until it has read it, or the time is up.
                    None => std::future::pending().await,
                }
            }
        }));
    }
}
