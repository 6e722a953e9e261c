//! Accepts and serves connections, within limits on their number and duration.

use super::{
    connections::{ConnectionLimits, Connections, Lane, Permit},
    socket,
    tls::Certificate,
};
use crate::rest;
use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{ConnectInfo, Request},
    http::{HeaderValue, header},
    response::Response,
};
use domain::Error;
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use std::{
    convert::Infallible,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;

/// Maximum lifetime of a connection that serves health checks only.
const HEALTH_CHECK_LIFETIME: Duration = Duration::from_secs(5);
/// Maximum time to receive the headers of a request that was arriving when the server started to shut down.
const LAST_REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum size of request line and headers. A URL for uploading a document contains its description.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Pause after a connection could not be accepted, for example because no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Minimum interval between log lines about connections that cannot be accepted.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Limits and timeouts of connections.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    pub connections: ConnectionLimits,
    /// Maximum time for a TLS handshake, and for the headers of a request after their first byte.
    pub header_timeout: Duration,
    /// Maximum time to wait for a request.
    pub idle_timeout: Duration,
    /// Maximum time without progress while sending a response.
    pub write_timeout: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            connections: ConnectionLimits::default(),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// State shared by all connections.
struct Server {
    router: Router,
    certificate: Option<Certificate>,
    settings: ServerSettings,
    stopping: watch::Receiver<bool>,
}

/// Serves connections until `stopping` turns true, then waits until all connections are closed.
pub async fn serve(
    listener: TcpListener,
    certificate: Option<Certificate>,
    router: Router,
    settings: ServerSettings,
    stopping: watch::Receiver<bool>,
) {
    let connections = Connections::new(settings.connections.clone());
    let server = Arc::new(Server { router, certificate, settings, stopping });
    let stopped = stopped(server.stopping.clone());
    let mut stopped = std::pin::pin!(stopped);
    let mut last_logged: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopped => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let permit = connections.admit(peer.ip());
                tracing::trace!(lane = ?permit.as_ref().map(|permit| permit.lane), "accepted a connection");
                if let Some(permit) = permit {
                    tokio::spawn(serve_connection(server.clone(), stream, peer, permit));
                }
            }
            Err(error) if is_client_error(&error) => {}
            Err(error) => {
                if last_logged.is_none_or(|last| last.elapsed() >= ACCEPT_LOG_INTERVAL) {
                    tracing::error!(cause = %error, "a connection could not be accepted");
                    last_logged = Some(Instant::now());
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.all_closed().await;
}

/// Returns whether the client caused the error, so that it need not be logged.
fn is_client_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// Waits until the server starts to shut down.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    if stopping.wait_for(|stopping| *stopping).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn serve_connection(server: Arc<Server>, stream: TcpStream, peer: SocketAddr, permit: Permit) {
    _ = stream.set_nodelay(true);
    let accepted = Instant::now();
    let Some(certificate) = &server.certificate else {
        return serve_http(&server, Io::new(stream, permit), peer, accepted).await;
    };
    let handshake_timeout = match permit.lane {
        Lane::Regular => server.settings.header_timeout,
        Lane::HealthChecks => HEALTH_CHECK_LIFETIME,
    };
    let handshake = timeout(handshake_timeout, TlsAcceptor::from(certificate.current()).accept(stream));
    let handshake = tokio::select! {
        handshake = handshake => handshake,
        () = stopped(server.stopping.clone()) => return,
    };
    match handshake {
        Ok(Ok(stream)) => serve_http(&server, Io::new(stream, permit), peer, accepted).await,
        Ok(Err(error)) => tracing::debug!(cause = %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn serve_http<S>(server: &Server, io: Io<S>, peer: SocketAddr, accepted: Instant)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (activity, lane) = (io.activity.clone(), io.permit.lane);
    let service = TowerToHyperService::new(server.router.clone());
    let service = service_fn({
        let activity = activity.clone();
        move |request: Request<Incoming>| answer(service.clone(), activity.clone(), lane, peer, request)
    });
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEADER_BYTES);
    let connection = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let mut stop = std::pin::pin!(stopped(server.stopping.clone()));
    let mut stopped_at = None;
    let mut alarm = std::pin::pin!(sleep_until(accepted));
    loop {
        let expired = std::future::poll_fn(|context| {
            let timeouts = Timeouts { settings: &server.settings, lane, accepted, stopped_at };
            let Some(deadline) = activity.deadline(&timeouts) else { return Poll::Pending };
            if alarm.deadline() != deadline {
                alarm.as_mut().reset(deadline);
            }
            alarm.as_mut().poll(context)
        });
        // Poll the connection first, since its progress moves the deadline.
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(cause = %error, "a connection failed");
                }
                return;
            }
            () = &mut stop, if stopped_at.is_none() => {
                stopped_at = Some(Instant::now());
                connection.as_mut().graceful_shutdown();
            }
            () = expired => return tracing::debug!("a connection took too long"),
        }
    }
}

async fn answer(
    service: TowerToHyperService<Router>,
    activity: Activity,
    lane: Lane,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<BusyBody>, Infallible> {
    let busy = activity.begin();
    let mut request = request.map(Body::new);
    let is_health_check = super::HEALTH_PATHS.contains(&request.uri().path());
    let mut response = if lane == Lane::HealthChecks && !is_health_check {
        let path = request.uri().path();
        if path.starts_with("/graphql") {
            socket::refuse_for_now("Too many connections are open. Try again.")
        } else {
            rest::faulty(path, Error::Busy)
        }
    } else {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(activity);
        hyper::service::Service::call(&service, request).await?
    };
    if lane == Lane::HealthChecks {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        if !is_health_check {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
    }
    Ok(response.map(|body| BusyBody { body, _busy: busy }))
}

/// Response body that marks its connection as busy until it has been sent.
struct BusyBody {
    body: Body,
    _busy: Busy,
}

impl HttpBody for BusyBody {
    type Data = axum::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Activity of a connection, which determines its timeouts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Number of requests that are being received, processed or answered.
    busy: usize,
    idle_since: Instant,
    /// Time of the first byte of a request with incomplete headers.
    headers_since: Option<Instant>,
    /// Time since which the client has not received any pending data.
    stalled_since: Option<Instant>,
}

/// Inputs for the deadline of a connection.
struct Timeouts<'a> {
    settings: &'a ServerSettings,
    lane: Lane,
    accepted: Instant,
    stopped_at: Option<Instant>,
}

/// Marks a connection as busy until it is dropped.
#[derive(Debug)]
pub struct Busy(Activity);

impl Activity {
    fn new() -> Self {
        let state = State { busy: 0, idle_since: Instant::now(), headers_since: None, stalled_since: None };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the connection as busy with one more request.
    pub fn begin(&self) -> Busy {
        let mut state = self.state();
        state.busy += 1;
        state.headers_since = None;
        drop(state);
        Busy(self.clone())
    }

    /// Returns the time at which the connection must be closed, if any.
    fn deadline(&self, timeouts: &Timeouts<'_>) -> Option<Instant> {
        let state = self.state();
        let settings = timeouts.settings;
        let write = state.stalled_since.map(|since| since + settings.write_timeout);
        let read = match (state.busy, state.headers_since) {
            (0, None) => Some(state.idle_since + settings.idle_timeout),
            (0, Some(since)) => Some(since + settings.header_timeout),
            _ => None,
        };
        let read = match timeouts.stopped_at {
            Some(at) => read.map(|read| Ord::min(read, at + LAST_REQUEST_TIMEOUT)),
            None => read,
        };
        let lifetime =
            (timeouts.lane == Lane::HealthChecks).then_some(timeouts.accepted + HEALTH_CHECK_LIFETIME);
        [write, read, lifetime].into_iter().flatten().min()
    }

    fn has_read(&self) {
        let mut state = self.state();
        if state.busy == 0 {
            state.headers_since.get_or_insert_with(Instant::now);
        }
    }

    fn wrote(&self, has_stalled: bool) {
        let mut state = self.state();
        if has_stalled {
            state.stalled_since.get_or_insert_with(Instant::now);
        } else {
            state.stalled_since = None;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.busy = state.busy.saturating_sub(1);
        (state.idle_since, state.headers_since) = (Instant::now(), None);
    }
}

/// Connection that is counted until it is closed, even after an upgrade to a WebSocket, and that records
/// reads and writes.
struct Io<S> {
    stream: S,
    activity: Activity,
    permit: Permit,
}

impl<S> Io<S> {
    fn new(stream: S, permit: Permit) -> Self {
        Self { stream, activity: Activity::new(), permit }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.has_read();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Io<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.activity.wrote(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.activity.wrote(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.activity.wrote(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(context);
        self.activity.wrote(closed.is_pending());
        closed
    }
}
