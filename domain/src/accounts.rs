//! Brokerage accounts: finding them and checking that they may be used. The operations are in the submodules.

use crate::{
    Actor, Code, Refusal, Result, Visible,
    kernel::{actor::AccessScope, ledger::USD, lists::Filter, visible::Owner},
    people::users,
};
use entity::{
    account::{self, Ownership, Status},
    ledger_account::{self, LedgerKind},
    user,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, ExprTrait, FromQueryResult, IdenStatic, Iterable, QueryFilter,
    QuerySelect, QueryTrait,
    sea_query::{Expr, LockType, Order, all, any},
};
use uuid::Uuid;

mod events;
mod joint;
mod lifecycle;
mod opening;
pub mod options;
mod profile;
mod updating;
mod with_owners;

pub use events::VisibleEvents;
pub use joint::JointMember;
pub use lifecycle::{
    CloseAccount, EndFreeze, FreezeAccount, UnfreezeAccount, freeze, freeze_closed, status_reason,
};
pub use opening::OpenAccount;
pub use profile::{Profile, ProfilePatch};
pub use updating::UpdateAccount;
pub use with_owners::{AccountWithOwners, get_audited, list_audited};

/// Accounts are visible to their partner and to each of their owners.
impl Visible for account::Entity {
    const ID: account::Column = account::Column::Id;
    const OWNER: Owner<account::Column> = Owner::Users {
        partner: account::Column::PartnerId,
        users: &[account::Column::UserId, account::Column::JointMemberId],
    };
}

/// Returns the account with this id if the caller may see it. Requires scope `read`.
pub async fn find(
    connection: &impl ConnectionTrait,
    actor: &Actor,
    id: Uuid,
) -> Result<Option<account::Model>> {
    within(connection, account::Entity::access(actor)?, id).await
}

/// Returns the account with this id if it is within this access scope.
pub async fn within(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
) -> Result<Option<account::Model>> {
    Ok(account::Entity::by_id_within(access_scope, id).one(connection).await?)
}

/// Returns the condition for the accounts that a user owns, alone or jointly.
pub fn owned_by(user_id: Uuid) -> Filter {
    Filter::is_any_of(&[account::Column::UserId, account::Column::JointMemberId], user_id)
}

/// Returns the ids of the account's owners, one or two.
pub fn owners(account: &account::Model) -> impl Iterator<Item = Uuid> + use<> {
    [Some(account.user_id), account.joint_member_id].into_iter().flatten()
}

/// Returns the account with this id if it may be funded and traded on: active, and all its owners approved.
/// Otherwise returns a refusal for the field `accountId`.
///
/// The account is locked, so that it is not frozen or closed before the transaction ends.
pub async fn usable(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
) -> Result<account::Model> {
    Ok(usable_with_cash(connection, access_scope, id, &[]).await?.0)
}

/// The same, and locks and returns the account's dollar accounts of these kinds in the ledger, in one statement.
pub async fn usable_with_cash(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
    kinds: &[LedgerKind],
) -> Result<(account::Model, Vec<ledger_account::Model>)> {
    let locks = if kinds.is_empty() {
        " FOR KEY SHARE OF account"
    } else {
        " FOR KEY SHARE OF account FOR NO KEY UPDATE OF ledger_account"
    };
    with_cash(connection, access_scope, id, kinds, locks).await
}

/// The same without a lock, for a snapshot.
pub async fn usable_with_cash_now(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
    kinds: &[LedgerKind],
) -> Result<(account::Model, Vec<ledger_account::Model>)> {
    with_cash(connection, access_scope, id, kinds, "").await
}

async fn with_cash(
    connection: &impl ConnectionTrait,
    access_scope: AccessScope,
    id: Uuid,
    kinds: &[LedgerKind],
    locks: &str,
) -> Result<(account::Model, Vec<ledger_account::Model>)> {
    let backend = connection.get_database_backend();
    let mut select = account::Entity::by_id_within(access_scope, id).into_query();
    for (column, name) in [(account::Column::UserId, OWNER), (account::Column::JointMemberId, JOINT_MEMBER)] {
        let status = users::status_of(access_scope.partner_id, (account::Entity, column));
        select.expr_as(Expr::from(status), name);
    }
    if !kinds.is_empty() {
        use ledger_account::Column;
        let of_account = all![
            Expr::col((ledger_account::Entity, Column::OwnerId))
                .equals((account::Entity, account::Column::Id)),
            Column::Asset.eq(USD),
            Column::Kind.is_in(kinds.iter().copied())
        ];
        select.inner_join(ledger_account::Entity, of_account);
        select.order_by((ledger_account::Entity, Column::Id), Order::Asc);
        for column in Column::iter() {
            select
                .expr_as(Expr::col((ledger_account::Entity, column)), format!("{LEDGER}{}", column.as_str()));
        }
    }
    let mut statement = backend.build(&select);
    if backend == DbBackend::Postgres {
        statement.sql.push_str(locks);
    }
    let rows = connection.query_all_raw(statement).await?;
    let row = rows.first().ok_or_else(|| Refusal::not_found("accountId"))?;
    let account = account::Model::from_query_result(row, "")?;
    for (owner, name) in [(Some(account.user_id), OWNER), (account.joint_member_id, JOINT_MEMBER)] {
        if owner.is_some() {
            let status = row.try_get::<Option<user::Status>>("", name)?;
            users::require_status_approved(status.ok_or_else(|| Refusal::not_found("accountId"))?)?;
        }
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
    let mut cash = Vec::new();
    for row in rows.iter().filter(|_| !kinds.is_empty()) {
        cash.push(ledger_account::Model::from_query_result(row, LEDGER)?);
    }
    Ok((account, cash))
}

/// Names of columns: the status of the account's owner and joint member, and the prefix of those of the ledger.
const OWNER: &str = "owner_status";
const JOINT_MEMBER: &str = "joint_member_status";
const LEDGER: &str = "ledger_";

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
    let select = account::Entity::by_id_within(access_scope, id).lock(lock);
    select.one(connection).await?.ok_or_else(|| Refusal::not_found("accountId").into())
}

/// Returns the id of the caller's only tradable account, for orders without an account (documented: orders
/// name no account). Refuses `accountId` as required when there is none or more than one. Tradable accounts
/// are those that [`usable`] admits: active, and every owner approved.
pub async fn only_one(connection: &impl ConnectionTrait, access_scope: AccessScope) -> Result<Uuid> {
    let approved = users::approved_ids(access_scope.partner_id);
    let select = account::Entity::within(access_scope)
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
