//! GraphQL types and mutations for external bank accounts.

use crate::{
    graphql::{
        core::{
            context::RequestContext,
            errors::{BankAccountUserError, GeneralUserError, payload},
            pages::Item,
            scalars::DateTime,
        },
        people::users::User,
    },
    wire::{self, Result},
};
use async_graphql::{Context, ID, InputObject, Object};
use domain::{
    funding::bank_accounts::{self, LinkBankAccount, RemoveBankAccount, UpdateBankAccount},
    kernel::{idempotency::Key, ids},
};
use entity::{Kind, bank_account, user};
use uuid::Uuid;

/// External bank account that deposits are pulled from.
pub struct BankAccount(pub bank_account::Model);

/// External bank account that deposits are pulled from.
#[Object]
impl BankAccount {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Owner of the bank account.
    async fn owner(&self, ctx: &Context<'_>) -> Result<User> {
        Ok(User(ctx.loaders().get::<user::Entity>(self.0.user_id).await?))
    }

    /// Name chosen by the owner.
    async fn nickname(&self) -> &str {
        &self.0.nickname
    }

    /// ABA routing number of the bank.
    async fn routing_number(&self) -> &str {
        &self.0.routing_number
    }

    /// Last digits of the account number, at most four.
    async fn number_last4(&self) -> &str {
        &self.0.number_last4
    }

    /// Whether this is the default bank account of its owner.
    async fn is_default(&self) -> bool {
        self.0.is_default
    }

    /// Time when the bank account was linked.
    async fn linked_at(&self) -> DateTime {
        self.0.linked_at.into()
    }

    /// Time when the bank account was removed; null until then. A removed bank account is only visible
    /// through its transfers and events.
    async fn removed_at(&self) -> Option<DateTime> {
        self.0.removed_at.map(DateTime::from)
    }
}

impl Item for BankAccount {
    const KIND: Kind = Kind::BankAccount;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}

impl From<bank_account::Model> for BankAccount {
    fn from(row: bank_account::Model) -> Self {
        Self(row)
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

impl BankAccountLinkInput {
    fn parse(self) -> (Option<Key>, LinkBankAccount) {
        let key = self.idempotency_key.as_deref().map(Key::given);
        let new = LinkBankAccount {
            user_id: ids::parse(Kind::User, &self.user_id),
            number: self.number,
            routing_number: self.routing_number,
            nickname: self.nickname,
        };
        (key, new)
    }
}

payload!(
    /// Result of bankAccountLink.
    BankAccountLinkPayload {
        /// The bank account. Null if the request was refused.
        bank_account: BankAccount,
        GeneralUserError
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

fn parse<T>(key: Option<&str>, id: &ID, make: impl FnOnce(Uuid) -> T) -> (Option<Key>, T) {
    let key = key.map(Key::given);
    (key, make(ids::parse(Kind::BankAccount, id)))
}

payload!(
    /// Result of bankAccountRename.
    BankAccountRenamePayload {
        /// The bank account. Null if the request was refused.
        bank_account: BankAccount,
        BankAccountUserError
    }
);

payload!(
    /// Result of bankAccountSetDefault.
    BankAccountSetDefaultPayload {
        /// The bank account. Null if the request was refused.
        bank_account: BankAccount,
        BankAccountUserError
    }
);

payload!(
    /// Result of bankAccountRemove.
    BankAccountRemovePayload {
        /// Id of the removed bank account. Null if the request was refused.
        bank_account_id: ID,
        BankAccountUserError
    }
);

#[derive(Default)]
pub struct BankAccountMutation;

#[Object]
impl BankAccountMutation {
    /// Links a bank account of an approved user. Requires scope `manage`.
    async fn bank_account_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for bankAccountLink.")] input: BankAccountLinkInput,
    ) -> Result<Option<BankAccountLinkPayload>> {
        let (key, new) = input.parse();
        let linked = bank_accounts::link(ctx.app(), ctx.actor(), key, new).await;
        Ok(Some(wire::answered(linked)?.into()))
    }

    /// Renames a bank account. Requires scope `manage`.
    async fn bank_account_rename(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for bankAccountRename.")] input: BankAccountRenameInput,
    ) -> Result<Option<BankAccountRenamePayload>> {
        let BankAccountRenameInput { idempotency_key, bank_account_id, nickname } = input;
        let make = |bank_account_id| UpdateBankAccount {
            bank_account_id,
            nickname: Some(nickname),
            is_default: None,
        };
        let (key, update) = parse(idempotency_key.as_deref(), &bank_account_id, make);
        let renamed = bank_accounts::update(ctx.app(), ctx.actor(), key, update).await;
        Ok(Some(wire::answered(renamed)?.into()))
    }

    /// Makes a bank account its owner's default, or removes it as the default. Requires scope `manage`.
    async fn bank_account_set_default(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for bankAccountSetDefault.")] input: BankAccountSetDefaultInput,
    ) -> Result<Option<BankAccountSetDefaultPayload>> {
        let BankAccountSetDefaultInput { idempotency_key, bank_account_id, is_default } = input;
        let make = |bank_account_id| UpdateBankAccount {
            bank_account_id,
            nickname: None,
            is_default: Some(is_default),
        };
        let (key, update) = parse(idempotency_key.as_deref(), &bank_account_id, make);
        let set = bank_accounts::update(ctx.app(), ctx.actor(), key, update).await;
        Ok(Some(wire::answered(set)?.into()))
    }

    /// Removes a bank account that has no pending transfer. Requires scope `manage`.
    async fn bank_account_remove(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for bankAccountRemove.")] input: BankAccountRemoveInput,
    ) -> Result<Option<BankAccountRemovePayload>> {
        let make = |bank_account_id| RemoveBankAccount { bank_account_id };
        let (key, removal) = parse(input.idempotency_key.as_deref(), &input.bank_account_id, make);
        let removed = bank_accounts::remove(ctx.app(), ctx.actor(), key, removal).await;
        Ok(Some(wire::answered(removed)?.map(|removed| ID::from(removed.id)).into()))
    }
}
