//! GraphQL types and operations for invitations.

use crate::{
    graphql::{
        core::{
            breadth::{Fetch, ListOf, fetch},
            context::Viewpoint,
            ids::IdOf,
            pages::PageArgs,
            scalars::DateTime,
        },
        people::users::User,
    },
    wire::Result,
};
use async_graphql::{ID, InputObject, SimpleObject};
use domain::{
    access::invitations::{self, NewInvitation, RevokeInvitation},
    kernel::ids,
};
use entity::{Kind, invitation};
use macros::{Fields, breadth, mutations};

/// Invitation to sign up, bound to an e-mail address.
#[derive(Clone)]
pub struct Invitation(pub invitation::Model);

/// Invitation to sign up, bound to an e-mail address.
#[breadth]
impl Invitation {
    /// Opaque identifier, the same in the GraphQL and REST APIs. Needed to sign up with the invitation.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// E-mail address that the invitation is bound to.
    fn email(&self) -> &str {
        &self.0.email
    }

    /// Employer to show in the user's profile; null if none was given.
    fn employer(&self) -> Option<Employer> {
        Employer::of(&self.0)
    }

    /// Time when the invitation expires.
    fn expires_at(&self) -> DateTime {
        self.0.expires_at.into()
    }

    /// Time when a user signed up with the invitation; null until then.
    fn accepted_at(&self) -> Option<DateTime> {
        self.0.accepted_at.map(DateTime::from)
    }

    /// Time when the invitation was revoked; null if it was not.
    fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(DateTime::from)
    }
}

/// Employer that invites its employees.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct Employer {
    /// Company name; null if only the institution is known.
    company_name: Option<String>,
    /// Identifier of the institution that manages the employer's retirement plan; null if there is none.
    retirement_institution_id: Option<String>,
}

impl Employer {
    /// Returns the employer given in an invitation, if any.
    pub fn of(row: &invitation::Model) -> Option<Self> {
        let (company_name, retirement_institution_id) =
            (row.company_name.clone(), row.retirement_institution_id.clone());
        (company_name.is_some() || retirement_institution_id.is_some())
            .then_some(Self { company_name, retirement_institution_id })
    }
}

/// Employer that invites its employees.
#[derive(InputObject)]
pub struct EmployerInput {
    /// Company name.
    company_name: Option<String>,
    /// Identifier of the institution that manages the employer's retirement plan.
    retirement_institution_id: Option<String>,
}

#[derive(Default)]
pub struct InvitationQuery;

#[breadth]
impl InvitationQuery {
    /// Returns an open invitation by id, or null if it was not found. Requires no credentials.
    fn invitation(
        &self,
        #[graphql(desc = "Id of the invitation, from the e-mail.")] id: ID,
    ) -> Fetch<Option<Invitation>> {
        let id = ids::parse(Kind::Invitation, &id);
        fetch(move |view| {
            Box::pin(async move {
                Ok(invitations::find_open(&*view.loaders().connection().await?, id).await?.map(Invitation))
            })
        })
    }

    /// Returns the partner's invitations, newest first. Requires scope `manage`.
    fn invitations(&self, view: &Viewpoint, page: PageArgs) -> Result<Option<ListOf<Invitation>>> {
        Ok(Some(ListOf::all(view, &page, Vec::new())?))
    }
}

#[mutations]
impl InvitationMutation {
    /// Creates an invitation that is valid for 14 days and sends it by e-mail. Requires scope `manage`.
    #[answers(invitation: Invitation)]
    fn invitation_create(
        /// E-mail address that the invitation is sent to and bound to.
        email: String,
        /// Id of an existing user who can then sign in; omit it to invite a new user.
        user_id: Option<IdOf<User>>,
        /// Employer to show in the user's profile.
        employer: Option<EmployerInput>,
    ) -> NewInvitation {
        let (company_name, retirement_institution_id) = employer
            .map_or((None, None), |employer| (employer.company_name, employer.retirement_institution_id));
        let user_id = user_id.map(Into::into);
        NewInvitation { email, user_id, company_name, retirement_institution_id }
    }

    /// Revokes an open invitation. Requires scope `manage`.
    #[answers(invitation: Invitation)]
    fn invitation_revoke(
        /// Id of the invitation to revoke.
        invitation_id: IdOf<Invitation>,
    ) -> RevokeInvitation;
}
