//! `/v1/kyc/{token}/documents`.

use crate::rest::core::{
    answers::answer,
    bodies::{Body, RequestBody},
    described::Description,
    deserializer::Wrong,
    document_body::DocumentBodyReader,
    errors::Result,
    forms::{self, Form, choice, fields},
    large_body,
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
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

pub const ROUTES: &[Route] = &[
    Route::post(PATH, |filter| on(filter, upload)).described(UPLOAD),
    Route::put(PATH, |filter| on(filter, upload)).described(UPLOAD),
];

const PATH: &str = "/v1/kyc/{token}/documents";
const UPLOAD: Description = Description::new(
    "Upload a document for an identity check that requires one: a PDF, JPEG or PNG of at most 10 MiB.",
)
.takes::<NewDocumentBody>()
.answers::<DocumentBody>();

fields! {
    /// Name of the document, at most 200 characters.
    Name(String) = forms::words(200), "driver_license";
    /// File extension: `pdf`, `jpg`, `jpeg` or `png`. Must match the data. Detected if left out.
    Extension(String) = forms::EXTENSION, "pdf";
    /// Type of document. Case and spaces are ignored.
    Type(String) =
        choice(&["license", "passport", "utility", "ssn card"]).or(&["ssn-card", "ssn_card"]), "license";
    /// Notes about the document, at most 2000 characters.
    Notes(String) = forms::NOTES, "Sent by e-mail";
    /// The file in base64.
    Data(()) = Base64, "JVBERi0xLjQKJSVFT0YK";
}

/// Base64 that [`DocumentBodyReader`] has taken out of the body, leaving an empty string.
struct Base64;

impl Form for Base64 {
    type Value = ();

    fn parse(&self, json: &str) -> Result<(), Wrong> {
        if json.starts_with('"') { Ok(()) } else { Err(Wrong::Invalid("must be a string".to_owned())) }
    }

    fn schema(&self) -> Value {
        forms::DOCUMENT.schema()
    }
}

#[derive(Deserialize, ToSchema)]
struct NewDocumentBody {
    name: Name,
    extension: Option<Extension>,
    #[serde(rename = "type")]
    kind: Type,
    notes: Option<Notes>,
    #[serde(rename = "data")]
    _data: Data,
}

impl RequestBody for NewDocumentBody {
    /// The extension agrees with the data.
    fn rules() -> Vec<Value> {
        let rule = |extension: &str, data: &str| {
            json!({
                "if": { "required": ["extension"],
                    "properties": { "extension": { "type": "string", "pattern": extension } } },
                "then": { "properties": { "data": { "pattern": data } } },
            })
        };
        vec![
            rule(r"^\s*\.*[pP][dD][fF]\s*$", "^JVBERi[0-3]"),
            rule(r"^\s*\.*[jJ][pP][eE]?[gG]\s*$", "^/9j/"),
            rule(r"^\s*\.*[pP][nN][gG]\s*$", "^iVBORw0KGgo"),
        ]
    }
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
    let body = Body::<NewDocumentBody>::parse(&description)?.parsed()?;
    let document = NewDocument {
        name: body.name.into(),
        extension: body.extension.map(Into::into),
        kind: documents::kind(&String::from(body.kind))?,
        notes: body.notes.map(Into::into),
    };
    match data {
        Some(data) => Ok((document, data?)),
        None => Err(Refusal::required("data").into()),
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
