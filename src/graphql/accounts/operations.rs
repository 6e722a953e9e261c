//! Queries of accounts.

use super::{
    Account,
    lists::{AccountFilter, AccountSort},
};
use crate::{
    graphql::core::{
        breadth::{Fetch, ListOf, Maybe, fetch},
        context::Viewpoint,
        pages::PageArgs,
    },
    wire::Result,
};
use async_graphql::ID;
use macros::breadth;

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
