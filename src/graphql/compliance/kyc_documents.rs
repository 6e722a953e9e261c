//! GraphQL types and operations for documents of identity checks.

use crate::{
    graphql::{
        core::{
            breadth::{Lookup, found, lookup},
            context::{RequestContext, Viewpoint},
            loaders::ById,
            mutations::payload,
            scalars::DateTime,
        },
        sandbox::Partner,
    },
    wire::{self, Result},
};
use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use domain::{
    Refusal, Scope, Who,
    compliance::kyc::{
        KycRef,
        documents::{self, NewDocument, UploadLink, UploadRequest},
    },
    kernel::{command, ids},
};
use entity::{
    Kind,
    kyc_document::{self, Format},
};
use macros::{Fields, Leaf, breadth};

/// Document uploaded for an identity check.
#[derive(Clone)]
pub struct KycDocument(pub kyc_document::Model);

/// Document uploaded for an identity check.
#[breadth]
impl KycDocument {
    /// Opaque identifier.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Token that identifies this document in the REST API.
    fn token(&self) -> &str {
        &self.0.token
    }

    /// Document type.
    #[graphql(name = "type")]
    fn kind(&self) -> KycDocumentType {
        self.0.kind.into()
    }

    /// Name that the uploader gave the document.
    fn name(&self, view: &Viewpoint) -> Result<String> {
        Ok(documents::name(view.app(), &self.0)?.reveal().clone())
    }

    /// File format.
    fn format(&self) -> KycDocumentFormat {
        self.0.format.into()
    }

    /// File size in bytes.
    fn size(&self) -> i32 {
        self.0.size
    }

    /// Notes from the uploader. Null if there are none, and for a user who did not upload the document
    /// themselves.
    fn notes(&self, view: &Viewpoint) -> Result<Option<String>> {
        if let Who::User(user) = &view.actor().who
            && self.0.uploaded_by != Some(user.user_id)
        {
            return Ok(None);
        }
        Ok(documents::notes(view.app(), &self.0)?.map(|notes| notes.reveal().clone()))
    }

    /// Time of the upload.
    fn uploaded_at(&self) -> DateTime {
        self.0.uploaded_at.into()
    }

    /// Download URL for GET, valid for 30 minutes without credentials. Each download is written to the audit
    /// log. Null without scope `operate`.
    fn url(&self, view: &Viewpoint) -> Lookup<ById<Partner>, Option<String>> {
        let may_see = view.actor().partner(Scope::Operate).is_ok();
        let (document, partner_id) = (self.0.clone(), self.0.partner_id);
        lookup(may_see.then(|| ById::of(partner_id)), move |view, partner| {
            if !may_see {
                return Ok(None);
            }
            let link = documents::link_to(view.app(), view.actor(), &found(partner)?, &document);
            Ok(link.map(|path| view.address(&path)))
        })
    }
}

/// Type of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::kyc_document::DocumentKind")]
pub enum KycDocumentType {
    /// Social security card.
    SsnCard,
    /// Driver's license.
    License,
    /// Passport.
    Passport,
    /// Utility bill that shows the address.
    Utility,
}

/// File format of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::kyc_document::Format")]
pub enum KycDocumentFormat {
    /// PDF.
    Pdf,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
}

/// Input for kycDocumentUploadPrepare.
#[derive(InputObject)]
pub struct KycDocumentUploadPrepareInput {
    /// Id of an identity check that is waiting for a review. Give either this or `token`.
    kyc_id: Option<ID>,
    /// Token of the identity check in the REST API. Give either this or `kycId`.
    token: Option<String>,
    /// Document name, at most 200 characters.
    name: String,
    /// Document type.
    #[graphql(name = "type")]
    kind: KycDocumentType,
    /// MIME type of the file: `application/pdf`, `image/jpeg` or `image/png`.
    content_type: String,
    /// Exact file size in bytes, at most 10 MiB.
    byte_size: i32,
    /// Notes about the document, at most 2000 characters.
    notes: Option<String>,
}

impl KycDocumentUploadPrepareInput {
    fn parse(self) -> domain::Result<UploadRequest> {
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
        Ok(UploadRequest { check, document, format, size: self.byte_size.into() })
    }
}

/// Upload request for one document; it can be used once.
#[derive(Clone, Fields, SimpleObject)]
pub struct KycDocumentUploadTarget {
    /// URL to send the file to; requires no credentials.
    url: String,
    /// HTTP method of the upload request.
    method: UploadMethod,
    /// HTTP headers of the upload request.
    headers: Vec<UploadHeader>,
    /// Time when the URL expires, by the partner's clock.
    expires_at: DateTime,
}

/// HTTP method of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
pub enum UploadMethod {
    /// PUT with the file as the request body.
    Put,
}

/// HTTP header of an upload.
#[derive(Clone, Fields, SimpleObject)]
pub struct UploadHeader {
    /// Header name.
    name: String,
    /// Header value.
    value: String,
}

impl KycDocumentUploadTarget {
    fn of(ctx: &Context<'_>, link: UploadLink) -> Self {
        let header = UploadHeader {
            name: "content-type".to_owned(),
            value: documents::media_type(link.format).to_owned(),
        };
        Self {
            url: ctx.viewpoint().address(&link.path),
            method: UploadMethod::Put,
            headers: vec![header],
            expires_at: link.expires_at.into(),
        }
    }
}

payload!(
    /// Result of kycDocumentUploadPrepare.
    KycDocumentUploadPreparePayload {
        /// Upload request for the document. Null if the request was refused.
        target: KycDocumentUploadTarget
    }
);

#[derive(Default)]
pub struct KycDocumentMutation;

#[Object]
impl KycDocumentMutation {
    /// Returns a URL for uploading one document within 30 minutes; the file must have the given type and
    /// size. Requires scope `manage`.
    async fn kyc_document_upload_prepare(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for kycDocumentUploadPrepare.")] input: KycDocumentUploadPrepareInput,
    ) -> Result<Option<KycDocumentUploadPreparePayload>> {
        let prepared = match input.parse() {
            Ok(upload) => documents::prepare_upload(ctx.app(), ctx.actor(), upload).await,
            Err(error) => Err(command::unreadable::<documents::PrepareUpload>(ctx.actor(), error)),
        };
        Ok(Some(wire::outcome(prepared.map(|link| KycDocumentUploadTarget::of(ctx, link)))?.into()))
    }
}
