//! Connection of a user to the accounts that they own, alone or jointly.

use crate::graphql::{
    accounts::Account,
    core::{
        breadth::{Edges, Fast, Leaf as _, Out, Slow},
        nodes::Item,
        pages::{Connection, PageInfo},
    },
};
use async_graphql::{Enum, Object, OutputType};
use entity::account;
use macros::Leaf;
use std::borrow::Cow;
use uuid::Uuid;

/// Role of a user in an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
pub enum AccountRole {
    /// Primary owner.
    Owner,
    /// Second owner of a joint account.
    JointOwner,
}

impl AccountRole {
    fn of(user_id: Uuid, account: &account::Model) -> Self {
        if account.user_id == user_id { Self::Owner } else { Self::JointOwner }
    }
}

/// Edges that also show the role of a user in an account.
#[derive(Clone, Copy, Debug)]
pub struct RoleEdges {
    pub user_id: Uuid,
}

impl Edges<Account> for RoleEdges {
    type Shown = UserAccountConnection;

    fn type_names() -> [Cow<'static, str>; 2] {
        [UserAccountConnection::type_name(), <UserAccountEdge<'_> as OutputType>::type_name()]
    }

    fn write(&self, field: &str, node: &Account, out: &mut Out) -> Fast<()> {
        match field {
            "role" => AccountRole::of(self.user_id, &node.0).write(out),
            _ => Err(Slow),
        }
    }

    fn reads(field: &str) -> Option<&'static [&'static str]> {
        (field == "role").then_some(&["user_id"])
    }

    fn show(self, accounts: Connection<Account>) -> UserAccountConnection {
        UserAccountConnection { user_id: self.user_id, accounts }
    }
}

/// Page of the accounts of a user.
pub struct UserAccountConnection {
    pub user_id: Uuid,
    pub accounts: Connection<Account>,
}

/// Page of the accounts of a user.
#[Object]
impl UserAccountConnection {
    /// Accounts of this page, in order.
    async fn edges(&self) -> Vec<UserAccountEdge<'_>> {
        let edge = |account| UserAccountEdge { user_id: self.user_id, account };
        self.accounts.items().map(edge).collect()
    }

    /// Pagination information of this page.
    async fn page_info(&self) -> PageInfo {
        self.accounts.info()
    }
}

/// Account of a user, with their role in it.
pub struct UserAccountEdge<'a> {
    user_id: Uuid,
    account: &'a Account,
}

/// Account of a user, with their role in it.
#[Object]
impl UserAccountEdge<'_> {
    /// Cursor of the account; pass it as `after` or `before`.
    async fn cursor(&self) -> String {
        self.account.row_id().to_string()
    }

    /// The account.
    async fn node(&self) -> &Account {
        self.account
    }

    /// Role of the user in the account.
    async fn role(&self) -> AccountRole {
        AccountRole::of(self.user_id, &self.account.0)
    }
}
