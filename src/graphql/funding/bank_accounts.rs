//! GraphQL types and mutations for external bank accounts.

use crate::graphql::{
    core::{
        breadth::One,
        mutations::{Input, mutations, payload},
        scalars::DateTime,
    },
    people::users::User,
};
use async_graphql::{ID, InputObject};
use domain::{
    funding::bank_accounts::{LinkBankAccount, RemoveBankAccount, UpdateBankAccount},
    kernel::ids,
};
use entity::{Kind, bank_account};
use macros::breadth;

/// External bank account that deposits are pulled from.
#[derive(Clone)]
pub struct BankAccount(pub bank_account::Model);

/// External bank account that deposits are pulled from.
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
}

/// Input for bankAccountLink.
#[derive(InputObject)]
pub struct BankAccountLinkInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of the owner. The identity of this user must be approved.
    user_id: ID,
    /// Account number, 4 to 17 letters and digits. The GraphQL API returns only the last digits.
    number: String,
    /// ABA routing number, nine digits.
    routing_number: String,
    /// Name chosen by the owner.
    nickname: String,
}

impl Input for BankAccountLinkInput {
    type Command = LinkBankAccount;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<LinkBankAccount> {
        Ok(LinkBankAccount {
            user_id: ids::parse(Kind::User, &self.user_id),
            number: self.number,
            routing_number: self.routing_number,
            nickname: self.nickname,
        })
    }
}

payload!(
    /// Result of bankAccountLink.
    BankAccountLinkPayload {
        /// The bank account. Null if the request was refused.
        bank_account: BankAccount
    }
);

/// Input for bankAccountRename.
#[derive(InputObject)]
pub struct BankAccountRenameInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of the bank account.
    bank_account_id: ID,
    /// New name.
    nickname: String,
}

/// Input for bankAccountSetDefault.
#[derive(InputObject)]
pub struct BankAccountSetDefaultInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of the bank account.
    bank_account_id: ID,
    /// `true` makes this the default bank account of its owner instead of any other; `false` leaves the owner
    /// without a default if this is the default.
    #[graphql(default = true)]
    is_default: bool,
}

/// Input for bankAccountRemove.
#[derive(InputObject)]
pub struct BankAccountRemoveInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: Option<String>,
    /// Id of the bank account.
    bank_account_id: ID,
}

impl Input for BankAccountRenameInput {
    type Command = UpdateBankAccount;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<UpdateBankAccount> {
        let bank_account_id = ids::parse(Kind::BankAccount, &self.bank_account_id);
        Ok(UpdateBankAccount { bank_account_id, nickname: Some(self.nickname), is_default: None })
    }
}

impl Input for BankAccountSetDefaultInput {
    type Command = UpdateBankAccount;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<UpdateBankAccount> {
        let bank_account_id = ids::parse(Kind::BankAccount, &self.bank_account_id);
        Ok(UpdateBankAccount { bank_account_id, nickname: None, is_default: Some(self.is_default) })
    }
}

impl Input for BankAccountRemoveInput {
    type Command = RemoveBankAccount;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn parse(self) -> domain::Result<RemoveBankAccount> {
        Ok(RemoveBankAccount { bank_account_id: ids::parse(Kind::BankAccount, &self.bank_account_id) })
    }
}

payload!(
    /// Result of bankAccountRename.
    BankAccountRenamePayload {
        /// The bank account. Null if the request was refused.
        bank_account: BankAccount
    }
);

payload!(
    /// Result of bankAccountSetDefault.
    BankAccountSetDefaultPayload {
        /// The bank account. Null if the request was refused.
        bank_account: BankAccount
    }
);

payload!(
    /// Result of bankAccountRemove.
    BankAccountRemovePayload {
        /// The removed bank account. Null if the request was refused.
        bank_account: BankAccount
    }
);

mutations!(BankAccountMutation {
    /// Links a bank account of an approved user. Requires scope `manage`.
    bank_account_link(BankAccountLinkInput: "Input for bankAccountLink.") -> BankAccountLinkPayload,

    /// Renames a bank account. Requires scope `manage`.
    bank_account_rename(BankAccountRenameInput: "Input for bankAccountRename.") -> BankAccountRenamePayload,

    /// Makes a bank account its owner's default, or removes it as the default. Requires scope `manage`.
    bank_account_set_default(BankAccountSetDefaultInput: "Input for bankAccountSetDefault.")
        -> BankAccountSetDefaultPayload,

    /// Removes a bank account that has no pending transfer. Requires scope `manage`.
    bank_account_remove(BankAccountRemoveInput: "Input for bankAccountRemove.") -> BankAccountRemovePayload,
});
