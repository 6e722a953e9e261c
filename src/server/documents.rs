//! `/documents/{id}`: uploads and downloads documents with a signed URL and no other credential.

use super::{ServerState, client_address::ClientInfo, request_id, with_cors};
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
    access::links::Link,
    app::App,
    compliance::kyc::documents::{
        self, Downloads, MAX_DOCUMENT_BYTES, Opened, Permit, SEALING_BYTES, Uploads, VerifiedUpload,
    },
    kernel::limits,
};
use std::{convert::Infallible, time::Duration};
use tokio::{sync::mpsc, time::timeout};
use uuid::Uuid;

/// Maximum time for a client to receive one piece of a document.
const PIECE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time for a client to receive a document.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(120);
/// Size of a piece in bytes.
const PIECE: usize = 64 << 10;

pub fn routes(state: &ServerState) -> Router<ServerState> {
    with_cors(&state.origins, Router::new().route("/documents/{id}", get(download).put(upload)))
}

/// Counts a request against the rate limit of its client address.
pub(super) async fn count(app: &App, client: ClientInfo) -> domain::Result<()> {
    limits::request(app, &Who::Anonymous, client.address).await.map(|_| ())
}

/// Returns a link as it was requested.
pub(super) fn link<'a>(method: &'a str, uri: &'a Uri) -> Link<'a> {
    Link { method, path: uri.path(), query: uri.query().unwrap_or_default() }
}

async fn upload(
    State(state): State<ServerState>,
    Extension(client): Extension<ClientInfo>,
    request: Request,
) -> Response {
    match receive(&state.app, client, request).await {
        Ok(body) => Json(body).into_response(),
        Err(error) => rest::faulty("/documents", error),
    }
}

async fn receive(app: &App, client: ClientInfo, request: Request) -> domain::Result<DocumentBody> {
    let (uri, request_id) = (request.uri().clone(), request_id(request.headers()));
    let (verified, permit) = admitted(app, client, &uri, request_id).await?;
    let data = large_body::read(request, MAX_DOCUMENT_BYTES, SEALING_BYTES)
        .await
        .map_err(|unread| unread.refusal(documents::too_long))?;
    let sent = documents::store_upload(app, verified, permit, data).await?;
    DocumentBody::of(app, &sent.value)
}

/// Checks the signed URL and returns the verified upload with a permit for its memory.
async fn admitted(
    app: &App,
    client: ClientInfo,
    uri: &Uri,
    request_id: Uuid,
) -> domain::Result<(VerifiedUpload, Permit)> {
    count(app, client).await?;
    let verified = documents::verify_upload_link(app, link("PUT", uri), request_id).await?;
    let permit = app.feature::<Uploads>().0.take(&verified.caller()?).await?;
    Ok((verified, permit))
}

async fn download(
    State(state): State<ServerState>,
    Extension(client): Extension<ClientInfo>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match opened(&state.app, client, &uri, request_id(&headers)).await {
        Ok((opened, permit)) => served(opened, permit),
        Err(error) => rest::faulty("/documents", error),
    }
}

async fn opened(
    app: &App,
    client: ClientInfo,
    uri: &Uri,
    request_id: Uuid,
) -> domain::Result<(Opened, Permit)> {
    count(app, client).await?;
    let (row, actor) = documents::verify_download_link(app, link("GET", uri), request_id).await?;
    let permit = app.feature::<Downloads>().0.take(&documents::may_open(&actor)?).await?;
    Ok((documents::open(app, &actor, row).await?, permit))
}

/// Returns a document as an attachment.
fn served(Opened { row, data }: Opened, permit: Permit) -> Response {
    let name = format!("{}.{}", row.token, row.extension);
    attachment(&name, documents::media_type(row.format), data.len(), in_pieces(data.into(), permit))
}

/// Returns a file as an attachment, with headers that keep a browser from running its content.
pub(super) fn attachment(name: &str, media_type: &'static str, length: usize, body: Body) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let mut response = Response::new(body);
    let fixed: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, media_type),
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

/// Returns a body that is sent in pieces. If the client is too slow, the body and its permit are dropped.
fn in_pieces(data: Bytes, permit: Permit) -> Body {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
    tokio::spawn(timeout(DOWNLOAD_TIMEOUT, async move {
        let _permit = permit;
        let mut left = data;
        while !left.is_empty() {
            let piece = left.split_to(PIECE.min(left.len()));
            if !matches!(timeout(PIECE_TIMEOUT, sender.send(piece)).await, Ok(Ok(()))) {
                return;
            }
        }
    }));
    Body::from_stream(futures_util::stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|piece| piece.map(Ok::<_, Infallible>))
    }))
}
