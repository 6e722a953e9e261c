//! `/v1/kyc/{token}/documents`.

use super::{
    Caller, Id, KeyHeader, Result, Route, answer,
    body::Body,
    bulk,
    described::{Description, Field},
    forms,
};
use crate::{
    app::App,
    domain::{
        self, Error, Refusal,
        kyc::{
            Named,
            documents::{self, NewDocument},
        },
    },
};
use axum::{
    extract::{Request, State},
    response::Response,
    routing::on,
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use entity::kyc_document;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use std::{borrow::Cow, collections::HashMap};
use utoipa::ToSchema;

pub const ROUTES: &[Route] =
    &[Route::post(PATH, |filter| on(filter, upload)).described(UPLOAD), Route::put(PATH, |filter| on(filter, upload)).described(UPLOAD)];

const PATH: &str = "/v1/kyc/{token}/documents";
const UPLOAD: Description =
    Description::new("Send a document for an identity check that asks for one: a PDF, a JPEG or a PNG of at most 10 MiB.")
        .takes(FIELDS)
        .ruled(rules)
        .answers::<DocumentBody>();

const FIELDS: &[Field] = &[
    Field::text("name", "What the document is called, at most 200 characters.", "driver_license", forms::words(200)),
    Field::text("extension", "pdf, jpg, jpeg or png, as the data is; told by the data when left out.", "pdf", forms::EXTENSION).optional(),
    Field::answer_or(
        "type",
        "What it is, in any case and spacing.",
        &["license", "passport", "utility", "ssn card"],
        &["ssn-card", "ssn_card"],
    ),
    Field::text("notes", "Anything about it, at most 2000 characters.", "Sent by e-mail", forms::NOTES).optional(),
    Field::text("data", "The file in base64.", "JVBERi0xLjQKJSVFT0YK", forms::DOCUMENT),
];

/// What a document's fields must be together: the extension is that of the data.
fn rules() -> Value {
    let rule = |extension: &str, data: &str| {
        json!({
            "if": { "required": ["extension"], "properties": { "extension": { "type": "string", "pattern": extension } } },
            "then": { "properties": { "data": { "pattern": data } } },
        })
    };
    json!([
        rule(r"^\s*\.*[pP][dD][fF]\s*$", "^JVBERi[0-3]"),
        rule(r"^\s*\.*[jJ][pP][eE]?[gG]\s*$", "^/9j/"),
        rule(r"^\s*\.*[pP][nN][gG]\s*$", "^iVBORw0KGgo"),
    ])
}

/// The longest body, which holds the longest document in base64 and what is said of it.
const LONGEST_BODY: usize = 14 << 20;

/// Whatever its padding.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

async fn upload(State(app): State<App>, actor: Caller, KeyHeader(key): KeyHeader, Id(token): Id, request: Request) -> Result<Response> {
    let seat = match documents::may_upload(&actor) {
        Ok(()) => app.uploads.take().await,
        Err(error) => Err(error),
    };
    let seat = match seat {
        Ok(seat) => seat,
        Err(error) => {
            let (parts, body) = request.into_parts();
            bulk::pass_by(&parts.headers, body);
            return Err(error.into());
        }
    };
    let bytes = bulk::read(request, LONGEST_BODY).await.map_err(|unread| unread.refusal(documents::too_long))?;
    // The seat goes along, so that nobody takes it before the memory is free, even when this caller hangs up.
    let reading = tokio::task::spawn_blocking(move || parse(bytes).map(|(document, data)| (document, data, seat)));
    let (document, data, seat) = reading.await.map_err(|_| Error::broken("reading a document broke off"))??;
    let uploaded = documents::upload(&app, &actor, key, seat, Named::Token(token), document, data).await?;
    Ok(answer(&uploaded, &DocumentBody::of(&app, &uploaded.value)?))
}

/// What is said of a document, and its bytes, for which the body is read once and then let go.
fn parse(bytes: Vec<u8>) -> domain::Result<(NewDocument, Vec<u8>)> {
    let mut fields: HashMap<String, &RawValue> =
        serde_json::from_slice(&bytes).map_err(|_| Refusal::unreadable("The body is not a JSON object."))?;
    let data = fields.remove("data").map(RawValue::get).filter(|raw| *raw != "null");
    let body = Body::of_fields(fields);
    body.fits(FIELDS)?;
    let document = NewDocument {
        name: body.text("name")?,
        extension: body.optional_text("extension")?,
        kind: documents::kind(&body.text("type")?)?,
        notes: body.optional_text("notes")?,
    };
    Ok((document, decoded(data.ok_or_else(|| Refusal::required("data"))?)?))
}

/// The bytes in a JSON string of base64.
fn decoded(raw: &str) -> domain::Result<Vec<u8>> {
    let text = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(|| Refusal::invalid("data", "must be a string"))?;
    let mut text = Cow::Borrowed(text);
    if text.contains('\\') {
        // Slashes may be escaped, and lines broken.
        let mut written: String = serde_json::from_str(raw).map_err(|_| Refusal::invalid("data", "must be a string"))?;
        written.retain(|c| !c.is_ascii_whitespace());
        text = Cow::Owned(written);
    }
    BASE64.decode(text.as_bytes()).map_err(|_| Refusal::invalid("data", "is not base64").into())
}

/// A document that was kept.
#[derive(Serialize, ToSchema)]
#[schema(as = Document)]
pub struct DocumentBody {
    /// What the document is called by.
    document_token: String,
    /// What its sender calls it.
    name: String,
    /// What kind of file it is.
    extension: String,
    /// Always true.
    uploaded: bool,
    /// What its sender noted; nothing when nothing was.
    notes: Vec<NoteBody>,
}

/// A note about a document.
#[derive(Serialize, ToSchema)]
#[schema(as = DocumentNote)]
struct NoteBody {
    /// The note.
    notes: String,
    /// When it was made, in milliseconds since 1970.
    created_at: i64,
    /// When it was last changed, in milliseconds since 1970.
    updated_at: i64,
}

impl DocumentBody {
    /// As documented.
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
