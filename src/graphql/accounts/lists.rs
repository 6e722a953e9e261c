//! Filter and sort order of the list of accounts.

use super::{AccountStatus, AccountType};
use crate::{
    graphql::{
        core::{context::Viewpoint, sorts::sort_by},
        people::users::User,
    },
    wire::Result,
};
use async_graphql::{ID, InputObject};
use domain::{
    Refusal, accounts,
    kernel::{ids, lists::Filter},
};
use entity::{Kind, account, positional::ColumnSet};

/// Filter for accounts. An account must match all the fields that are given.
#[derive(Clone, Default, InputObject)]
pub struct AccountFilter {
    /// Only accounts with one of these statuses. If omitted or empty, all accounts.
    statuses: Option<Vec<AccountStatus>>,
    /// Only accounts of one of these types. If omitted or empty, all accounts.
    types: Option<Vec<AccountType>>,
    /// Only accounts that this user owns, alone or jointly.
    user_id: Option<ID>,
}

impl AccountFilter {
    /// Returns the conditions on the rows. Refuses a user that the caller cannot see.
    pub async fn conditions(self, view: &Viewpoint) -> Result<Vec<Filter>> {
        let statuses = self.statuses.unwrap_or_default().into_iter().map(account::Status::from);
        let types = self.types.unwrap_or_default().into_iter().map(account::AccountKind::from);
        let mut filters: Vec<_> =
            [Filter::one_of(account::Column::Status, statuses), Filter::one_of(account::Column::Kind, types)]
                .into_iter()
                .flatten()
                .collect();
        if let Some(id) = self.user_id {
            let id = ids::parse(Kind::User, &id);
            if view.loaders().batch_loader().by_ids::<User>(&[id], ColumnSet::ALL).await?.is_empty() {
                return Err(Refusal::not_found("filter.userId").into());
            }
            filters.push(accounts::owned_by(id));
        }
        Ok(filters)
    }
}

sort_by!(
    /// Sort order of accounts.
    AccountSort, AccountSortField of account, default OpenedAt Desc {
        /// Time of opening.
        OpenedAt [],
        /// Account number.
        Number [Number],
    }
);
