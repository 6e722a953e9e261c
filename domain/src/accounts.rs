//! Brokerage accounts: finding them and checking that they may be used. The operations are in the submodules.

use crate::{
    Actor, Code, Refusal, Result, Scope,
    kernel::{
        actor::AccessScope,
        events::{About, Event, Subject},
        lists::{Filter, SortedPage},
        pages::Slice,
    },
    people::users,
};
use entity::{
    account::{self, Ownership, Status},
    event,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{LockType, SelectStatement, UnionType, all, any},
};
use std::collections::HashMap;
use uuid::Uuid;

mod joint;
mod lifecycle;
mod opening;
pub mod options;
mod profile;
mod updating;
mod with_owners;

pub use joint::JointMember;
pub use lifecycle::{CloseAccount, FreezeAccount, UnfreezeAccount, status_reason};
pub use opening::OpenAccount;
pub use profile::{Profile, ProfilePatch};
pub use updating::UpdateAccount;
pub use with_owners::{AccountWithOwners, get_audited, list_audited};

/// Returns the account with this id if the caller may see it. Requires scope `read`.
pub async fn find(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    id: Uuid,
) -> Result<Option<account::Model>> {
    within(connection, actor.access_scope(Scope::Read)?, id).await
}

/// Returns the account with this id if it is within this access scope.
pub async fn within(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
) -> Result<Option<account::Model>> {
    Ok(account::Entity::find_by_id(id).filter(visible_to(access_scope)).one(connection).await?)
}

/// Condition for the accounts within this access scope: a signed-in user's own and joint accounts, or all of
/// the partner's.
fn visible_to(access_scope: AccessScope) -> Condition {
    let condition = all![account::Column::PartnerId.eq(access_scope.partner_id)];
    match access_scope.user_id {
        Some(only) => condition.add(owned_by(only)),
        None => condition,
    }
}

/// Condition for the accounts that a user owns, alone or jointly. Each owner column is searched by its own
/// index.
fn owned_by(user_id: Uuid) -> Condition {
    all![account::Column::Id.in_subquery(owned(user_id))]
}

fn owned(user_id: Uuid) -> SelectStatement {
    let by = |owner: account::Column| {
        account::Entity::find()
            .select_only()
            .column(account::Column::Id)
            .filter(owner.eq(user_id))
            .into_query()
    };
    by(account::Column::UserId).union(UnionType::All, by(account::Column::JointMemberId)).to_owned()
}

/// Returns the ids of the account's owners, one or two.
pub fn owners(account: &account::Model) -> impl Iterator<Item = Uuid> + use<> {
    [Some(account.user_id), account.joint_member_id].into_iter().flatten()
}

/// Returns a page of the accounts that the caller may see and that match all filters. Requires scope `read`.
pub async fn list(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    page: &SortedPage<account::Column>,
    filters: &[Filter],
) -> Result<Slice<account::Model>> {
    let select = account::Entity::find().filter(visible_to(actor.access_scope(Scope::Read)?));
    page.of(connection, select, filters).await
}

/// Condition for rows with an account within this access scope. The query must already be limited to the
/// partner's rows.
pub fn on_accounts_of(access_scope: AccessScope, account_id: impl ColumnTrait) -> Condition {
    access_scope.user_id.map_or_else(Condition::all, |only| all![account_id.in_subquery(owned(only))])
}

/// Returns whether the caller may see an event: a partner sees all of its own, a user those about themselves
/// and their accounts.
///
/// `known` caches which accounts belong to the user, so that following the event log takes one query per
/// account.
pub async fn concerns(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    event: &event::Model,
    known: &mut OwnershipById,
) -> Result<bool> {
    let Some(only) = access_scope.user_id else { return Ok(true) };
    let (about, may_change_owner) = match Event::of(event) {
        // Users must not learn of watch list hits, and see no event that this version cannot read.
        Ok(Event::KycWatchListHitFound { .. }) | Err(_) => return Ok(false),
        Ok(event) => (event.about(), matches!(event.subject(), Subject::Account(_))),
    };
    let account = match about {
        About::Partner => return Ok(false),
        About::User(user) => return Ok(user == only),
        About::Account(account) => account,
    };
    if let Some(own) = known.get(&account).filter(|_| !may_change_owner) {
        return Ok(*own);
    }
    if known.len() >= MAX_KNOWN {
        known.clear();
    }
    let own = within(connection, access_scope, account).await?.is_some();
    known.insert(account, own);
    Ok(own)
}

/// Cache of one subscriber: for each account id, whether the subscriber owns the account.
pub type OwnershipById = HashMap<Uuid, bool>;

/// Maximum number of accounts in one subscriber's cache.
const MAX_KNOWN: usize = 10_000;

/// Returns the account with this id if it may be funded and traded on: active, and all its owners approved.
/// Otherwise returns a refusal for the field `accountId`.
///
/// The account is locked, so that it is not frozen or closed before the transaction ends.
pub async fn usable(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
) -> Result<account::Model> {
    let account = locked(connection, access_scope, id, LockType::KeyShare).await?;
    for owner in owners(&account) {
        users::approved(connection, AccessScope::all_of(access_scope.partner_id), owner, "accountId").await?;
    }
    if account.ownership == Ownership::Joint && account.joint_member_id.is_none() {
        return Err(Refusal::new(
            Code::KycNotApproved,
            "accountId",
            "The joint account has no joint member yet. Add one first.",
        )
        .into());
    }
    require_active(&account)?;
    Ok(account)
}

fn require_active(account: &account::Model) -> Result<()> {
    if account.status == Status::Active {
        return Ok(());
    }
    Err(Refusal::new(Code::AccountNotActive, "accountId", "The account is not active.").into())
}

/// Locks the account and returns it; refuses `accountId` if it was not found.
///
/// Operations that use the account take the weakest lock (`KeyShare`), which rows that refer to the account
/// take anyway. Operations that freeze or close it take `Update`, which waits for those.
async fn locked(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
    lock: LockType,
) -> Result<account::Model> {
    let select = account::Entity::find_by_id(id).filter(visible_to(access_scope)).lock(lock);
    select.one(connection).await?.ok_or_else(|| Refusal::not_found("accountId").into())
}

/// Returns the id of the caller's only tradable account, for orders without an account (documented: orders
/// name no account). Refuses `accountId` as required when there is none or more than one. Tradable accounts
/// are those that [`usable`] admits: active, and every owner approved.
pub async fn only_one(connection: &impl ConnectionTrait, access_scope: AccessScope) -> Result<Uuid> {
    let approved = users::approved_ids(access_scope.partner_id);
    let select = account::Entity::find()
        .filter(visible_to(access_scope))
        .filter(account::Column::Status.eq(Status::Active))
        .filter(account::Column::UserId.in_subquery(approved.clone()))
        .filter(any![
            account::Column::Ownership.eq(Ownership::Individual),
            account::Column::JointMemberId.in_subquery(approved)
        ]);
    let found = select.limit(2).all(connection).await?;
    match found.as_slice() {
        [only] => Ok(only.id),
        _ => Err(Refusal::required("accountId").into()),
    }
}
