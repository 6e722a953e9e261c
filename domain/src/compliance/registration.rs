//! Registering and updating users, with the identity check that follows.

use super::kyc::{self as checks, Assessed};
use crate::{
    Actor, Error, Refusal, Result, Scope, Visible,
    kernel::{
        actor::AccessScope,
        app::App,
        audit_log, clock,
        command::{Command, CommandContext, Identified},
        events::Event,
        limits::{self, Limit},
        pages::{Page, Slice},
    },
    people::{
        applicants::{Applicant, NewUser, PersonFields},
        user_changes::{PersonPatch, UpdateUser},
        users::{self, changed_row, list, within},
    },
};
use entity::{
    kyc,
    partner::Mode,
    user::{self, Status},
};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use uuid::Uuid;

/// A user and their present identity check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub user: user::Model,
    pub kyc: Option<kyc::Model>,
}

impl Identified for Registered {
    fn id(&self) -> Uuid {
        self.user.id
    }
}

/// Registers a user. Requires scope `start`, which `manage` implies.
///
/// With an address, a birth date and a social security number, identity is checked at once (documented: users
/// are created with an automatic check); otherwise the user stays `pending`. E-mail and phone need not be
/// unique.
impl Command for NewUser {
    const NAME: &'static str = "user.create";
    const SCOPE: Scope = Scope::Start;
    const MIN_DURATION: Duration = checks::MIN_DURATION;
    type Output = Registered;

    fn check(&self, mode: Mode) -> Result<()> {
        self.checked(mode)
    }

    fn limit(&self) -> Option<Limit> {
        Some(limits::SIGN_UP)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Registered> {
        begin(ctx, self).await
    }
}

/// Inserts a user and checks their identity if everything for the check is known.
pub async fn begin(ctx: &CommandContext<'_>, new: &NewUser) -> Result<Registered> {
    let person = new.person(ctx.partner.mode, ctx.today())?;
    let mut user = users::new_row(ctx);
    person.write(ctx, &mut user)?;
    let found = assessed(ctx, &user).await?;
    if let Some(found) = &found {
        user.status = checks::status_after(found.check.outcome);
    }
    let user = user::ActiveModel::from(user).reset_all().insert(ctx.tx).await?;
    ctx.record(Event::UserCreated((&user).into())).await?;
    let kyc = match found {
        Some(found) => Some(found.record(ctx).await?),
        None => None,
    };
    Ok(Registered { user, kyc })
}

/// Checks a user's identity; none while required data is missing.
async fn assessed(ctx: &CommandContext<'_>, user: &user::Model) -> Result<Option<Assessed>> {
    match Applicant::of(ctx.app, user)? {
        Some(applicant) => checks::assess(ctx, &applicant, Some(user.id)).await,
        None => Ok(None),
    }
}

/// Checks a user's identity again after a change, once everything for the check is known, and updates their
/// status.
///
/// A change does not end a review: a user under review stays there, and one denied by a reviewer is reviewed
/// again.
pub async fn check_again(ctx: &CommandContext<'_>, user: user::Model) -> Result<user::Model> {
    // Users denied an approval cannot try another name or number themselves, and closed users stay closed.
    let is_own_session = ctx.access_scope.user_id.is_some();
    if user.status == Status::Closed || (is_own_session && user.status == Status::Denied) {
        return Ok(user);
    }
    let Some(mut found) = assessed(ctx, &user).await? else { return Ok(user) };
    let has_open_hits = match checks::current(ctx.tx, user.id).await? {
        Some(earlier) => checks::hits::keep_open(ctx, earlier.id, &mut found).await?,
        None => false,
    };
    if has_open_hits || checks::awaits_review(ctx.tx, user.id, found.check.outcome).await? {
        found.send_to_review();
    }
    let check = found.record(ctx).await?;
    checks::update_user_status(ctx, user, check.outcome).await
}

/// The user with this id and their identity check. Requires scope `read`; the read is written to the audit
/// log.
pub async fn get_audited(app: &App, actor: &Actor, id: Uuid) -> Result<Option<Registered>> {
    let caller = user::Entity::reader(actor)?;
    let Some(user) = within(&app.db.read, caller.access_scope, id).await? else { return Ok(None) };
    let kyc = checks::current(&app.db.read, user.id).await?;
    audit_log::record_read(app, &caller, actor.request_id, "user.read", Some(user.id)).await?;
    Ok(Some(Registered { user, kyc }))
}

/// A page of the partner's users with their identity checks. Requires scope `read`; the read is written to
/// the audit log, one line a page.
pub async fn list_audited(app: &App, actor: &Actor, page: &Page) -> Result<Slice<Registered>> {
    let caller = user::Entity::reader(actor)?;
    let Slice { rows, has_previous, has_next } = list(&app.db.read, actor, &(*page).into(), &[]).await?;
    let mut checks = kycs_of(&app.db.read, &rows).await?;
    audit_log::record_read(app, &caller, actor.request_id, "user.list", None).await?;
    let with_check = |user: user::Model| Registered { kyc: checks.remove(&user.id), user };
    Ok(Slice { rows: rows.into_iter().map(with_check).collect(), has_previous, has_next })
}

/// The users with these ids and their identity checks, without those that the caller cannot reach.
pub async fn registered(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Registered>> {
    let ids: HashSet<Uuid> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let users =
        user::Entity::within(access_scope).filter(user::Column::Id.is_in(ids)).all(connection).await?;
    let mut checks = kycs_of(connection, &users).await?;
    Ok(users.into_iter().map(|user| (user.id, Registered { kyc: checks.remove(&user.id), user })).collect())
}

/// Returns the current identity checks of several users, by user id.
async fn kycs_of(
    connection: &impl ConnectionTrait,
    users: &[user::Model],
) -> Result<HashMap<Uuid, kyc::Model>> {
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let select = kyc::Entity::find()
        .filter(kyc::Column::UserId.is_in(users.iter().map(|user| user.id)))
        .filter(kyc::Column::SupersededAt.is_null());
    Ok(select.all(connection).await?.into_iter().filter_map(|kyc| Some((kyc.user_id?, kyc))).collect())
}

/// Updates or completes a user's data. Requires scope `manage`, or the user's own session.
///
/// The first identity check runs once all required data is known. A change of name, social security number,
/// birth date or address repeats the check, so that an approved user may lose the approval; a change of phone
/// or e-mail does not (documented: the update takes every field that the creation takes, each optional).
impl Command for UpdateUser {
    const NAME: &'static str = "user.update";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = Registered;

    fn check(&self, mode: Mode) -> Result<()> {
        self.patch.check(mode).map_err(in_patch)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<Registered> {
        clock::locked(ctx.tx, ctx.partner.id).await?;
        let before = within(ctx.tx, ctx.access_scope, self.user_id)
            .await?
            .ok_or_else(|| Refusal::not_found("userId"))?;
        let user = apply_patch(ctx, before, &self.patch).await?;
        let kyc = checks::current(ctx.tx, user.id).await?;
        Ok(Registered { user, kyc })
    }
}

fn in_patch(error: Error) -> Error {
    error.inside("patch")
}

/// Applies a patch to a user; checks the user's identity again if its data changed; records an event if
/// anything changed.
pub async fn apply_patch(
    ctx: &CommandContext<'_>,
    before: user::Model,
    patch: &PersonPatch,
) -> Result<user::Model> {
    let known = PersonFields::of(ctx.app, &before)?;
    let mut person = known.clone();
    patch.apply(ctx.partner.mode, ctx.today(), &mut person).map_err(in_patch)?;
    let mut after = before.clone();
    person.write(ctx, &mut after)?;
    if before == after {
        return Ok(before);
    }
    let mut user = changed_row(before, after).update(ctx.tx).await?;
    if person.identity() != known.identity() {
        user = check_again(ctx, user).await?;
    }
    ctx.record(Event::UserUpdated((&user).into())).await?;
    Ok(user)
}
