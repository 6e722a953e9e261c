//! `/statements/{file}`: downloads files of statements with a signed URL and no other credential.

use super::{
    ServerState,
    client_address::ClientInfo,
    documents::{attachment, count, link},
    request_id, with_cors,
};
use crate::rest;
use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
    routing::get,
};
use domain::{
    app::App,
    reporting::statements::{self, File},
};
use uuid::Uuid;

pub fn routes(state: &ServerState) -> Router<ServerState> {
    with_cors(&state.origins, Router::new().route("/statements/{file}", get(download)))
}

async fn download(
    State(state): State<ServerState>,
    Extension(client): Extension<ClientInfo>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match opened(&state.app, client, &uri, request_id(&headers)).await {
        Ok(Some(File { name, format, data })) => {
            let name = format!("{name}.{}", format.extension());
            attachment(&name, format.media_type(), data.len(), Body::from(data))
        }
        Ok(None) => rest::refuse(
            "/statements",
            StatusCode::FORBIDDEN,
            "This link is invalid or has expired. Request a new one.",
        ),
        Err(error) => rest::faulty("/statements", error),
    }
}

/// Returns the file of a valid link.
async fn opened(app: &App, client: ClientInfo, uri: &Uri, request_id: Uuid) -> domain::Result<Option<File>> {
    count(app, client).await?;
    let verified = statements::verify(app, link("GET", uri), request_id).await?;
    let Some((statement, format, actor)) = verified else { return Ok(None) };
    Ok(Some(statements::file(app, &actor, &statement, format).await?))
}
