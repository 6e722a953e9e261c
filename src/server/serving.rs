//! Accepts connections and serves them, each within the limits of its address and of time.

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

/// How long a connection may live that serves health checks only.
const HEALTH_CHECK_LIFETIME: Duration = Duration::from_secs(5);
/// How long a request may take to arrive whose headers were under way when the server began to stop.
const LAST_REQUEST: Duration = Duration::from_secs(1);
/// The longest head of a request, in bytes. Links that take a document carry its description.
const HEAD_BYTES: usize = 64 << 10;
/// How long accepting pauses when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often the log is told that connections cannot be accepted.
const ACCEPT_COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// How connections are served.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    pub connections: ConnectionLimits,
    /// How long a TLS handshake may take, and the headers of a request from their first byte on.
    pub header_timeout: Duration,
    /// How long a connection may wait for a request.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of an answer.
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

/// What all connections share.
struct Server {
    router: Router,
    certificate: Option<Certificate>,
    settings: ServerSettings,
    stopping: watch::Receiver<bool>,
}

/// Serves until `stopping` turns true and then until every connection has ended.
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
    let mut last_complaint: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopped => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let permit = connections.admit(peer.ip());
                tracing::trace!(lane = ?permit.as_ref().map(|permit| permit.lane), "a connection came in");
                if let Some(permit) = permit {
                    tokio::spawn(serve_connection(server.clone(), stream, peer, permit));
                }
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                if last_complaint.is_none_or(|last| last.elapsed() >= ACCEPT_COMPLAINT_INTERVAL) {
                    tracing::error!(cause = %error, "a connection could not be accepted");
                    last_complaint = Some(Instant::now());
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.all_closed().await;
}

fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

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
    let patience = match permit.lane {
        Lane::Regular => server.settings.header_timeout,
        Lane::HealthChecks => HEALTH_CHECK_LIFETIME,
    };
    let handshake = timeout(patience, TlsAcceptor::from(certificate.current()).accept(stream));
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
    builder.max_buf_size(HEAD_BYTES);
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
        // The connection first, since what it does moves the deadline.
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
            socket::refuse_for_now("Too many connections are open; try again.")
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

/// A response body that keeps its connection busy until it has been sent.
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

/// What a connection is doing, which decides how long it may go on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Requests that are read, worked on or answered.
    busy: usize,
    idle_since: Instant,
    /// When the first byte came of a request whose headers are not complete.
    head_since: Option<Instant>,
    /// Since when the client takes nothing of what is to be sent.
    stalled_since: Option<Instant>,
}

/// What decides how long a connection may go on.
struct Timeouts<'a> {
    settings: &'a ServerSettings,
    lane: Lane,
    accepted: Instant,
    stopped_at: Option<Instant>,
}

/// A request that keeps its connection busy until this is dropped.
#[derive(Debug)]
pub struct Busy(Activity);

impl Activity {
    fn new() -> Self {
        let state = State { busy: 0, idle_since: Instant::now(), head_since: None, stalled_since: None };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the connection busy with one thing more.
    pub fn begin(&self) -> Busy {
        let mut state = self.state();
        state.busy += 1;
        state.head_since = None;
        drop(state);
        Busy(self.clone())
    }

    fn deadline(&self, timeouts: &Timeouts<'_>) -> Option<Instant> {
        let state = self.state();
        let settings = timeouts.settings;
        let write = state.stalled_since.map(|since| since + settings.write_timeout);
        let read = match (state.busy, state.head_since) {
            (0, None) => Some(state.idle_since + settings.idle_timeout),
            (0, Some(since)) => Some(since + settings.header_timeout),
            _ => None,
        };
        let read = match timeouts.stopped_at {
            Some(at) => read.map(|read| Ord::min(read, at + LAST_REQUEST)),
            None => read,
        };
        let lifetime =
            (timeouts.lane == Lane::HealthChecks).then_some(timeouts.accepted + HEALTH_CHECK_LIFETIME);
        [write, read, lifetime].into_iter().flatten().min()
    }

    fn has_read(&self) {
        let mut state = self.state();
        if state.busy == 0 {
            state.head_since.get_or_insert_with(Instant::now);
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
        (state.idle_since, state.head_since) = (Instant::now(), None);
    }
}

/// A connection that is counted until it is closed, also as a WebSocket, and that notes what is read and
/// written.
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
