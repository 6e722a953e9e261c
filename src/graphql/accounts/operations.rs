//! Queries and mutations of accounts.

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
    /// Result of accountOpen.
    AccountOpenPayload {
        /// The account. Null if the request was refused.
        account: Account,
        GeneralUserError
    }
);

payload!(
    /// Result of accountUpdate.
    AccountUpdatePayload {
        /// The account. Null if the request was refused.
        account: Account,
        AccountUserError
    }
);

payload!(
    /// Result of accountFreeze.
    AccountFreezePayload {
        /// The account. Null if the request was refused.
        account: Account,
        AccountUserError
    }
);

payload!(
    /// Result of accountUnfreeze.
    AccountUnfreezePayload {
        /// The account. Null if the request was refused.
        account: Account,
        AccountUserError
    }
);

payload!(
    /// Result of accountClose.
    AccountClosePayload {
        /// The account. Null if the request was refused.
        account: Account,
        AccountUserError
    }
);

#[derive(Default)]
pub struct AccountQuery;

#[Object]
impl AccountQuery {
    /// Returns an account by id, or null if it was not found. Requires scope `read`.
    async fn account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the account.")] id: ID,
    ) -> Result<Option<Account>> {
        let id = ids::parse(Kind::Account, &id);
        Ok(accounts::find(&*ctx.loaders().connection().await?, ctx.actor(), id).await?.map(Account))
    }

    /// Returns the accounts that the caller can see, newest first. Requires scope `read`.
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
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
    /// Opens an individual or joint account for an approved user. Requires scope `manage`.
    async fn account_open(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for accountOpen.")] input: AccountOpenInput,
    ) -> Result<Option<AccountOpenPayload>> {
        let (key, new) = input.parse();
        let opened = accounts::open(ctx.app(), ctx.actor(), key, new).await;
        Ok(Some(wire::answered(opened)?.into()))
    }

    /// Changes the financial profile, type or ownership of an active account. Requires scope `manage`.
    async fn account_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for accountUpdate.")] input: AccountUpdateInput,
    ) -> Result<Option<AccountUpdatePayload>> {
        let (key, update) = input.parse();
        let updated = accounts::update(ctx.app(), ctx.actor(), key, update).await;
        Ok(Some(wire::answered(updated)?.into()))
    }

    /// Freezes an active account: deposits and new orders are refused, but open orders can be canceled, and
    /// pending activity settles. Requires scope `operate`.
    async fn account_freeze(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for accountFreeze.")] input: AccountFreezeInput,
    ) -> Result<Option<AccountFreezePayload>> {
        let (key, freeze) = input.parse();
        let frozen = accounts::freeze(ctx.app(), ctx.actor(), key, freeze).await;
        Ok(Some(wire::answered(frozen)?.into()))
    }

    /// Makes a frozen account active again. Requires scope `operate`.
    async fn account_unfreeze(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for accountUnfreeze.")] input: AccountUnfreezeInput,
    ) -> Result<Option<AccountUnfreezePayload>> {
        let (key, unfreeze) = input.parse();
        let unfrozen = accounts::unfreeze(ctx.app(), ctx.actor(), key, unfreeze).await;
        Ok(Some(wire::answered(unfrozen)?.into()))
    }

    /// Permanently closes an account without cash, shares, open orders or pending transfers. Requires scope
    /// `operate`.
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
