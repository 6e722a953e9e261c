//! Addresses that open one document, or take one, by their signature alone, for half an hour of the partner's
//! time.
//!
//! What a link says of itself is signed with a key of the house's; what a prepared upload says of a person is
//! sealed besides.

use super::{MAX_DOCUMENT_BYTES, Named, NewDocument, Permit, Upload, content, keep, of_partner, still_open};
use crate::{
    Actor, Error, Refusal, Result, Scope, Who,
    access::keys,
    kernel::{
        actor::{Caller, PartnerKey, SignedInUser},
        app::App,
        audit_log, clock,
        command::{self, Answer, Command, CommandContext},
        secrets::AssociatedData,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use entity::{
    Kind,
    kyc_document::{self, Format},
    partner::{self, Mode},
};
use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// How long a link is good, by the partner's clock.
const GOOD_FOR: Duration = Duration::minutes(30);

const TICKET: &str = "kyc_document.ticket";

/// A document that shall be uploaded by a link: what it will be to the byte.
#[derive(Clone, Serialize)]
pub struct Announced {
    pub check: Named,
    pub document: NewDocument,
    pub format: Format,
    /// In bytes.
    pub size: i64,
}

/// Where an announced document is put.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UploadLink {
    /// Path and query.
    pub path: String,
    pub format: Format,
    pub expires_at: DateTime<Utc>,
    document_id: Uuid,
}

/// An address as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
}

/// A document and its bytes.
pub struct Opened {
    pub row: kyc_document::Model,
    pub data: Vec<u8>,
}

/// Whoever had a link made, in whose name it is used while she may still come in.
#[derive(Clone, Serialize, Deserialize)]
enum Maker {
    Key(Uuid),
    Person { user_id: Uuid, session_id: Uuid, version: i64 },
}

impl Maker {
    fn of(actor: &Actor) -> Result<Self> {
        match &actor.who {
            Who::Partner(key) => Ok(Self::Key(key.key_id)),
            Who::User(user) => {
                Ok(Self::Person { user_id: user.user_id, session_id: user.session_id, version: user.version })
            }
            Who::Anonymous => Err(Error::Unauthenticated),
        }
    }

    /// The maker as one who does again what the link was made for.
    async fn actor(
        self,
        app: &App,
        partner: &partner::Model,
        scope: Scope,
        request_id: Uuid,
    ) -> Result<Actor> {
        let (partner_id, mode) = (partner.id, partner.mode);
        let who = match self {
            Self::Key(key_id) => Who::Partner(PartnerKey { partner_id, key_id, mode, scopes: vec![scope] }),
            // The link ends by itself, so it is the session alone that counts.
            Self::Person { user_id, session_id, version } => Who::User(SignedInUser {
                partner_id,
                user_id,
                session_id,
                mode,
                two_factor: true,
                version,
                expires_at: i64::MAX,
            }),
        };
        let actor = Actor { who, request_id, address: None };
        if keys::still_valid(app, &actor).await? { Ok(actor) } else { Err(nothing()) }
    }
}

/// What a prepared upload is.
#[derive(Serialize, Deserialize)]
struct Ticket {
    check: Uuid,
    document: NewDocument,
    format: Format,
    size: i64,
    maker: Maker,
}

fn nothing() -> Error {
    Refusal::not_found("link").into()
}

fn signature(app: &App, method: &str, address: &str) -> String {
    URL_SAFE_NO_PAD.encode(app.vault.link_signature(&format!("{method} {address}")))
}

fn signed(app: &App, method: &str, address: &str) -> String {
    format!("{address}&signature={}", signature(app, method, address))
}

impl Link<'_> {
    /// The values of a link that we have signed, in the order of `names`, and the document's id.
    fn read<const N: usize>(&self, app: &App, names: [&str; N]) -> Result<(Uuid, [String; N])> {
        let (said, given) = self.query.rsplit_once("&signature=").ok_or_else(nothing)?;
        let ours = signature(app, self.method, &format!("{}?{said}", self.path));
        if !bool::from(ours.as_bytes().ct_eq(given.as_bytes())) {
            return Err(nothing());
        }
        let id = self.path.rsplit('/').next().and_then(|id| Uuid::try_parse(id).ok()).ok_or_else(nothing)?;
        let mut values = said.split('&');
        let read = names.map(|name| {
            let value = values.next().and_then(|value| value.strip_prefix(name)?.strip_prefix('='));
            value.map(str::to_owned).unwrap_or_default()
        });
        Ok((id, read))
    }
}

/// Refuses a link whose time is over.
fn require_good(partner: &partner::Model, until: &str) -> Result<()> {
    let good = until.parse().is_ok_and(|until: i64| clock::now_of(partner).timestamp() < until);
    if good { Ok(()) } else { Err(nothing()) }
}

/// Makes the address to which a document of this identity check is put; scope `manage`. It takes exactly what
/// was announced, once.
pub async fn announce(app: &App, actor: &Actor, announced: Announced) -> Result<UploadLink> {
    let maker = Maker::of(actor)?;
    Ok(command::execute(app, actor, None, Announcement { announced, maker }).await?.value)
}

#[derive(Serialize)]
pub struct Announcement {
    announced: Announced,
    maker: Maker,
}

impl Command for Announcement {
    const NAME: &'static str = "kyc.document_announce";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = UploadLink;

    fn check(&self, _: Mode) -> Result<()> {
        self.announced.document.check()?;
        match usize::try_from(self.announced.size) {
            Ok(1..=MAX_DOCUMENT_BYTES) => Ok(()),
            _ => Err(Refusal::invalid("byteSize", format!("must be from 1 to {MAX_DOCUMENT_BYTES}")).into()),
        }
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<UploadLink> {
        let Announced { check, document, format, size } = self.announced.clone();
        let check = still_open(ctx, &check).await?;
        let id = ctx.app.ids.next(Kind::KycDocument);
        let ticket = Ticket { check: check.id, document, format, size, maker: self.maker.clone() };
        let ticket = serde_json::to_vec(&ticket)
            .map_err(|_| Error::broken("an announced document cannot be written"))?;
        let sealed = ctx
            .app
            .vault
            .seal(AssociatedData { column: TICKET, row: id, partner: ctx.partner.id }, &ticket)?;
        let expires_at = ctx.now + GOOD_FOR;
        let (partner, until, sealed) =
            (ctx.partner.id, expires_at.timestamp(), URL_SAFE_NO_PAD.encode(sealed));
        let path =
            signed(ctx.app, "PUT", &format!("/documents/{id}?for={partner}&until={until}&what={sealed}"));
        Ok(UploadLink { path, format, expires_at, document_id: id })
    }

    fn object(done: &UploadLink) -> Uuid {
        done.document_id
    }
}

/// A prepared upload that may begin.
pub struct Prepared {
    ticket: Ticket,
    id: Uuid,
    actor: Actor,
}

impl Prepared {
    /// Who had the link made.
    pub fn caller(&self) -> Result<Caller> {
        self.actor.self_or_caller(Scope::Manage)
    }
}

/// What a link for an upload promises, before anything of the document is read; refused when it is not ours,
/// when its time is over, when it has been used, or when whoever had it made may come in no longer.
pub async fn prepared(app: &App, link: Link<'_>, request_id: Uuid) -> Result<Prepared> {
    let (id, [partner_id, until, sealed]) = link.read(app, ["for", "until", "what"])?;
    let partner_id = Uuid::try_parse(&partner_id).map_err(|_| nothing())?;
    let partner = partner::Entity::find_by_id(partner_id).one(&app.db.read).await?.ok_or_else(nothing)?;
    require_good(&partner, &until)?;
    if of_partner(&app.db.read, id).await?.is_some() {
        return Err(nothing());
    }
    app.vault.ready_for(&app.db, partner_id).await?;
    let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| nothing())?;
    let ticket = app.vault.open(AssociatedData { column: TICKET, row: id, partner: partner_id }, &sealed)?;
    let ticket: Ticket = serde_json::from_slice(ticket.reveal())
        .map_err(|_| Error::broken("an announced document cannot be read"))?;
    let actor = ticket.maker.clone().actor(app, &partner, Scope::Manage, request_id).await?;
    Ok(Prepared { ticket, id, actor })
}

/// Keeps an announced document, under the rules of any other; refused when it is not what was announced.
pub async fn send(
    app: &App,
    prepared: Prepared,
    permit: Permit,
    data: Vec<u8>,
) -> Result<Answer<kyc_document::Model>> {
    let Prepared { ticket: Ticket { check, document, format, size, .. }, id, actor } = prepared;
    let upload = Upload::new(id, Named::Id(check), document, &data)?;
    if upload.format != format {
        return Err(Refusal::invalid("data", "is not of the announced content type").into());
    }
    if i64::try_from(data.len()) != Ok(size) {
        return Err(Refusal::invalid("data", format!("must have {size} bytes, as announced")).into());
    }
    keep(app, &actor, None, permit, upload, data).await
}

/// The address that opens a document; none for who may not review. `partner` is whose document it is.
pub fn link_to(
    app: &App,
    actor: &Actor,
    partner: &partner::Model,
    document: &kyc_document::Model,
) -> Option<String> {
    let key = actor.partner(Scope::Operate).ok().filter(|key| key.partner_id == document.partner_id)?;
    let until = (clock::now_of(partner) + GOOD_FOR).timestamp();
    Some(signed(app, "GET", &format!("/documents/{}?by={}&until={until}", document.id, key.key_id)))
}

/// What a link opens, before any of it is read; refused when the link is not ours, when its time is over, or
/// when its key opens nothing any more.
pub async fn found(app: &App, link: Link<'_>, request_id: Uuid) -> Result<(kyc_document::Model, Actor)> {
    let (id, [key_id, until]) = link.read(app, ["by", "until"])?;
    let key_id = Uuid::try_parse(&key_id).map_err(|_| nothing())?;
    let row = of_partner(&app.db.read, id).await?.ok_or_else(nothing)?;
    let partner = clock::partner(&app.db.read, row.partner_id).await?;
    require_good(&partner, &until)?;
    app.vault.ready_for(&app.db, row.partner_id).await?;
    let actor = Maker::Key(key_id).actor(app, &partner, Scope::Operate, request_id).await?;
    Ok((row, actor))
}

/// Refuses a caller who must not open documents.
pub fn may_open(actor: &Actor) -> Result<Caller> {
    actor.caller(Scope::Operate)
}

/// A document with its bytes. Who opened it is written down.
pub async fn open(app: &App, actor: &Actor, row: kyc_document::Model) -> Result<Opened> {
    let caller = may_open(actor)?;
    let data = content(app, &row).await?;
    audit_log::record_read(app, &caller, actor.request_id, "kyc.document_open", Some(row.id)).await?;
    Ok(Opened { row, data })
}
