//! Accounts with their owners, as the documented responses show them.

use super::{owners, within};
use crate::{
    Actor, Result, Visible,
    compliance::registration::{self, Registered},
    kernel::{
        actor::AccessScope,
        app::App,
        audit_log,
        pages::{Page, Slice},
        rows,
    },
};
use entity::account;
use std::collections::HashMap;
use uuid::Uuid;

/// Account with its owners. A signed-in user sees only themselves among the owners.
#[derive(Clone, Debug)]
pub struct AccountWithOwners {
    pub account: account::Model,
    pub owner: Option<Registered>,
    pub joint_member: Option<Registered>,
}

impl AccountWithOwners {
    fn of(account: account::Model, people: &HashMap<Uuid, Registered>) -> Self {
        let owner = people.get(&account.user_id).cloned();
        let joint_member = account.joint_member_id.and_then(|id| people.get(&id).cloned());
        Self { account, owner, joint_member }
    }
}

/// Returns the account with this id and its owners. Requires scope `read`. The read is written to the audit
/// log.
pub async fn get_audited(app: &App, actor: &Actor, id: Uuid) -> Result<Option<AccountWithOwners>> {
    let caller = account::Entity::reader(actor)?;
    let Some(account) = within(&app.db.read, caller.access_scope, id).await? else { return Ok(None) };
    let people = people_of(app, caller.access_scope, std::slice::from_ref(&account)).await?;
    audit_log::record_read(app, &caller, actor.request_id, "account.read", Some(account.id)).await?;
    Ok(Some(AccountWithOwners::of(account, &people)))
}

/// Returns a page of the accounts that a user owns, alone or jointly, with their owners. Requires scope
/// `read`. The read is written to the audit log once per page.
pub async fn list_audited(
    app: &App,
    actor: &Actor,
    user_id: Uuid,
    page: &Page,
) -> Result<Slice<AccountWithOwners>> {
    let caller = account::Entity::reader(actor)?;
    let Slice { rows, has_previous, has_next } = rows::page::<account::Entity>(
        &app.db.read,
        caller.access_scope,
        &(*page).into(),
        &[super::owned_by(user_id)],
    )
    .await?;
    let people = people_of(app, caller.access_scope, &rows).await?;
    audit_log::record_read(app, &caller, actor.request_id, "account.list", Some(user_id)).await?;
    Ok(Slice {
        rows: rows.into_iter().map(|account| AccountWithOwners::of(account, &people)).collect(),
        has_previous,
        has_next,
    })
}

async fn people_of(
    app: &App,
    access_scope: AccessScope,
    accounts: &[account::Model],
) -> Result<HashMap<Uuid, Registered>> {
    registration::registered(&app.db.read, access_scope, accounts.iter().flat_map(owners)).await
}
