//! Changing an account: what its owner says about herself, what it is for, and who owns it.

use super::{
    joint::{self, JointMember},
    locked,
    opening::{facts, kind_called},
    profile::{Profile, ProfilePatch},
    require_active,
};
use crate::{
    Actor, Checks, Code, Error, Refusal, Result, Scope,
    kernel::{
        actor::AccessScope,
        app::App,
        command::{self, Answer, Command, CommandContext},
        events::EventType,
        idempotency::Key,
    },
    people::users,
};
use entity::{
    account::{self, Ownership},
    partner::Mode,
    user,
};
use sea_orm::{ActiveModelTrait, sea_query::LockType};
use serde::Serialize;
use uuid::Uuid;

/// What is new about an account; what is absent stays as it is. Nothing in it has been checked.
#[derive(Clone, Serialize)]
pub struct UpdateAccount {
    pub account_id: Uuid,
    pub ownership: Option<String>,
    /// The other owner; naming one makes an individual account a joint one (documented).
    pub joint_member: Option<JointMember>,
    pub kind: Option<String>,
    pub profile: ProfilePatch,
}

/// Changes an active account of an approved owner; scope `manage`.
///
/// A cash account becomes one for investing once every answer about investing is on file, and the other way
/// round. An individual account becomes a joint one with the person who shall own it too (documented:
/// required), and never becomes an individual one again. Of the people who own it, the owner alone may change
/// it herself.
pub async fn update(
    app: &App,
    actor: &Actor,
    key: Option<Key>,
    update: UpdateAccount,
) -> Result<Answer<account::Model>> {
    joint::allowed(app, actor, key.as_ref(), &update, update.joint_member.as_ref()).await?;
    command::execute(app, actor, key, update).await
}

/// Where the new values stand in the input.
fn in_patch(error: Error) -> Error {
    error.inside("patch")
}

impl Command for UpdateAccount {
    const NAME: &'static str = "account.update";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = account::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        self.check_patch(mode).map_err(in_patch)
    }

    async fn execute(&self, ctx: &CommandContext<'_>) -> Result<account::Model> {
        let before = locked(ctx.tx, ctx.access_scope, self.account_id, LockType::NoKeyUpdate).await?;
        if !ctx.access_scope.covers(before.user_id) {
            return Err(Refusal::new(
                Code::OwnerOnly,
                "accountId",
                "Only the owner of the account may change it.",
            )
            .into());
        }
        let owner =
            users::approved(ctx.tx, AccessScope::all_of(ctx.partner.id), before.user_id, "accountId").await?;
        require_active(&before)?;
        let mut account = before.clone();
        self.apply(ctx, &owner, &mut account).await.map_err(in_patch)?;
        if account == before {
            return Ok(before);
        }
        let account = account::ActiveModel::from(account).reset_all().update(ctx.tx).await?;
        ctx.event().record(ctx.tx, EventType::AccountUpdated, account.id, facts(&account)).await?;
        Ok(account)
    }

    fn object(done: &account::Model) -> Uuid {
        done.id
    }
}

impl UpdateAccount {
    fn check_patch(&self, mode: Mode) -> Result<()> {
        let mut checks = Checks::default();
        let ownership =
            self.ownership.as_deref().and_then(|ownership| checks.note(joint::ownership(ownership)));
        checks.note(self.kind.as_deref().map(kind_called).transpose());
        checks.note(self.profile.check());
        checks.note(match &self.joint_member {
            Some(_) if ownership == Some(Ownership::Individual) => Err(joint::not_joint()),
            Some(member) => member.check(mode),
            None => Ok(()),
        });
        checks.done()
    }

    async fn apply(
        &self,
        ctx: &CommandContext<'_>,
        owner: &user::Model,
        account: &mut account::Model,
    ) -> Result<()> {
        self.profile.apply(account);
        if let Some(kind) = &self.kind {
            account.kind = kind_called(kind)?;
        }
        Profile::of(account).check(account.kind)?;
        self.share(ctx, owner, account).await
    }

    /// Makes the account a joint one, or gives one the other owner who was not named when it was opened.
    async fn share(
        &self,
        ctx: &CommandContext<'_>,
        owner: &user::Model,
        account: &mut account::Model,
    ) -> Result<()> {
        let asked = self.ownership.as_deref().map(joint::ownership).transpose()?;
        match (account.ownership, asked, &self.joint_member) {
            (Ownership::Joint, Some(Ownership::Individual), _) => Err(fixed(
                "ownership",
                "A joint account belongs to two people and cannot become an individual one.",
            )),
            (Ownership::Individual, Some(Ownership::Joint), None) => {
                Err(Refusal::required("jointMember").into())
            }
            (_, _, None) => Ok(()),
            (_, _, Some(_)) if account.joint_member_id.is_some() => {
                Err(fixed("jointMember", "The account has a joint member, who cannot be replaced."))
            }
            (_, _, Some(member)) => {
                account.joint_member_id = Some(member.settle(ctx, owner).await?.id);
                account.ownership = Ownership::Joint;
                Ok(())
            }
        }
    }
}

fn fixed(field: &str, text: &str) -> Error {
    Refusal::new(Code::OwnershipImmutable, field, text).into()
}
