//! Documents by which a person proves who she is: recognised by their bytes, encrypted each under a key of
//! its own, never decoded.

mod links;
mod permits;

pub use links::{
    Announced, Announcement, Link, Opened, Prepared, UploadLink, announce, found, link_to, may_open, open,
    prepared, send,
};
pub use permits::{Downloads, Permit, Permits, Uploads};

use super::{Named, facts_of, locked};
use crate::{
    Actor, Checks, Code, Error, Refusal, Result, Scope,
    kernel::{
        app::App,
        command::{self, Answer, Command, CommandContext},
        events::EventType,
        idempotency::Key,
        secrets::{self, AssociatedData, Secret},
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

/// The longest document, in bytes: 10 MiB, which holds whatever is at most 10 MB in either way of counting.
pub const MAX_DOCUMENT_BYTES: usize = 10 << 20;
/// By how many bytes a document grows when it is sealed.
pub const SEALING_BYTES: usize = secrets::SEALING_BYTES;
/// The most documents of one check.
pub const MAX_DOCUMENTS: u64 = 20;

const NAME: &str = "kyc_document.name";
const NOTES: &str = "kyc_document.notes";
const CONTENT_KEY: &str = "kyc_document.content_key";

/// The check, held, while it still takes documents.
async fn still_open(ctx: &CommandContext<'_>, named: &Named) -> Result<kyc::Model> {
    let check = locked(ctx, async || named.find(ctx.tx, ctx.access_scope).await, named.field()).await?;
    if check.outcome != Outcome::ManualReview {
        return Err(
            Refusal::new(Code::KycNotOpen, "", "The identity check does not ask for documents.").into()
        );
    }
    let sent =
        kyc_document::Entity::find().filter(kyc_document::Column::KycId.eq(check.id)).count(ctx.tx).await?;
    if sent >= MAX_DOCUMENTS {
        let text = format!("{MAX_DOCUMENTS} documents have been sent, and the identity check takes no more.");
        return Err(Refusal::new(Code::KycNotOpen, "", text).into());
    }
    Ok(check)
}

/// What is said of a document; its bytes come besides.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewDocument {
    /// What its sender calls it, at most 200 characters.
    pub name: String,
    /// `pdf`, `jpg`, `jpeg` or `png`; told by the bytes when left out.
    pub extension: Option<String>,
    pub kind: DocumentKind,
    /// At most 2000 characters.
    pub notes: Option<String>,
}

/// The kind of document called `text`, however it is spaced and whichever case it is in.
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

/// The usual extension of a format.
const fn extension(format: Format) -> &'static str {
    match format {
        Format::Pdf => "pdf",
        Format::Jpeg => "jpg",
        Format::Png => "png",
    }
}

/// What a format is called on the web.
pub const fn media_type(format: Format) -> &'static str {
    match format {
        Format::Pdf => "application/pdf",
        Format::Jpeg => "image/jpeg",
        Format::Png => "image/png",
    }
}

/// The format whose signature the bytes begin with.
fn recognised(data: &[u8]) -> Option<Format> {
    match data {
        [b'%', b'P', b'D', b'F', b'-', ..] => Some(Format::Pdf),
        [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Format::Png),
        _ => None,
    }
}

/// The refusal of a document that is too long.
pub fn too_long() -> Error {
    Refusal::invalid("data", format!("must have at most {MAX_DOCUMENT_BYTES} bytes")).into()
}

impl NewDocument {
    /// Refuses what the description alone decides; the extension's format, where it is said.
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
        let format = match self.written_extension().as_deref() {
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

    fn written_extension(&self) -> Option<String> {
        self.extension.as_ref().map(|extension| extension.trim().trim_start_matches('.').to_lowercase())
    }

    /// Refuses what description and bytes decide together; the format of the bytes.
    fn check_with(&self, data: &[u8]) -> Result<Format> {
        let said = self.check()?;
        if data.is_empty() {
            return Err(Refusal::required("data").into());
        }
        if data.len() > MAX_DOCUMENT_BYTES {
            return Err(too_long());
        }
        let format =
            recognised(data).ok_or_else(|| Refusal::invalid("data", "must be a PDF, a JPEG or a PNG"))?;
        match said {
            Some(said) if said != format => {
                Err(Refusal::invalid("extension", "is not that of the data").into())
            }
            _ => Ok(format),
        }
    }
}

/// Takes a permit for an upload before anything of the document is read. Refused are callers who may not
/// upload and identity checks that are not there, which therefore take none.
pub async fn admit(app: &App, actor: &Actor, check: &Named) -> Result<Permit> {
    let caller = actor.self_or_caller(Scope::Manage)?;
    // The queue bounds how many look up their identity check at once.
    let queued = app.feature::<Uploads>().0.queue(&caller)?;
    match check.find(&app.db.read, caller.access_scope).await? {
        Some(_) => queued.permit().await,
        None => Err(Refusal::not_found(check.field()).into()),
    }
}

/// Keeps a document of an identity check that waits for a review; scope `manage` (documented: documents are
/// sent when a check cannot be made automatically). PDF, JPEG or PNG by its bytes, at most 10 MiB, at most 20
/// for one check.
///
/// The file is written first and removed again when the document is refused; `permit` is given back when all
/// is done, even if nobody waits for the answer any more.
pub async fn upload(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    permit: Permit,
    check: Named,
    document: NewDocument,
    data: Vec<u8>,
) -> Result<Answer<kyc_document::Model>> {
    let upload = Upload::new(app.ids.next(Kind::KycDocument), check, document, &data)?;
    keep(app, actor, key, permit, upload, data).await
}

async fn keep(
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
        let by_key = key.is_some();
        let sealing = tokio::task::spawn_blocking(move || upload.seal(partner_id, data, by_key));
        let (upload, sealed) = sealing.await.map_err(|_| Error::broken("encrypting broke off"))??;
        let file = file_name(partner_id, upload.id);
        put(&app, &file, sealed).await?;
        drop(permit);
        let done = command::execute(&app, &actor, key, upload).await;
        match &done {
            Ok(answer) if !answer.replayed => {}
            // It may have been written down all the same.
            Err(Error::Database(_) | Error::DatabaseUnavailable(_) | Error::Broken(_)) => {}
            _ => remove(&app, &file).await,
        }
        done
    });
    work.await.map_err(|_| Error::broken("an upload broke off"))?
}

/// The names of the files of documents, in the order of their ids: at most `most` of those after this one,
/// with their ids.
pub async fn files(connection: &impl ConnectionTrait, after: Uuid, most: u64) -> Result<Vec<(Uuid, String)>> {
    let ids: Vec<(Uuid, Uuid)> = kyc_document::Entity::find()
        .select_only()
        .columns([kyc_document::Column::PartnerId, kyc_document::Column::Id])
        .filter(kyc_document::Column::Id.gt(after))
        .order_by_asc(kyc_document::Column::Id)
        .limit(most)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(ids.into_iter().map(|(partner_id, id)| (id, file_name(partner_id, id))).collect())
}

async fn put(app: &App, file: &str, sealed: Vec<u8>) -> Result<()> {
    app.feature::<Providers>().documents.put(file, sealed).await.map_err(|error| match error {
        // A link is used twice at the same moment.
        FileError::Taken => Refusal::not_found("link").into(),
        FileError::Failed(cause) => Error::broken(format!("a document could not be stored: {cause}")),
    })
}

async fn remove(app: &App, file: &str) {
    if let Err(FileError::Failed(cause)) = app.feature::<Providers>().documents.remove(file).await {
        tracing::warn!(cause, "a document that was refused is left, unreadable");
    }
}

/// A document whose file is written.
#[derive(Serialize)]
struct Upload {
    check: Named,
    document: NewDocument,
    /// Of the bytes, so that an idempotency key stands for them.
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
    fn new(id: Uuid, check: Named, document: NewDocument, data: &[u8]) -> Result<Self> {
        let format = document.check_with(data)?;
        Ok(Self { check, document, digest: None, id, format, size: data.len(), key: secrets::random_key()? })
    }

    /// The upload, and its bytes encrypted; also what they are, if a key is to stand for them.
    fn seal(self, partner_id: Uuid, data: Vec<u8>, by_key: bool) -> Result<(Self, Vec<u8>)> {
        let digest = by_key.then(|| Sha256::digest(&data).into());
        let sealed = secrets::encrypt_in_place(&self.key, &associated(partner_id, self.id), data)?;
        Ok((Self { digest, ..self }, sealed))
    }
}

/// What a file is bound to.
fn associated(partner_id: Uuid, id: Uuid) -> Vec<u8> {
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
        let check = still_open(ctx, &self.check).await?;
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
            extension: self.document.written_extension().unwrap_or_else(|| extension(self.format).to_owned()),
            notes: self.document.notes.as_ref().map(|notes| seal(NOTES, notes.as_bytes())).transpose()?,
            size: i32::try_from(self.size)
                .map_err(|_| Error::broken("a document is too long to be counted"))?,
            content_key: seal(CONTENT_KEY, self.key.reveal())?,
            uploaded_by: ctx.actor_id,
            uploaded_at: ctx.now,
        };
        let row = kyc_document::ActiveModel::from(row).reset_all().insert(ctx.tx).await?;
        let mut told = facts_of(&check);
        if let Some(told) = told.as_object_mut() {
            told.insert("document_id".to_owned(), row.id.to_string().into());
        }
        ctx.event().record(ctx.tx, EventType::KycDocumentUploaded, check.id, told).await?;
        Ok(row)
    }

    fn object(done: &kyc_document::Model) -> Uuid {
        done.id
    }
}

const fn place(row: &kyc_document::Model, column: &'static str) -> AssociatedData {
    AssociatedData { column, row: row.id, partner: row.partner_id }
}

/// What its sender calls it.
pub fn name(app: &App, row: &kyc_document::Model) -> Result<Secret<String>> {
    app.vault.open_text(place(row, NAME), &row.name)
}

/// What its sender noted.
pub fn notes(app: &App, row: &kyc_document::Model) -> Result<Option<Secret<String>>> {
    row.notes.as_deref().map(|sealed| app.vault.open_text(place(row, NOTES), sealed)).transpose()
}

/// The bytes as they were sent.
async fn content(app: &App, row: &kyc_document::Model) -> Result<Vec<u8>> {
    let key = app.vault.open(place(row, CONTENT_KEY), &row.content_key)?;
    let key: [u8; 32] =
        key.reveal().as_slice().try_into().map_err(|_| Error::broken("a document's key is none"))?;
    let key = Secret::new(key);
    let sealed = app.feature::<Providers>().documents.get(&file_name(row.partner_id, row.id)).await.map_err(
        |error| match error {
            FileError::Taken => Error::broken("a document could not be read"),
            FileError::Failed(cause) => Error::broken(format!("a document could not be read: {cause}")),
        },
    )?;
    let bound = associated(row.partner_id, row.id);
    let opening = tokio::task::spawn_blocking(move || secrets::decrypt_in_place(&key, &bound, sealed));
    let opened = opening.await.map_err(|_| Error::broken("decrypting broke off"))?;
    opened.ok_or_else(|| Error::broken(format!("the file of document {} was altered", row.id)))
}

/// The document with this id, of the partner.
async fn of_partner(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<kyc_document::Model>> {
    Ok(kyc_document::Entity::find_by_id(id).one(connection).await?)
}
