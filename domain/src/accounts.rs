//! Brokerage accounts: finding one that may be used. What happens to them is in the files below.

use crate::{
    Actor, Code, Refusal, Result, Scope,
    kernel::{
        actor::AccessScope,
        events::{self, EventType},
        pages::{Page, Slice},
    },
    people::users,
};
use entity::{
    Kind,
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
pub use lifecycle::{CloseAccount, FreezeAccount, UnfreezeAccount, close, freeze, status_reason, unfreeze};
pub use opening::{OpenAccount, open};
pub use profile::{Profile, ProfilePatch};
pub use updating::{UpdateAccount, update};
pub use with_owners::{AccountWithOwners, get_audited, list_audited};

/// The account with this id among the partner's; scope `read`.
pub async fn find(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    id: Uuid,
) -> Result<Option<account::Model>> {
    within(connection, actor.access_scope(Scope::Read)?, id).await
}

/// The account with this id within reach.
pub async fn within(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
) -> Result<Option<account::Model>> {
    Ok(account::Entity::find_by_id(id).filter(of(access_scope)).one(connection).await?)
}

/// Which accounts are within reach: of a person who has signed in, those that she owns, alone or with
/// another.
fn of(access_scope: AccessScope) -> Condition {
    let condition = all![account::Column::PartnerId.eq(access_scope.partner_id)];
    match access_scope.user_id {
        Some(only) => condition.add(owned_by(only)),
        None => condition,
    }
}

/// Which accounts a person owns, alone or with another. Each side is looked up by its own index.
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

/// The people who own an account, one or two.
pub fn owners(account: &account::Model) -> impl Iterator<Item = Uuid> + use<> {
    [Some(account.user_id), account.joint_member_id].into_iter().flatten()
}

/// The partner's accounts, newest first; scope `read`.
pub async fn list(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    page: &Page,
) -> Result<Slice<account::Model>> {
    let select = account::Entity::find().filter(of(actor.access_scope(Scope::Read)?));
    page.of(connection, select, account::Column::Id).await
}

/// Keeps the rows whose account is within reach, in a table of one partner's rows.
pub fn on_accounts_of(access_scope: AccessScope, account_id: impl ColumnTrait) -> Condition {
    access_scope.user_id.map_or_else(Condition::all, |only| all![account_id.in_subquery(owned(only))])
}

/// Whether an event is about this person or her affairs.
///
/// `known` remembers whose accounts are, so that following a log costs one look-up an account.
pub async fn concerns(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    event: &event::Model,
    known: &mut ApprovalById,
) -> Result<bool> {
    let Some(only) = access_scope.user_id else { return Ok(true) };
    if event.kind == EventType::KycWatchListHitFound.name() {
        // A person is not told of a resemblance.
        return Ok(false);
    }
    if Kind::of(event.stream_id) == Some(Kind::Account) {
        // Who owns it may just have changed.
        let own = within(connection, access_scope, event.stream_id).await?.is_some();
        known.insert(event.stream_id, own);
        return Ok(own);
    }
    let (user, account) = events::about(event);
    let account = match (user, account) {
        (Some(user), _) => return Ok(user == only),
        (None, None) => return Ok(event.stream_id == only),
        (None, Some(account)) => account,
    };
    if let Some(own) = known.get(&account) {
        return Ok(*own);
    }
    if known.len() >= MOST_KNOWN {
        known.clear();
    }
    let own = within(connection, access_scope, account).await?.is_some();
    known.insert(account, own);
    Ok(own)
}

/// The owners of accounts, as far as a listener knows.
pub type ApprovalById = HashMap<Uuid, bool>;

/// Of how many accounts one listener remembers whose they are.
const MOST_KNOWN: usize = 10_000;

/// The account named by `accountId`, if it may be funded and may trade, all its owners being approved;
/// refused otherwise.
///
/// It stays so until the transaction ends: nobody freezes or closes it meanwhile.
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
            "The joint member of the account has not been named.",
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

/// The account named by `accountId`, locked by this transaction. Whoever uses it takes the weakest lock,
/// which rows that refer to it take anyway; whoever ends its use takes `Update`, which waits for those.
async fn locked(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
    lock: LockType,
) -> Result<account::Model> {
    let select = account::Entity::find_by_id(id).filter(of(access_scope)).lock(lock);
    select.one(connection).await?.ok_or_else(|| Refusal::not_found("accountId").into())
}

/// The caller's only tradable account, for callers who name none (documented: orders name no account);
/// refused as missing when there is none or more than one. Tradable is what [`usable`] admits: active, and
/// every owner approved.
pub async fn only_one(connection: &impl ConnectionTrait, access_scope: AccessScope) -> Result<Uuid> {
    let approved = users::approved_ids(access_scope.partner_id);
    let select = account::Entity::find()
        .filter(of(access_scope))
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
