//! Users who sign up themselves.

use super::{applicants::PersonFields, person::Email, user_changes::PersonPatch, users};
use crate::{
    Error, Result,
    kernel::{clock, command::CommandContext, events::Event},
};
use entity::user;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};
use uuid::Uuid;

/// Returns a user's full name, if known.
pub fn full_name(user: &user::Model) -> Option<String> {
    let name = format!("{} {}", user.first_name, user.last_name).trim().to_owned();
    Some(name).filter(|name| !name.is_empty())
}

/// Creates a user who signs up themselves: `pending` until everything for an identity check is known.
pub async fn begin(
    ctx: &CommandContext<'_>,
    email: &Email,
    profile: &PersonPatch,
    invitation_id: Option<Uuid>,
) -> Result<user::Model> {
    let mut person = PersonFields { email: email.to_string(), ..PersonFields::default() };
    profile.apply(ctx.partner.mode, ctx.today(), &mut person)?;
    let mut user = user::Model { invitation_id, ..users::new_row(ctx) };
    person.write(ctx, &mut user)?;
    user::ActiveModel::from(user.clone()).reset_all().insert(ctx.tx).await?;
    ctx.record(Event::UserCreated((&user).into())).await?;
    Ok(user)
}

/// Attaches the invitation that an existing user signed up with.
pub async fn attach_invitation(
    ctx: &CommandContext<'_>,
    user_id: Uuid,
    invitation_id: Option<Uuid>,
) -> Result<user::Model> {
    clock::locked(ctx.tx, ctx.partner.id).await?;
    let found = user::Entity::find_by_id(user_id).one(ctx.tx).await?;
    let mut row: user::ActiveModel =
        found.ok_or_else(|| Error::broken("an invitation refers to a missing user"))?.into();
    row.invitation_id = Set(invitation_id);
    Ok(row.update(ctx.tx).await?)
}
