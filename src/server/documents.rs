//! `/documents/{id}`: a document is put and got by an address that is signed, without any other credential.

use super::{ServerState, client_address::Arrival, for_pages_of, request_id};
use crate::rest::{self, DocumentBody, core::large_body};
use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use domain::{
    Who,
    app::App,
    compliance::kyc::documents::{
        self, Downloads, Link, MAX_DOCUMENT_BYTES, Opened, Permit, Prepared, SEALING_BYTES, Uploads,
    },
    kernel::limits,
};
use std::{convert::Infallible, time::Duration};
use tokio::{sync::mpsc, time::timeout};
use uuid::Uuid;

/// How long whoever reads a document may take for a piece of it, and for the whole.
const PIECE_WITHIN: Duration = Duration::from_secs(10);
const WHOLE_WITHIN: Duration = Duration::from_secs(120);
const PIECE: usize = 64 << 10;

pub fn routes(state: &ServerState) -> Router<ServerState> {
    for_pages_of(&state.origins, Router::new().route("/documents/{id}", get(download).put(upload)))
}

/// A request of this door, which comes from nobody in particular.
async fn count(app: &App, arrival: Arrival) -> domain::Result<()> {
    limits::request(app, &Who::Anonymous, arrival.address).await.map(|_| ())
}

fn link<'a>(method: &'a str, uri: &'a Uri) -> Link<'a> {
    Link { method, path: uri.path(), query: uri.query().unwrap_or_default() }
}

async fn upload(
    State(state): State<ServerState>,
    Extension(arrival): Extension<Arrival>,
    request: Request,
) -> Response {
    match take(&state.app, arrival, request).await {
        Ok(body) => Json(body).into_response(),
        Err(error) => rest::faulty("/documents", error),
    }
}

async fn take(app: &App, arrival: Arrival, request: Request) -> domain::Result<DocumentBody> {
    let (uri, request_id) = (request.uri().clone(), request_id(request.headers()));
    let (prepared, permit) = admitted(app, arrival, &uri, request_id).await?;
    let data = large_body::read(request, MAX_DOCUMENT_BYTES, SEALING_BYTES)
        .await
        .map_err(|unread| unread.refusal(documents::too_long))?;
    let sent = documents::send(app, prepared, permit, data).await?;
    DocumentBody::of(app, &sent.value)
}

/// Whoever may begin to send what she announced.
async fn admitted(
    app: &App,
    arrival: Arrival,
    uri: &Uri,
    request_id: Uuid,
) -> domain::Result<(Prepared, Permit)> {
    count(app, arrival).await?;
    let prepared = documents::prepared(app, link("PUT", uri), request_id).await?;
    let permit = app.feature::<Uploads>().0.take(&prepared.caller()?).await?;
    Ok((prepared, permit))
}

async fn download(
    State(state): State<ServerState>,
    Extension(arrival): Extension<Arrival>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match opened(&state.app, arrival, &uri, request_id(&headers)).await {
        Ok((opened, permit)) => served(opened, permit),
        Err(error) => rest::faulty("/documents", error),
    }
}

async fn opened(
    app: &App,
    arrival: Arrival,
    uri: &Uri,
    request_id: Uuid,
) -> domain::Result<(Opened, Permit)> {
    count(app, arrival).await?;
    let (row, actor) = documents::found(app, link("GET", uri), request_id).await?;
    let permit = app.feature::<Downloads>().0.take(&documents::may_open(&actor)?).await?;
    Ok((documents::open(app, &actor, row).await?, permit))
}

/// A document to be kept, not to be shown: whatever is in it runs nowhere.
fn served(Opened { row, data }: Opened, permit: Permit) -> Response {
    let disposition = format!("attachment; filename=\"{}.{}\"", row.token, row.extension);
    let length = data.len();
    let mut response = Response::new(in_pieces(data.into(), permit));
    let fixed: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, documents::media_type(row.format)),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "sandbox"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let plain = HeaderValue::from_str(&disposition).unwrap_or(HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_DISPOSITION, plain);
    response
}

/// A body that is let go, and its permit with it, when its reader is too slow.
fn in_pieces(data: Bytes, permit: Permit) -> Body {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
    tokio::spawn(timeout(WHOLE_WITHIN, async move {
        let _permit = permit;
        let mut left = data;
        while !left.is_empty() {
            let piece = left.split_to(PIECE.min(left.len()));
            if !matches!(timeout(PIECE_WITHIN, sender.send(piece)).await, Ok(Ok(()))) {
                return;
            }
        }
    }));
    Body::from_stream(futures_util::stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|piece| piece.map(Ok::<_, Infallible>))
    }))
}
