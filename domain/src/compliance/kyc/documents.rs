//! Identity documents: recognized by their first bytes, each encrypted with its own key, never decoded.

mod links;
mod permits;

pub use links::{
    Opened, PrepareUpload, UploadLink, UploadRequest, VerifiedUpload, link_to, may_open, open,
    prepare_upload, store_upload, verify_download_link, verify_upload_link,
};
pub use permits::{Downloads, Permit, Permits, Uploads};

use super::{KycRef, locked};
use crate::{
    Actor, Checks, Code, Error, Refusal, Result, Scope, Visible,
    kernel::{
        app::App,
        command::{self, Answer, Command, CommandContext},
        events::Event,
        idempotency::Key,
        secrets::{self, AssociatedData, Secret},
        visible::Owner,
    },
    providers::{Providers, files::FileError},
};
use entity::{
    Kind,
    kyc::{self, Outcome},
    kyc_document::{self, DocumentKind, Format, file_name},
    partner::Mode,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Largest document, in bytes: 10 MiB, so that 10 MB fits in either definition.
pub const MAX_DOCUMENT_BYTES: usize = 10 << 20;
/// Bytes that encryption adds to a document.
pub const SEALING_BYTES: usize = secrets::SEALING_BYTES;
/// Most documents of one check.
pub const MAX_DOCUMENTS: u64 = 20;

const NAME: &str = "kyc_document.name";
const NOTES: &str = "kyc_document.notes";
const CONTENT_KEY: &str = "kyc_document.content_key";

/// Documents are visible to those who see their identity check.
impl Visible for kyc_document::Entity {
    const ID: kyc_document::Column = kyc_document::Column::Id;
    const OWNER: Owner<kyc_document::Column> =
        Owner::of::<kyc::Entity>(kyc_document::Column::PartnerId, kyc_document::Column::KycId);
}

/// Locks the check. Refused if it accepts no more documents.
async fn lock_open(ctx: &CommandContext<'_>, reference: &KycRef) -> Result<kyc::Model> {
    let check =
        locked(ctx, async || reference.find(ctx.tx, ctx.access_scope).await, reference.field()).await?;
    if check.outcome != Outcome::ManualReview {
        return Err(
            Refusal::new(Code::KycNotOpen, "", "This identity check is not waiting for documents.").into()
        );
    }
    let sent =
        kyc_document::Entity::find().filter(kyc_document::Column::KycId.eq(check.id)).count(ctx.tx).await?;
    if sent >= MAX_DOCUMENTS {
        let text = format!("This identity check already has the maximum of {MAX_DOCUMENTS} documents.");
        return Err(Refusal::new(Code::KycNotOpen, "", text).into());
    }
    Ok(check)
}

/// Description of a document, without its content.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewDocument {
    /// At most 200 characters.
    pub name: String,
    /// `pdf`, `jpg`, `jpeg` or `png`; derived from the content if absent.
    pub extension: Option<String>,
    pub kind: DocumentKind,
    /// At most 2000 characters.
    pub notes: Option<String>,
}

/// Parses a document type, ignoring case, blanks, underscores and dashes.
pub fn kind(text: &str) -> Result<DocumentKind> {
    let letters: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-')).collect();
    match letters.to_lowercase().as_str() {
        "ssncard" => Ok(DocumentKind::SsnCard),
        "license" => Ok(DocumentKind::License),
        "passport" => Ok(DocumentKind::Passport),
        "utility" => Ok(DocumentKind::Utility),
        _ => Err(Refusal::invalid("type", "must be ssn card, license, passport or utility").into()),
    }
}

/// Returns the usual file extension of a format.
const fn extension(format: Format) -> &'static str {
    match format {
        Format::Pdf => "pdf",
        Format::Jpeg => "jpg",
        Format::Png => "png",
    }
}

/// Returns the media type of a format.
pub const fn media_type(format: Format) -> &'static str {
    match format {
        Format::Pdf => "application/pdf",
        Format::Jpeg => "image/jpeg",
        Format::Png => "image/png",
    }
}

/// Recognizes the format by the signature at the start of the content.
fn recognize(data: &[u8]) -> Option<Format> {
    match data {
        [b'%', b'P', b'D', b'F', b'-', ..] => Some(Format::Pdf),
        [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Format::Png),
        _ => None,
    }
}

/// Refusal of a document that is too large.
pub fn too_long() -> Error {
    Refusal::invalid("data", format!("must have at most {MAX_DOCUMENT_BYTES} bytes")).into()
}

impl NewDocument {
    /// Checks the description. Returns the format of the extension, if there is one.
    fn check(&self) -> Result<Option<Format>> {
        let mut checks = Checks::default();
        let mut refused = |refusal: Refusal| checks.note::<()>(Err(refusal.into()));
        if self.name.trim().is_empty() {
            refused(Refusal::required("name"));
        } else if self.name.chars().count() > 200 || self.name.chars().any(char::is_control) {
            refused(Refusal::invalid("name", "must have at most 200 printable characters"));
        }
        if self.notes.as_ref().is_some_and(|notes| notes.chars().count() > 2000) {
            refused(Refusal::invalid("notes", "must have at most 2000 characters"));
        }
        let format = match self.normalized_extension().as_deref() {
            None => None,
            Some("pdf") => Some(Format::Pdf),
            Some("jpg" | "jpeg") => Some(Format::Jpeg),
            Some("png") => Some(Format::Png),
            Some(_) => {
                refused(Refusal::invalid("extension", "must be pdf, jpg, jpeg or png"));
                None
            }
        };
        checks.done()?;
        Ok(format)
    }

    fn normalized_extension(&self) -> Option<String> {
        self.extension.as_ref().map(|extension| extension.trim().trim_start_matches('.').to_lowercase())
    }

    /// Checks the description together with the content. Returns the format of the content.
    fn check_with(&self, data: &[u8]) -> Result<Format> {
        let declared = self.check()?;
        if data.is_empty() {
            return Err(Refusal::required("data").into());
        }
        if data.len() > MAX_DOCUMENT_BYTES {
            return Err(too_long());
        }
        let format =
            recognize(data).ok_or_else(|| Refusal::invalid("data", "must be a PDF, a JPEG or a PNG"))?;
        match declared {
            Some(declared) if declared != format => {
                Err(Refusal::invalid("extension", "must match the format of the data").into())
            }
            _ => Ok(format),
        }
    }
}

/// Acquires a permit for an upload before the document is read. Refused if the caller may not upload or the
/// identity check was not found.
pub async fn admit(app: &App, actor: &Actor, check: &KycRef) -> Result<Permit> {
    let caller = actor.self_or_caller(Scope::Manage)?;
    // The queue limits how many requests look up their identity check at once.
    let queued = app.feature::<Uploads>().0.queue(&caller)?;
    match check.find(&app.db.read, caller.access_scope).await? {
        Some(_) => queued.permit().await,
        None => Err(Refusal::not_found(check.field()).into()),
    }
}

/// Stores a document of an identity check that is waiting for a review (documented: documents are sent when a
/// check cannot be completed automatically). Requires scope `manage`.
///
/// PDF, JPEG or PNG by content, at most 10 MiB, at most 20 for each check. The file is written first and
/// removed if the document is refused. `permit` is held until the file is written, even if the caller
/// disconnects.
pub async fn upload(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    permit: Permit,
    check: KycRef,
    document: NewDocument,
    data: Vec<u8>,
) -> Result<Answer<kyc_document::Model>> {
    let upload = Upload::new(app.ids.next(Kind::KycDocument), check, document, &data)?;
    store(app, actor, key, permit, upload, data).await
}

async fn store(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    permit: Permit,
    upload: Upload,
    data: Vec<u8>,
) -> Result<Answer<kyc_document::Model>> {
    let partner_id = actor.self_or_caller(Scope::Manage)?.access_scope.partner_id;
    let (app, actor) = (app.clone(), actor.clone());
    let work = tokio::spawn(async move {
        let with_key = key.is_some();
        let sealing = tokio::task::spawn_blocking(move || upload.seal(partner_id, data, with_key));
        let (upload, sealed) = sealing.await.map_err(|_| Error::broken("encryption was aborted"))??;
        let file = file_name(partner_id, upload.id);
        put(&app, &file, sealed).await?;
        drop(permit);
        let done = command::execute(&app, &actor, key, upload).await;
        match &done {
            Ok(answer) if !answer.replayed => {}
            // The row may have been committed nevertheless.
            Err(Error::Database(_) | Error::DatabaseUnavailable(_) | Error::Broken(_)) => {}
            _ => remove(&app, &file).await,
        }
        done
    });
    work.await.map_err(|_| Error::broken("an upload was aborted"))?
}

/// Returns the ids and file names of up to `limit` documents after an id, in the order of their ids.
pub async fn files(
    connection: &impl ConnectionTrait,
    after: Uuid,
    limit: u64,
) -> Result<Vec<(Uuid, String)>> {
    let ids: Vec<(Uuid, Uuid)> = kyc_document::Entity::find()
        .select_only()
        .columns([kyc_document::Column::PartnerId, kyc_document::Column::Id])
        .filter(kyc_document::Column::Id.gt(after))
        .order_by_asc(kyc_document::Column::Id)
        .limit(limit)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(ids.into_iter().map(|(partner_id, id)| (id, file_name(partner_id, id))).collect())
}

async fn put(app: &App, file: &str, sealed: Vec<u8>) -> Result<()> {
    app.feature::<Providers>().documents.put(file, sealed).await.map_err(|error| match error {
        // The same link is being used concurrently.
        FileError::Taken => Refusal::not_found("link").into(),
        FileError::Failed(cause) => Error::broken(format!("a document could not be stored: {cause}")),
    })
}

async fn remove(app: &App, file: &str) {
    if let Err(FileError::Failed(cause)) = app.feature::<Providers>().documents.remove(file).await {
        tracing::warn!(cause, "the file of a refused document could not be removed; it is unreadable");
    }
}

/// Upload command of a document with its file already written.
#[derive(Serialize)]
struct Upload {
    check: KycRef,
    document: NewDocument,
    /// Digest of the content, so that an idempotency key covers it.
    digest: Option<[u8; 32]>,
    #[serde(skip)]
    id: Uuid,
    #[serde(skip)]
    format: Format,
    #[serde(skip)]
    size: usize,
    #[serde(skip)]
    key: secrets::Key,
}

impl Upload {
    fn new(id: Uuid, check: KycRef, document: NewDocument, data: &[u8]) -> Result<Self> {
        let format = document.check_with(data)?;
        Ok(Self { check, document, digest: None, id, format, size: data.len(), key: secrets::random_key()? })
    }

    /// Encrypts the content. Also computes its digest if there is an idempotency key.
    fn seal(self, partner_id: Uuid, data: Vec<u8>, with_key: bool) -> Result<(Self, Vec<u8>)> {
        let digest = with_key.then(|| Sha256::digest(&data).into());
        let sealed = secrets::encrypt_in_place(&self.key, &file_associated_data(partner_id, self.id), data)?;
        Ok((Self { digest, ..self }, sealed))
    }
}

/// Returns the file_associated_data data of an encrypted file.
fn file_associated_data(partner_id: Uuid, id: Uuid) -> Vec<u8> {
    [b"document|", &id.as_bytes()[..], b"|", partner_id.as_bytes()].concat()
}

impl Command for Upload {
    const NAME: &'static str = "kyc.document_upload";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = kyc_document::Model;

    fn check(&self, _: Mode) -> Result<()> {
        self.document.check().map(|_| ())
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<kyc_document::Model> {
        let check = lock_open(ctx, &self.check).await?;
        if kyc_document::Entity::find_by_id(self.id).one(ctx.tx).await?.is_some() {
            return Err(Refusal::not_found("link").into());
        }
        let seal = |column, value: &[u8]| {
            ctx.app.vault.seal(AssociatedData { column, row: self.id, partner: ctx.partner.id }, value)
        };
        let row = kyc_document::Model {
            id: self.id,
            partner_id: ctx.partner.id,
            kyc_id: check.id,
            token: format!("D-{}", secrets::random_base62(20)?),
            kind: self.document.kind,
            format: self.format,
            name: seal(NAME, self.document.name.trim().as_bytes())?,
            extension: self
                .document
                .normalized_extension()
                .unwrap_or_else(|| extension(self.format).to_owned()),
            notes: self.document.notes.as_ref().map(|notes| seal(NOTES, notes.as_bytes())).transpose()?,
            size: i32::try_from(self.size).map_err(|_| Error::broken("a document is too large"))?,
            content_key: seal(CONTENT_KEY, self.key.reveal())?,
            uploaded_by: ctx.actor_id,
            uploaded_at: ctx.now,
        };
        let row = kyc_document::ActiveModel::from(row).reset_all().insert(ctx.tx).await?;
        ctx.record(Event::KycDocumentUploaded { check: (&check).into(), document_id: row.id }).await?;
        Ok(row)
    }
}

const fn associated_data(row: &kyc_document::Model, column: &'static str) -> AssociatedData {
    AssociatedData { column, row: row.id, partner: row.partner_id }
}

/// Returns the name of a document.
pub fn name(app: &App, row: &kyc_document::Model) -> Result<Secret<String>> {
    app.vault.open_text(associated_data(row, NAME), &row.name)
}

/// Returns the notes of a document.
pub fn notes(app: &App, row: &kyc_document::Model) -> Result<Option<Secret<String>>> {
    row.notes.as_deref().map(|sealed| app.vault.open_text(associated_data(row, NOTES), sealed)).transpose()
}

/// Reads and decrypts the content of a document.
async fn content(app: &App, row: &kyc_document::Model) -> Result<Vec<u8>> {
    let key = app.vault.open(associated_data(row, CONTENT_KEY), &row.content_key)?;
    let key: [u8; 32] =
        key.reveal().as_slice().try_into().map_err(|_| Error::broken("the key of a document is invalid"))?;
    let key = Secret::new(key);
    let sealed = app.feature::<Providers>().documents.get(&file_name(row.partner_id, row.id)).await.map_err(
        |error| match error {
            FileError::Taken => Error::broken("a document could not be read"),
            FileError::Failed(cause) => Error::broken(format!("a document could not be read: {cause}")),
        },
    )?;
    let bound = file_associated_data(row.partner_id, row.id);
    let opening = tokio::task::spawn_blocking(move || secrets::decrypt_in_place(&key, &bound, sealed));
    let opened = opening.await.map_err(|_| Error::broken("decryption was aborted"))?;
    opened.ok_or_else(|| Error::broken(format!("the file of document {} has been altered", row.id)))
}

/// Returns the document with this id.
async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<kyc_document::Model>> {
    Ok(kyc_document::Entity::find_by_id(id).one(connection).await?)
}
