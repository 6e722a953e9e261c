//! Signed links that download one document, or accept one upload, for half an hour by the partner's clock.
//!
//! The parameters of a link are signed with a server key. The description of an upload is also encrypted.

use super::{KycRef, MAX_DOCUMENT_BYTES, NewDocument, Permit, Upload, content, find, lock_open, store};
use crate::{
    Actor, Error, Refusal, Result, Scope,
    access::links::{self, Creator, LINK_TTL, Link, signed},
    kernel::{
        actor::Caller,
        app::App,
        audit_log, clock,
        command::{self, Answer, Command, CommandContext, Identified},
        secrets::AssociatedData,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use entity::{
    Kind,
    kyc_document::{self, Format},
    partner::{self, Mode},
};
use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const TICKET: &str = "kyc_document.ticket";

/// Request for an upload link: description, format and exact size of the document.
#[derive(Clone, Serialize)]
pub struct UploadRequest {
    pub check: KycRef,
    pub document: NewDocument,
    pub format: Format,
    /// In bytes.
    pub size: i64,
}

/// Link to which a document is uploaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UploadLink {
    /// Path and query.
    pub path: String,
    pub format: Format,
    pub expires_at: DateTime<Utc>,
    document_id: Uuid,
}

/// Document with its content.
pub struct Opened {
    pub row: kyc_document::Model,
    pub data: Vec<u8>,
}

/// Encrypted content of an upload link.
#[derive(Serialize, Deserialize)]
struct Ticket {
    check: Uuid,
    document: NewDocument,
    format: Format,
    size: i64,
    maker: Creator,
}

fn link_not_found() -> Error {
    Refusal::not_found("link").into()
}

/// Returns the document id and the parameters of a genuine link, in the order of `names`.
fn read<const N: usize>(app: &App, link: Link<'_>, names: [&str; N]) -> Result<(Uuid, [String; N])> {
    let values = link.read(app, names).ok_or_else(link_not_found)?;
    let id = link.path.rsplit('/').next().and_then(|id| Uuid::try_parse(id).ok());
    Ok((id.ok_or_else(link_not_found)?, values))
}

/// Refuses an expired link.
fn require_unexpired(partner: &partner::Model, until: &str) -> Result<()> {
    if links::is_unexpired(partner, until) { Ok(()) } else { Err(link_not_found()) }
}

/// Creates a link for uploading a document of this identity check. Requires scope `manage`. The link accepts
/// exactly the requested document, once.
pub async fn prepare_upload(app: &App, actor: &Actor, upload: UploadRequest) -> Result<UploadLink> {
    let maker = Creator::of(actor)?;
    Ok(command::execute(app, actor, None, PrepareUpload { upload, maker }).await?.value)
}

#[derive(Serialize)]
pub struct PrepareUpload {
    upload: UploadRequest,
    maker: Creator,
}

impl Identified for UploadLink {
    fn id(&self) -> Uuid {
        self.document_id
    }
}

impl Command for PrepareUpload {
    const NAME: &'static str = "kyc.document_prepare_upload";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = UploadLink;

    fn check(&self, _: Mode) -> Result<()> {
        self.upload.document.check()?;
        match usize::try_from(self.upload.size) {
            Ok(1..=MAX_DOCUMENT_BYTES) => Ok(()),
            _ => Err(Refusal::invalid("byteSize", format!("must be from 1 to {MAX_DOCUMENT_BYTES}")).into()),
        }
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<UploadLink> {
        let UploadRequest { check, document, format, size } = self.upload.clone();
        let check = lock_open(ctx, &check).await?;
        let id = ctx.app.ids.next(Kind::KycDocument);
        let ticket = Ticket { check: check.id, document, format, size, maker: self.maker.clone() };
        let ticket = serde_json::to_vec(&ticket)
            .map_err(|_| Error::broken("an upload request cannot be serialized"))?;
        let sealed = ctx
            .app
            .vault
            .seal(AssociatedData { column: TICKET, row: id, partner: ctx.partner.id }, &ticket)?;
        let expires_at = ctx.now + LINK_TTL;
        let (partner, until, sealed) =
            (ctx.partner.id, expires_at.timestamp(), URL_SAFE_NO_PAD.encode(sealed));
        let path =
            signed(ctx.app, "PUT", &format!("/documents/{id}?for={partner}&until={until}&what={sealed}"));
        Ok(UploadLink { path, format, expires_at, document_id: id })
    }
}

/// Verified upload link.
pub struct VerifiedUpload {
    ticket: Ticket,
    id: Uuid,
    actor: Actor,
}

impl VerifiedUpload {
    /// Returns the creator of the link as caller.
    pub fn caller(&self) -> Result<Caller> {
        self.actor.self_or_caller(Scope::Manage)
    }
}

/// Verifies an upload link before the document is read. Refused if the signature is wrong, if the link has
/// expired or was used, or if its creator is no longer authenticated.
pub async fn verify_upload_link(app: &App, link: Link<'_>, request_id: Uuid) -> Result<VerifiedUpload> {
    let (id, [partner_id, until, sealed]) = read(app, link, ["for", "until", "what"])?;
    let partner_id = Uuid::try_parse(&partner_id).map_err(|_| link_not_found())?;
    let partner =
        partner::Entity::find_by_id(partner_id).one(&app.db.read).await?.ok_or_else(link_not_found)?;
    require_unexpired(&partner, &until)?;
    if find(&app.db.read, id).await?.is_some() {
        return Err(link_not_found());
    }
    app.vault.ready_for(&app.db, partner_id).await?;
    let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| link_not_found())?;
    let ticket = app.vault.open(AssociatedData { column: TICKET, row: id, partner: partner_id }, &sealed)?;
    let ticket: Ticket = serde_json::from_slice(ticket.reveal())
        .map_err(|_| Error::broken("an upload request cannot be read"))?;
    let actor = ticket.maker.clone().actor(app, &partner, Scope::Manage, request_id).await?;
    let actor = actor.ok_or_else(link_not_found)?;
    Ok(VerifiedUpload { ticket, id, actor })
}

/// Stores the document of a verified upload, under the same rules as any other. Refused if its format or size
/// is not as requested.
pub async fn store_upload(
    app: &App,
    verified: VerifiedUpload,
    permit: Permit,
    data: Vec<u8>,
) -> Result<Answer<kyc_document::Model>> {
    let VerifiedUpload { ticket: Ticket { check, document, format, size, .. }, id, actor } = verified;
    let upload = Upload::new(id, KycRef::Id(check), document, &data)?;
    if upload.format != format {
        return Err(Refusal::invalid("data", "must have the content type given for the upload").into());
    }
    if i64::try_from(data.len()) != Ok(size) {
        return Err(Refusal::invalid(
            "data",
            format!("must have {size} bytes, the size given for the upload"),
        )
        .into());
    }
    store(app, &actor, None, permit, upload, data).await
}

/// Returns a download link for a document of `partner`; none for callers who may not review.
pub fn link_to(
    app: &App,
    actor: &Actor,
    partner: &partner::Model,
    document: &kyc_document::Model,
) -> Option<String> {
    let key = actor.partner(Scope::Operate).ok().filter(|key| key.partner_id == document.partner_id)?;
    let until = (clock::now_of(partner) + LINK_TTL).timestamp();
    Some(signed(app, "GET", &format!("/documents/{}?by={}&until={until}", document.id, key.key_id)))
}

/// Verifies a download link and returns its document and actor. Refused if the signature is wrong, if the
/// link has expired, or if the key that created it is no longer valid.
pub async fn verify_download_link(
    app: &App,
    link: Link<'_>,
    request_id: Uuid,
) -> Result<(kyc_document::Model, Actor)> {
    let (id, [key_id, until]) = read(app, link, ["by", "until"])?;
    let key_id = Uuid::try_parse(&key_id).map_err(|_| link_not_found())?;
    let row = find(&app.db.read, id).await?.ok_or_else(link_not_found)?;
    let partner = clock::partner(&app.db.read, row.partner_id).await?;
    require_unexpired(&partner, &until)?;
    app.vault.ready_for(&app.db, row.partner_id).await?;
    let actor = Creator::Key(key_id).actor(app, &partner, Scope::Operate, request_id).await?;
    Ok((row, actor.ok_or_else(link_not_found)?))
}

/// Refuses callers who may not download documents. Requires scope `operate`.
pub fn may_open(actor: &Actor) -> Result<Caller> {
    actor.caller(Scope::Operate)
}

/// Returns a document with its content and writes the read to the audit log.
pub async fn open(app: &App, actor: &Actor, row: kyc_document::Model) -> Result<Opened> {
    let caller = may_open(actor)?;
    let data = content(app, &row).await?;
    audit_log::record_read(app, &caller, actor.request_id, "kyc.document_open", Some(row.id)).await?;
    Ok(Opened { row, data })
}
