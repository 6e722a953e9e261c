//! Invitations: a partner invites a person to sign up with a certain e-mail address.

use crate::{
    Refusal, Result, Scope, Visible,
    delivery::messages::{self, NewMessage},
    kernel::{
        actor::AccessScope,
        clock,
        command::{Command, CommandContext},
        db::WriteTransaction,
        visible::Owner,
    },
    people::{
        applicants,
        person::{Email, check_words, tidy},
        users,
    },
};
use chrono::Duration;
use entity::{Kind, invitation, message::Purpose, partner::Mode};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::LockType,
};
use serde::Serialize;
use uuid::Uuid;

/// How long an invitation can be accepted.
const INVITATION_TTL: Duration = Duration::days(14);

/// Creates an invitation. The values are not validated yet.
#[derive(Clone, Serialize)]
pub struct NewInvitation {
    pub email: String,
    /// The existing user who will be able to sign in; none to create a new user.
    pub user_id: Option<Uuid>,
    pub company_name: Option<String>,
    pub retirement_institution_id: Option<String>,
}

/// Creates an invitation to sign up with this e-mail address within 14 days and mails it. Requires scope
/// `manage`.
///
/// With `user_id`, accepting it creates a login for that existing user.
impl Command for NewInvitation {
    const NAME: &'static str = "invitation.create";
    const SCOPE: Scope = Scope::Manage;
    type Output = invitation::Model;

    fn check(&self, _: Mode) -> Result<()> {
        applicants::valid("email", Email::parse(&self.email))?;
        if let Some(company) = &self.company_name {
            check_words("employer.companyName", company)?;
        }
        match &self.retirement_institution_id {
            Some(institution) => check_words("employer.retirementInstitutionId", institution),
            None => Ok(()),
        }
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<invitation::Model> {
        if let Some(user_id) = self.user_id {
            users::within(ctx.tx, ctx.access_scope, user_id)
                .await?
                .ok_or_else(|| Refusal::not_found("userId"))?;
        }
        let now = clock::system_now();
        let invitation = invitation::Model {
            id: ctx.app.ids.unguessable(Kind::Invitation)?,
            partner_id: ctx.partner.id,
            email: applicants::valid("email", Email::parse(&self.email))?.folded(),
            user_id: self.user_id,
            company_name: self.company_name.as_deref().map(tidy),
            retirement_institution_id: self.retirement_institution_id.as_deref().map(tidy),
            created_at: now,
            expires_at: now + INVITATION_TTL,
            accepted_at: None,
            revoked_at: None,
        };
        invitation::ActiveModel::from(invitation.clone()).reset_all().insert(ctx.tx).await?;
        let from = invitation.company_name.as_deref().map(|name| format!(" by {name}")).unwrap_or_default();
        let (to, id) = (invitation.email.clone(), invitation.id);
        let text = format!("You are invited{from} to sign up with this address. Your invitation: {id}");
        let mail = NewMessage::mail(invitation.user_id, Purpose::Invitation, to, "You are invited", text);
        let mail = NewMessage { send_by: Some(invitation.expires_at), ..mail };
        messages::post(ctx.app, ctx.tx, ctx.partner, mail).await?;
        Ok(invitation)
    }
}

/// Revokes an open invitation.
#[derive(Clone, Debug, Serialize)]
pub struct RevokeInvitation {
    pub invitation_id: Uuid,
}

/// Revokes an open invitation. Requires scope `manage`. An accepted invitation is not found.
impl Command for RevokeInvitation {
    const NAME: &'static str = "invitation.revoke";
    const SCOPE: Scope = Scope::Manage;
    type Output = invitation::Model;

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<invitation::Model> {
        let found = locked(ctx.tx, ctx.access_scope, self.invitation_id).await?;
        let mut row: invitation::ActiveModel =
            found.filter(is_open).ok_or_else(|| Refusal::not_found("invitationId"))?.into();
        row.revoked_at = Set(Some(clock::system_now()));
        Ok(row.update(ctx.tx).await?)
    }
}

/// Invitations are visible to partners that may send them. Users see their employer only, and whoever has the
/// id of an open invitation sees it without credentials.
impl Visible for invitation::Entity {
    const SCOPE: Scope = Scope::Manage;
    const ID: invitation::Column = invitation::Column::Id;
    const OWNER: Owner<invitation::Column> = Owner::Partner { partner: invitation::Column::PartnerId };
}

/// Whether an invitation can still be accepted.
pub fn is_open(invitation: &invitation::Model) -> bool {
    invitation.accepted_at.is_none()
        && invitation.revoked_at.is_none()
        && invitation.expires_at > clock::system_now()
}

async fn locked(
    tx: &WriteTransaction,
    access_scope: AccessScope,
    id: Uuid,
) -> Result<Option<invitation::Model>> {
    let select = invitation::Entity::by_id_within(access_scope, id);
    Ok(select.lock(LockType::NoKeyUpdate).one(tx).await?)
}

/// Accepts an open invitation. Refused if it was sent to another e-mail address.
pub async fn accept(ctx: &CommandContext<'_>, id: Uuid, email: &Email) -> Result<invitation::Model> {
    let found = locked(ctx.tx, ctx.access_scope, id)
        .await?
        .filter(is_open)
        .ok_or_else(|| Refusal::not_found("invitationId"))?;
    if found.email != email.folded() {
        let text = "This invitation belongs to a different email.";
        return Err(Refusal::new(crate::Code::InvitationEmailMismatch, "invitationId", text).into());
    }
    let mut row: invitation::ActiveModel = found.into();
    row.accepted_at = Set(Some(clock::system_now()));
    Ok(row.update(ctx.tx).await?)
}

/// Returns the open invitation with this id. No credentials are needed: the id cannot be guessed and was
/// mailed to the invited person.
pub async fn find_open(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<invitation::Model>> {
    Ok(invitation::Entity::find_by_id(id).one(connection).await?.filter(is_open))
}

/// Returns the invitation that a user signed up with.
pub async fn of_user(
    connection: &impl ConnectionTrait,
    invitation_id: Option<Uuid>,
) -> Result<Option<invitation::Model>> {
    match invitation_id {
        Some(id) => Ok(invitation::Entity::find_by_id(id).one(connection).await?),
        None => Ok(None),
    }
}

/// Returns the invitations with these ids of one partner, which name the employers of its users.
pub async fn of_users(
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    ids: &[Uuid],
) -> Result<Vec<invitation::Model>> {
    let select = invitation::Entity::within(AccessScope::all_of(partner_id))
        .filter(invitation::Column::Id.is_in(ids.iter().copied()));
    Ok(select.all(connection).await?)
}
