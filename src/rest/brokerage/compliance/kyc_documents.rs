//! `/v1/kyc/{token}/documents`.

use crate::rest::core::{
    answers::answer,
    bodies::Body,
    described::{Description, Field},
    document_body::DocumentBodyReader,
    errors::Result,
    forms, large_body,
    requests::{Caller, Id, KeyHeader},
    routes::Route,
};
use axum::{
    extract::{Request, State},
    response::Response,
    routing::on,
};
use domain::{
    Refusal,
    app::App,
    compliance::kyc::{
        KycRef,
        documents::{self, NewDocument},
    },
};
use entity::kyc_document;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use std::collections::HashMap;
use utoipa::ToSchema;

pub const ROUTES: &[Route] = &[
    Route::post(PATH, |filter| on(filter, upload)).described(UPLOAD),
    Route::put(PATH, |filter| on(filter, upload)).described(UPLOAD),
];

const PATH: &str = "/v1/kyc/{token}/documents";
const UPLOAD: Description = Description::new(
    "Upload a document for an identity check that requires one: a PDF, JPEG or PNG of at most 10 MiB.",
)
.takes(FIELDS)
.ruled(rules)
.answers::<DocumentBody>();

const FIELDS: &[Field] = &[
    Field::text("name", "Name of the document, at most 200 characters.", "driver_license", forms::words(200)),
    Field::text(
        "extension",
        "File extension: `pdf`, `jpg`, `jpeg` or `png`. Must match the data. Detected if left out.",
        "pdf",
        forms::EXTENSION,
    )
    .optional(),
    Field::loose_choice_or(
        "type",
        "Type of document. Case and spaces are ignored.",
        &["license", "passport", "utility", "ssn card"],
        &["ssn-card", "ssn_card"],
    ),
    Field::text(
        "notes",
        "Notes about the document, at most 2000 characters.",
        "Sent by e-mail",
        forms::NOTES,
    )
    .optional(),
    Field::text("data", "The file in base64.", "JVBERi0xLjQKJSVFT0YK", forms::DOCUMENT),
];

/// Schemas that the body must match: the extension agrees with the data.
fn rules() -> Value {
    let rule = |extension: &str, data: &str| {
        json!({
            "if": { "required": ["extension"],
                "properties": { "extension": { "type": "string", "pattern": extension } } },
            "then": { "properties": { "data": { "pattern": data } } },
        })
    };
    json!([
        rule(r"^\s*\.*[pP][dD][fF]\s*$", "^JVBERi[0-3]"),
        rule(r"^\s*\.*[jJ][pP][eE]?[gG]\s*$", "^/9j/"),
        rule(r"^\s*\.*[pP][nN][gG]\s*$", "^iVBORw0KGgo"),
    ])
}

/// Maximum size of the body: the largest document in base64 and its description.
const MAX_BODY_BYTES: usize = 14 << 20;

async fn upload(
    State(app): State<App>,
    actor: Caller,
    KeyHeader(key): KeyHeader,
    Id(token): Id,
    request: Request,
) -> Result<Response> {
    let check = KycRef::Token(token);
    let permit = documents::admit(&app, &actor, &check).await?;
    let mut reader = DocumentBodyReader::new(documents::MAX_DOCUMENT_BYTES, documents::SEALING_BYTES);
    let read = large_body::for_each(request, MAX_BODY_BYTES, |piece| reader.take(piece)).await;
    read.map_err(|unread| unread.refusal(documents::too_long))?;
    let (document, data) = parse(reader)?;
    let uploaded = documents::upload(&app, &actor, key, permit, check, document, data).await?;
    Ok(answer(&uploaded, &DocumentBody::of(&app, &uploaded.value)?))
}

/// Returns the description of the document and its content.
fn parse(reader: DocumentBodyReader) -> domain::Result<(NewDocument, Vec<u8>)> {
    let (description, data) = reader.finish();
    let mut fields: HashMap<String, &RawValue> = serde_json::from_slice(&description)
        .map_err(|_| Refusal::unreadable("The body is not a JSON object."))?;
    let is_missing = fields.remove("data").is_none_or(|raw| raw.get() == "null");
    let body = Body::of_fields(fields);
    body.fits(FIELDS)?;
    let document = NewDocument {
        name: body.text("name")?,
        extension: body.optional_text("extension")?,
        kind: documents::kind(&body.text("type")?)?,
        notes: body.optional_text("notes")?,
    };
    match data {
        _ if is_missing => Err(Refusal::required("data").into()),
        None => Err(Refusal::invalid("data", "must be a string").into()),
        Some(data) => Ok((document, data?)),
    }
}

/// Uploaded document.
#[derive(Serialize, ToSchema)]
#[schema(as = Document)]
pub struct DocumentBody {
    /// Token of the document.
    document_token: String,
    /// Name that the uploader gave the document.
    name: String,
    /// File extension.
    extension: String,
    /// Always true.
    uploaded: bool,
    /// Notes from the uploader; at most one.
    notes: Vec<NoteBody>,
}

/// Note about a document.
#[derive(Serialize, ToSchema)]
#[schema(as = DocumentNote)]
struct NoteBody {
    /// Text of the note.
    notes: String,
    /// Time of creation in milliseconds since 1970.
    created_at: i64,
    /// Time of the last change in milliseconds since 1970.
    updated_at: i64,
}

impl DocumentBody {
    /// Creates the documented response.
    pub fn of(app: &App, document: &kyc_document::Model) -> domain::Result<Self> {
        let at = document.uploaded_at.timestamp_millis();
        let notes = documents::notes(app, document)?;
        let note = |notes: String| NoteBody { notes, created_at: at, updated_at: at };
        Ok(Self {
            document_token: document.token.clone(),
            name: documents::name(app, document)?.reveal().clone(),
            extension: document.extension.clone(),
            uploaded: true,
            notes: notes.map(|notes| note(notes.reveal().clone())).into_iter().collect(),
        })
    }
}
