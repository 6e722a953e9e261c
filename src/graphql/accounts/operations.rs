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
        breadth::{Fetch, ListOf, Maybe, fetch},
        context::Viewpoint,
        mutations::{mutations, payload},
        pages::PageArgs,
    },
    wire::Result,
};
use async_graphql::ID;
use macros::breadth;

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

#[breadth]
impl AccountQuery {
    /// Returns an account by id, or null if it was not found. Requires scope `read`.
    fn account(
        &self,
        view: &Viewpoint,
        #[graphql(desc = "Id of the account.")] id: ID,
    ) -> Result<Maybe<Account>> {
        Maybe::find(view, &id)
    }

    /// Returns the accounts that the caller can see, newest first by default. Requires scope `read`.
    fn accounts(
        &self,
        page: PageArgs,
        #[graphql(desc = "Filter for the accounts.")] filter: Option<AccountFilter>,
        #[graphql(desc = "Sort order; newest first by default.")] order_by: Option<AccountSort>,
    ) -> Fetch<Option<ListOf<Account>>> {
        let filter = filter.unwrap_or_default();
        fetch(move |view| {
            let (page, filter, order_by) = (page.clone(), filter.clone(), order_by.clone());
            Box::pin(async move {
                let filters = filter.conditions(view).await?;
                Ok(Some(ListOf::sorted(view, &page, filters, order_by)?))
            })
        })
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
