//! Queries and mutations of accounts.

use super::{
    Account,
    inputs::{
        AccountCloseInput, AccountFreezeInput, AccountOpenInput, AccountUnfreezeInput, AccountUpdateInput,
    },
    lists::{AccountFilter, AccountSort},
};
use crate::{
    graphql::core::{
        context::RequestContext,
        mutations::{mutations, payload},
        pages::{Connection, PageArguments},
    },
    wire::Result,
};
use async_graphql::{Context, ID, Object};
use domain::{accounts, kernel::ids};
use entity::Kind;

payload!(
    /// Result of accountOpen.
    AccountOpenPayload {
        /// The account. Null if the request was refused.
        account: Account
    }
);

payload!(
    /// Result of accountUpdate.
    AccountUpdatePayload {
        /// The account. Null if the request was refused.
        account: Account
    }
);

payload!(
    /// Result of accountFreeze.
    AccountFreezePayload {
        /// The account. Null if the request was refused.
        account: Account
    }
);

payload!(
    /// Result of accountUnfreeze.
    AccountUnfreezePayload {
        /// The account. Null if the request was refused.
        account: Account
    }
);

payload!(
    /// Result of accountClose.
    AccountClosePayload {
        /// The account. Null if the request was refused.
        account: Account
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

    /// Returns the accounts that the caller can see, newest first by default. Requires scope `read`.
    #[expect(clippy::too_many_arguments, reason = "a connection has four arguments of its own")]
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Filter for the accounts.")] filter: Option<AccountFilter>,
        #[graphql(desc = "Sort order; newest first by default.")] order_by: Option<AccountSort>,
    ) -> Result<Option<Connection<Account>>> {
        let page = ctx.sorted_page::<Account, _>(PageArguments { first, after, last, before }, order_by)?;
        let filters = filter.unwrap_or_default().conditions(ctx).await?;
        let slice = accounts::list(&*ctx.loaders().connection().await?, ctx.actor(), &page, &filters).await?;
        Ok(Some(Connection::sorted(slice, |row| page.cursor_of(row), Account)?))
    }
}

mutations!(AccountMutation {
    /// Opens an individual or joint account for an approved user. Requires scope `manage`.
    account_open(AccountOpenInput: "Input for accountOpen.") -> AccountOpenPayload,

    /// Changes the financial profile, type or ownership of an active account. Requires scope `manage`.
    account_update(AccountUpdateInput: "Input for accountUpdate.") -> AccountUpdatePayload,

    /// Freezes an active account: deposits and new orders are refused, but open orders can be canceled, and
    /// pending activity settles. Requires scope `operate`.
    account_freeze(AccountFreezeInput: "Input for accountFreeze.") -> AccountFreezePayload,

    /// Makes a frozen account active again. Requires scope `operate`.
    account_unfreeze(AccountUnfreezeInput: "Input for accountUnfreeze.") -> AccountUnfreezePayload,

    /// Permanently closes an account without cash, shares, open orders or pending transfers. Requires scope
    /// `operate`.
    account_close(AccountCloseInput: "Input for accountClose.") -> AccountClosePayload,
});
