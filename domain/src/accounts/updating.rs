//! Updates accounts: the owner's profile, the account type and the ownership.

use super::{
    joint::{self, JointMember},
    locked,
    opening::parse_kind,
    profile::{Profile, ProfilePatch},
    require_active,
};
use crate::{
    Checks, Code, Error, Refusal, Result, Scope,
    kernel::{
        actor::AccessScope,
        command::{Command, CommandContext},
        events::Event,
        limits::Limit,
    },
    people::users,
};
use entity::{
    account::{self, DividendOption, Ownership, TaxTreatment},
    partner::Mode,
    tax_lot::LotMethod,
    user,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{Set, Unchanged},
    sea_query::LockType,
};
use serde::Serialize;
use uuid::Uuid;

/// Updates an account; absent fields stay unchanged. The values are not validated yet.
#[derive(Clone, Serialize)]
pub struct UpdateAccount {
    pub account_id: Uuid,
    pub ownership: Option<String>,
    /// Joint member to add; makes an individual account a joint one (documented).
    pub joint_member: Option<JointMember>,
    pub kind: Option<String>,
    /// Order in which lots are sold, unless an order says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot_method: Option<LotMethod>,
    /// What happens to dividends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dividend_option: Option<DividendOption>,
    pub profile: ProfilePatch,
}

/// Adds the input field of the changes to the path of an error.
fn in_patch(error: Error) -> Error {
    error.inside("patch")
}

/// Updates an active account of an approved owner. Requires scope `manage`.
///
/// A cash account can become an investment account if every answer about investing is given, and an
/// investment account a cash account. An individual account becomes a joint one when a joint member is added
/// (documented: required); a joint account never becomes individual again. A signed-in joint member may not
/// update the account; only its owner may.
impl Command for UpdateAccount {
    const NAME: &'static str = "account.update";
    const SCOPE: Scope = Scope::Manage;
    const FOR_ONESELF: bool = true;
    type Output = account::Model;

    fn check(&self, mode: Mode) -> Result<()> {
        self.check_patch(mode).map_err(in_patch)
    }

    fn limit(&self) -> Option<Limit> {
        joint::limit(self.joint_member.as_ref())
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
        let profile = self.apply(ctx, &owner, &mut account).await.map_err(in_patch)?;
        if account == before && profile == Profile::of(&before) {
            return Ok(before);
        }
        let row = account::ActiveModel {
            id: Unchanged(account.id),
            kind: Set(account.kind),
            ownership: Set(account.ownership),
            joint_member_id: Set(account.joint_member_id),
            lot_method: Set(account.lot_method),
            dividend_option: Set(account.dividend_option),
            ..profile.columns()
        };
        let account = row.update(ctx.tx).await?;
        ctx.record(Event::AccountUpdated((&account).into())).await?;
        Ok(account)
    }
}

impl UpdateAccount {
    fn check_patch(&self, mode: Mode) -> Result<()> {
        let mut checks = Checks::default();
        let ownership =
            self.ownership.as_deref().and_then(|ownership| checks.note(joint::ownership(ownership)));
        checks.note(self.kind.as_deref().map(parse_kind).transpose());
        checks.note(match self.lot_method {
            Some(LotMethod::Specific) => {
                Err(Refusal::invalid("lotMethod", "must not be SPECIFIC, which only an order can be").into())
            }
            _ => Ok(()),
        });
        checks.note(self.profile.check());
        checks.note(match &self.joint_member {
            Some(_) if ownership == Some(Ownership::Individual) => Err(joint::not_joint()),
            Some(member) => member.check(mode),
            None => Ok(()),
        });
        checks.done()
    }

    /// Applies the changes of the type and the ownership to an account, and returns the changed profile.
    async fn apply(
        &self,
        ctx: &CommandContext<'_>,
        owner: &user::Model,
        account: &mut account::Model,
    ) -> Result<Profile> {
        let profile = self.profile.applied_to(&Profile::of(account));
        if let Some(kind) = &self.kind {
            account.kind = parse_kind(kind)?;
        }
        if let Some(method) = self.lot_method {
            account.lot_method = method;
        }
        if let Some(option) = self.dividend_option {
            account.dividend_option = option;
        }
        profile.check(account.kind)?;
        self.add_joint_member(ctx, owner, account).await?;
        Ok(profile)
    }

    /// Makes an individual account joint, or adds the joint member that a joint account was opened without.
    async fn add_joint_member(
        &self,
        ctx: &CommandContext<'_>,
        owner: &user::Model,
        account: &mut account::Model,
    ) -> Result<()> {
        let requested = self.ownership.as_deref().map(joint::ownership).transpose()?;
        match (account.ownership, requested, &self.joint_member) {
            (Ownership::Joint, Some(Ownership::Individual), _) => {
                Err(ownership_immutable("ownership", "A joint account cannot become an individual account."))
            }
            (Ownership::Individual, Some(Ownership::Joint), None) => {
                Err(Refusal::required("jointMember").into())
            }
            (_, _, None) => Ok(()),
            (_, _, Some(_)) if account.joint_member_id.is_some() => Err(ownership_immutable(
                "jointMember",
                "The account already has a joint member, who cannot be replaced.",
            )),
            (_, _, Some(_)) if account.tax_treatment != TaxTreatment::Taxable => {
                Err(ownership_immutable("jointMember", "A retirement account has one owner."))
            }
            (_, _, Some(member)) => {
                account.joint_member_id = Some(member.resolve(ctx, owner).await?.id);
                account.ownership = Ownership::Joint;
                Ok(())
            }
        }
    }
}

fn ownership_immutable(field: &str, text: &str) -> Error {
    Refusal::new(Code::OwnershipImmutable, field, text).into()
}
