//! The GraphQL face of documents of identity checks.

use crate::{
    graphql::core::{
        context::RequestContext,
        errors::{KycUserError, payload},
        scalars::DateTime,
    },
    wire::{self, Result},
};
use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use domain::{
    Refusal, Who,
    compliance::kyc::{
        KycRef,
        documents::{self, Announced, NewDocument, UploadLink},
    },
    kernel::{command, ids},
};
use entity::{
    Kind,
    kyc_document::{self, Format},
    partner,
};

/// A document that was sent for an identity check.
pub struct KycDocument(pub kyc_document::Model);

/// A document that was sent for an identity check.
#[Object]
impl KycDocument {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// What the REST door calls the document by.
    async fn token(&self) -> &str {
        &self.0.token
    }

    /// What it is.
    #[graphql(name = "type")]
    async fn kind(&self) -> KycDocumentType {
        self.0.kind.into()
    }

    /// What its sender calls it.
    async fn name(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(documents::name(ctx.app(), &self.0)?.reveal().clone())
    }

    /// What its bytes are.
    async fn format(&self) -> KycDocumentFormat {
        self.0.format.into()
    }

    /// How long it is, in bytes.
    async fn size(&self) -> i32 {
        self.0.size
    }

    /// What its sender noted; null when nothing was, and for a person who did not send it herself.
    async fn notes(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        if let Who::User(user) = &ctx.actor().who
            && self.0.uploaded_by != Some(user.user_id)
        {
            return Ok(None);
        }
        Ok(documents::notes(ctx.app(), &self.0)?.map(|notes| notes.reveal().clone()))
    }

    /// When it was sent.
    async fn uploaded_at(&self) -> DateTime {
        self.0.uploaded_at.into()
    }

    /// Address to get it by GET without a credential, for 30 minutes; null without the scope `operate`; who
    /// opens it is written down.
    async fn url(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let partner = ctx.loaders().get::<partner::Entity>(self.0.partner_id).await?;
        Ok(documents::link_to(ctx.app(), ctx.actor(), &partner, &self.0).map(|path| ctx.address(&path)))
    }
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::kyc_document::DocumentKind")]
pub enum KycDocumentType {
    /// Social security card.
    SsnCard,
    /// Driver's license.
    License,
    /// Passport.
    Passport,
    /// Bill of a utility, with the address.
    Utility,
}

/// What a document's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::kyc_document::Format")]
pub enum KycDocumentFormat {
    /// PDF.
    Pdf,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
}

/// Input of kycDocumentUploadPrepare.
#[derive(InputObject)]
pub struct KycDocumentUploadPrepareInput {
    /// Identity check that waits for a review; either this or `token`.
    kyc_id: Option<ID>,
    /// What the REST door calls the check by.
    token: Option<String>,
    /// What the document shall be called, at most 200 characters.
    name: String,
    /// What it is.
    #[graphql(name = "type")]
    kind: KycDocumentType,
    /// `application/pdf`, `image/jpeg` or `image/png`, which its bytes must be.
    content_type: String,
    /// How long it is, in bytes, at most 10 MiB.
    byte_size: i32,
    /// Anything about it, at most 2000 characters.
    notes: Option<String>,
}

impl KycDocumentUploadPrepareInput {
    fn parse(self) -> domain::Result<Announced> {
        let check = match (self.kyc_id, self.token) {
            (Some(id), None) => KycRef::Id(ids::parse(Kind::Kyc, &id)),
            (None, Some(token)) => KycRef::Token(token),
            (None, None) => return Err(Refusal::required("kycId").into()),
            (Some(_), Some(_)) => {
                return Err(Refusal::invalid("token", "cannot be combined with kycId").into());
            }
        };
        let formats = [Format::Pdf, Format::Jpeg, Format::Png];
        let content_type = self.content_type.trim().to_lowercase();
        let format = formats.into_iter().find(|format| documents::media_type(*format) == content_type);
        let format = format.ok_or_else(|| {
            Refusal::invalid("contentType", "must be application/pdf, image/jpeg or image/png")
        })?;
        let notes = self.notes.filter(|notes| !notes.trim().is_empty());
        let document = NewDocument { name: self.name, extension: None, kind: self.kind.into(), notes };
        Ok(Announced { check, document, format, size: self.byte_size.into() })
    }
}

/// Where a prepared document is put, once.
#[derive(Clone, SimpleObject)]
pub struct KycDocumentUploadTarget {
    /// Address to put the bytes to, as they are; it needs no credential.
    url: String,
    /// HTTP method of that request.
    method: UploadMethod,
    /// Headers of that request.
    headers: Vec<UploadHeader>,
    /// When the address ends, by the partner's clock.
    expires_at: DateTime,
}

/// How bytes are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum UploadMethod {
    /// As the body of a PUT.
    Put,
}

/// A header to send with an upload.
#[derive(Clone, SimpleObject)]
pub struct UploadHeader {
    /// Name.
    name: String,
    /// Value.
    value: String,
}

impl KycDocumentUploadTarget {
    fn of(ctx: &Context<'_>, link: UploadLink) -> Self {
        let header = UploadHeader {
            name: "content-type".to_owned(),
            value: documents::media_type(link.format).to_owned(),
        };
        Self {
            url: ctx.address(&link.path),
            method: UploadMethod::Put,
            headers: vec![header],
            expires_at: link.expires_at.into(),
        }
    }
}

payload!(
    /// Outcome of kycDocumentUploadPrepare.
    KycDocumentUploadPreparePayload {
        /// Where to put the document, null when refused.
        target: KycDocumentUploadTarget,
        KycUserError
    }
);

#[derive(Default)]
pub struct KycDocumentMutation;

#[Object]
impl KycDocumentMutation {
    /// Get an address to put one document to, exactly as announced, within 30 minutes; scope `manage`.
    async fn kyc_document_upload_prepare(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for kycDocumentUploadPrepare.")] input: KycDocumentUploadPrepareInput,
    ) -> Result<Option<KycDocumentUploadPreparePayload>> {
        let announced = match input.parse() {
            Ok(announced) => documents::announce(ctx.app(), ctx.actor(), announced).await,
            Err(error) => Err(command::unreadable::<documents::AnnounceDocument>(ctx.actor(), error)),
        };
        Ok(Some(wire::outcome(announced.map(|link| KycDocumentUploadTarget::of(ctx, link)))?.into()))
    }
}
