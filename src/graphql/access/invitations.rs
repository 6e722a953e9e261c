//! The GraphQL face of invitations.

use crate::{
    graphql::core::{
        context::RequestContext,
        errors::{GeneralUserError, payload},
        pages::{Connection, Item},
        scalars::DateTime,
    },
    wire::{self, Result},
};
use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use domain::{
    access::invitations::{self, NewInvitation, RevokeInvitation},
    kernel::{idempotency::Key, ids},
};
use entity::{Kind, invitation};
use uuid::Uuid;

/// A wish that somebody sign up, bound to an e-mail address.
pub struct Invitation(pub invitation::Model);

/// A wish that somebody sign up, bound to an e-mail address.
#[Object]
impl Invitation {
    /// Opaque identifier, the same on every door; whoever holds it and the address may sign up by it.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// The address it is bound to.
    async fn email(&self) -> &str {
        &self.0.email
    }

    /// Employer that the profile will show; null when none was named.
    async fn employer(&self) -> Option<Employer> {
        Employer::of(&self.0)
    }

    /// When it ends.
    async fn expires_at(&self) -> DateTime {
        self.0.expires_at.into()
    }

    /// When somebody signed up by it; null before.
    async fn accepted_at(&self) -> Option<DateTime> {
        self.0.accepted_at.map(DateTime::from)
    }

    /// When it was taken back; null when it was not.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(DateTime::from)
    }
}

impl Item for Invitation {
    const KIND: Kind = Kind::Invitation;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}

impl From<invitation::Model> for Invitation {
    fn from(row: invitation::Model) -> Self {
        Self(row)
    }
}

/// An employer that offers a plan.
#[derive(Clone, Debug, SimpleObject)]
pub struct Employer {
    /// Name of the company; null when only its institution is known.
    company_name: Option<String>,
    /// Institution that keeps its retirement plan; null when it has none.
    retirement_institution_id: Option<String>,
}

impl Employer {
    /// The employer that an invitation names.
    pub fn of(row: &invitation::Model) -> Option<Self> {
        let (company_name, retirement_institution_id) =
            (row.company_name.clone(), row.retirement_institution_id.clone());
        (company_name.is_some() || retirement_institution_id.is_some())
            .then_some(Self { company_name, retirement_institution_id })
    }
}

/// An employer that offers a plan.
#[derive(InputObject)]
pub struct EmployerInput {
    /// Name of the company.
    company_name: Option<String>,
    /// Institution that keeps its retirement plan.
    retirement_institution_id: Option<String>,
}

/// Input of invitationCreate.
#[derive(InputObject)]
pub struct InvitationCreateInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Address that it is bound to and mailed to.
    email: String,
    /// Person who shall be able to sign in, when you serve her already.
    user_id: Option<ID>,
    /// Employer that the profile will show.
    employer: Option<EmployerInput>,
}

impl InvitationCreateInput {
    fn parse(self) -> (Option<Key>, NewInvitation) {
        let key = self.idempotency_key.as_deref().map(Key::given);
        let (company_name, retirement_institution_id) = self
            .employer
            .map_or((None, None), |employer| (employer.company_name, employer.retirement_institution_id));
        let user_id = self.user_id.map(|id| ids::parse(Kind::User, &id));
        (key, NewInvitation { email: self.email, user_id, company_name, retirement_institution_id })
    }
}

/// Input of invitationRevoke.
#[derive(InputObject)]
pub struct InvitationRevokeInput {
    /// Invitation to take back.
    invitation_id: ID,
}

payload!(
    /// Outcome of invitationCreate.
    InvitationCreatePayload {
        /// The invitation, null when refused.
        invitation: Invitation,
        GeneralUserError
    }
);

payload!(
    /// Outcome of invitationRevoke.
    InvitationRevokePayload {
        /// The invitation, null when refused.
        invitation: Invitation,
        GeneralUserError
    }
);

#[derive(Default)]
pub struct InvitationQuery;

#[Object]
impl InvitationQuery {
    /// An open invitation by the id that was mailed; null when there is none; needs no sign-in.
    async fn invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Opaque id.")] id: ID,
    ) -> Result<Option<Invitation>> {
        let id = ids::parse(Kind::Invitation, &id);
        Ok(invitations::find_open(&*ctx.loaders().connection().await?, id).await?.map(Invitation))
    }

    /// The partner's invitations, newest first; scope `manage`.
    async fn invitations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<Invitation>>> {
        let page = ctx.page::<Invitation>(first, after, last, before)?;
        let slice = invitations::list(&*ctx.loaders().connection().await?, ctx.actor(), &page).await?;
        Ok(Some(Connection::new(slice, Invitation)))
    }
}

#[derive(Default)]
pub struct InvitationMutation;

#[Object]
impl InvitationMutation {
    /// Invite somebody to sign up with her e-mail address within 14 days, and mail her; scope `manage`.
    async fn invitation_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for invitationCreate.")] input: InvitationCreateInput,
    ) -> Result<Option<InvitationCreatePayload>> {
        let (key, new) = input.parse();
        let invited = invitations::invite(ctx.app(), ctx.actor(), key, new).await;
        Ok(Some(wire::answered(invited)?.into()))
    }

    /// Take an open invitation back; scope `manage`.
    async fn invitation_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for invitationRevoke.")] input: InvitationRevokeInput,
    ) -> Result<Option<InvitationRevokePayload>> {
        let revocation =
            RevokeInvitation { invitation_id: ids::parse(Kind::Invitation, &input.invitation_id) };
        Ok(Some(wire::answered(invitations::revoke(ctx.app(), ctx.actor(), revocation).await)?.into()))
    }
}
