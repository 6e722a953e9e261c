//! What can be asked about accounts, and what can be done to them.

use super::{
    Account,
    inputs::{
        AccountCloseInput, AccountFreezeInput, AccountOpenInput, AccountUnfreezeInput, AccountUpdateInput,
    },
};
use crate::{
    graphql::core::{
        context::RequestContext,
        errors::{AccountUserError, GeneralUserError, payload},
        pages::Connection,
    },
    wire::{self, Result},
};
use async_graphql::{Context, ID, Object};
use domain::{accounts, kernel::ids};
use entity::Kind;

payload!(
    /// Outcome of accountOpen.
    AccountOpenPayload {
        /// The account, null when refused.
        account: Account,
        GeneralUserError
    }
);

payload!(
    /// Outcome of accountUpdate.
    AccountUpdatePayload {
        /// The account, null when refused.
        account: Account,
        AccountUserError
    }
);

payload!(
    /// Outcome of accountFreeze.
    AccountFreezePayload {
        /// The account, null when refused.
        account: Account,
        AccountUserError
    }
);

payload!(
    /// Outcome of accountUnfreeze.
    AccountUnfreezePayload {
        /// The account, null when refused.
        account: Account,
        AccountUserError
    }
);

payload!(
    /// Outcome of accountClose.
    AccountClosePayload {
        /// The account, null when refused.
        account: Account,
        AccountUserError
    }
);

#[derive(Default)]
pub struct AccountQuery;

#[Object]
impl AccountQuery {
    /// An account by id; null when there is none or it is not yours; scope `read`.
    async fn account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Opaque id.")] id: ID,
    ) -> Result<Option<Account>> {
        let id = ids::parse(Kind::Account, &id);
        Ok(accounts::find(&*ctx.loaders().connection().await?, ctx.actor(), id).await?.map(Account))
    }

    /// The partner's accounts, newest first; scope `read`.
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<Account>>> {
        let page = ctx.page::<Account>(first, after, last, before)?;
        let slice = accounts::list(&*ctx.loaders().connection().await?, ctx.actor(), &page).await?;
        Ok(Some(Connection::new(slice, Account)))
    }
}

#[derive(Default)]
pub struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Open an account for an approved person, alone or with another; scope `manage`.
    async fn account_open(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for accountOpen.")] input: AccountOpenInput,
    ) -> Result<Option<AccountOpenPayload>> {
        let (key, new) = input.parse();
        let opened = accounts::open(ctx.app(), ctx.actor(), key, new).await;
        Ok(Some(wire::answered(opened)?.into()))
    }

    /// Change an active account: what its owner says about herself, what it is for, or who owns it too; scope
    /// `manage`.
    async fn account_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for accountUpdate.")] input: AccountUpdateInput,
    ) -> Result<Option<AccountUpdatePayload>> {
        let (key, update) = input.parse();
        let updated = accounts::update(ctx.app(), ctx.actor(), key, update).await;
        Ok(Some(wire::answered(updated)?.into()))
    }

    /// Stop deposits and orders on an account; orders can still be cancelled, and what is under way settles;
    /// scope `operate`.
    async fn account_freeze(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for accountFreeze.")] input: AccountFreezeInput,
    ) -> Result<Option<AccountFreezePayload>> {
        let (key, freeze) = input.parse();
        let frozen = accounts::freeze(ctx.app(), ctx.actor(), key, freeze).await;
        Ok(Some(wire::answered(frozen)?.into()))
    }

    /// Let a frozen account be used again; scope `operate`.
    async fn account_unfreeze(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for accountUnfreeze.")] input: AccountUnfreezeInput,
    ) -> Result<Option<AccountUnfreezePayload>> {
        let (key, unfreeze) = input.parse();
        let unfrozen = accounts::unfreeze(ctx.app(), ctx.actor(), key, unfreeze).await;
        Ok(Some(wire::answered(unfrozen)?.into()))
    }

    /// Close an account on which nothing is left, for good; scope `operate`.
    async fn account_close(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for accountClose.")] input: AccountCloseInput,
    ) -> Result<Option<AccountClosePayload>> {
        let (key, closing) = input.parse();
        let closed = accounts::close(ctx.app(), ctx.actor(), key, closing).await;
        Ok(Some(wire::answered(closed)?.into()))
    }
}
