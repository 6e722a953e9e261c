//! GraphQL types and mutations for external bank accounts.

use super::transfers::{Transfer, TransferFilter};
use crate::{
    graphql::{
        core::{
            breadth::{ListOf, One},
            context::Viewpoint,
            ids::IdOf,
            pages::PageArgs,
            scalars::DateTime,
        },
        people::users::User,
    },
    wire::Result,
};
use async_graphql::ID;
use domain::funding::bank_accounts::{LinkBankAccount, RemoveBankAccount, UpdateBankAccount};
use entity::bank_account;
use macros::{breadth, mutations};

/// External bank account that deposits are pulled from and withdrawals are paid to.
#[derive(Clone)]
pub struct BankAccount(pub bank_account::Model);

/// External bank account that deposits are pulled from and withdrawals are paid to.
#[breadth]
impl BankAccount {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Owner of the bank account.
    fn owner(&self) -> One<User> {
        One::of(self.0.user_id)
    }

    /// Name chosen by the owner.
    fn nickname(&self) -> &str {
        &self.0.nickname
    }

    /// ABA routing number of the bank.
    fn routing_number(&self) -> &str {
        &self.0.routing_number
    }

    /// Last digits of the account number, at most four.
    fn number_last4(&self) -> &str {
        &self.0.number_last4
    }

    /// Whether this is the default bank account of its owner.
    fn is_default(&self) -> bool {
        self.0.is_default
    }

    /// Time when the bank account was linked.
    fn linked_at(&self) -> DateTime {
        self.0.linked_at.into()
    }

    /// Time when the bank account was removed; null until then. A removed bank account is only visible
    /// through its transfers and events.
    fn removed_at(&self) -> Option<DateTime> {
        self.0.removed_at.map(DateTime::from)
    }

    /// Time when the bank account was disabled because a bank had returned a transfer; null unless it was. It then
    /// takes part in no new transfer.
    fn disabled_at(&self) -> Option<DateTime> {
        self.0.disabled_at.map(DateTime::from)
    }

    /// Transfers from and to the bank account, newest first.
    fn transfers(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(desc = "Filter for the transfers.")] filter: Option<TransferFilter>,
    ) -> Result<ListOf<Transfer>> {
        ListOf::under(view, self.0.id, &page, filter.unwrap_or_default().conditions())
    }
}

#[mutations]
impl BankAccountMutation {
    /// Links a bank account of an approved user. Requires scope `manage`.
    #[answers(bank_account: BankAccount)]
    fn bank_account_link(
        /// Id of the owner. The identity of this user must be approved.
        user_id: IdOf<User>,
        /// Account number, 4 to 17 letters and digits. The GraphQL API returns only the last digits.
        number: String,
        /// ABA routing number, nine digits.
        routing_number: String,
        /// Name chosen by the owner.
        nickname: String,
    ) -> LinkBankAccount;

    /// Renames a bank account. Requires scope `manage`.
    #[answers(bank_account: BankAccount)]
    fn bank_account_rename(
        bank_account_id: IdOf<BankAccount>,
        /// New name.
        nickname: String,
    ) -> UpdateBankAccount {
        let bank_account_id = bank_account_id.into();
        UpdateBankAccount { bank_account_id, nickname: Some(nickname), is_default: None }
    }

    /// Makes a bank account its owner's default, or removes it as the default. Requires scope `manage`.
    #[answers(bank_account: BankAccount)]
    fn bank_account_set_default(
        bank_account_id: IdOf<BankAccount>,
        /// `true` makes this the default bank account of its owner instead of any other; `false` leaves the owner
        /// without a default if this is the default.
        #[graphql(default = true)]
        is_default: bool,
    ) -> UpdateBankAccount {
        let bank_account_id = bank_account_id.into();
        UpdateBankAccount { bank_account_id, nickname: None, is_default: Some(is_default) }
    }

    /// Removes a bank account that has no transfer under way. Requires scope `manage`.
    #[answers(bank_account: BankAccount = "The removed bank account. Null if the request was refused.")]
    fn bank_account_remove(bank_account_id: IdOf<BankAccount>) -> RemoveBankAccount;
}
