//! The GraphQL face of bank accounts outside.

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

/// A bank account outside, which deposits are pulled from.
pub struct BankAccount(pub bank_account::Model);

/// A bank account outside, which deposits are pulled from.
#[Object]
impl BankAccount {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// The owner.
    async fn owner(&self, ctx: &Context<'_>) -> Result<User> {
        Ok(User(ctx.loaders().get::<user::Entity>(self.0.user_id).await?))
    }

    /// What its owner calls it.
    async fn nickname(&self) -> &str {
        &self.0.nickname
    }

    /// Routing number of the bank.
    async fn routing_number(&self) -> &str {
        &self.0.routing_number
    }

    /// Last digits of the account number, four at most.
    async fn number_last4(&self) -> &str {
        &self.0.number_last4
    }

    /// Whether money moves here when nothing else is said.
    async fn is_default(&self) -> bool {
        self.0.is_default
    }

    /// When it was linked.
    async fn linked_at(&self) -> DateTime {
        self.0.linked_at.into()
    }

    /// When it was removed; null while it was not. One that was is only shown by what happened with it.
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

/// Input of bankAccountLink.
#[derive(InputObject)]
pub struct BankAccountLinkInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// The owner.
    user_id: ID,
    /// Account number, 4 to 17 letters and digits; here only its end is sent back.
    number: String,
    /// Routing number, nine digits.
    routing_number: String,
    /// What its owner calls it.
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
    /// Outcome of bankAccountLink.
    BankAccountLinkPayload {
        /// The bank account, null when refused.
        bank_account: BankAccount,
        GeneralUserError
    }
);

/// Input of bankAccountRename.
#[derive(InputObject)]
pub struct BankAccountRenameInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Which bank account.
    bank_account_id: ID,
    /// What its owner calls it from now on.
    nickname: String,
}

/// Input of bankAccountSetDefault.
#[derive(InputObject)]
pub struct BankAccountSetDefaultInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Which bank account.
    bank_account_id: ID,
    /// Whether money moves here when nothing else is said; false leaves no default if this one was it.
    #[graphql(default = true)]
    is_default: bool,
}

/// Input of bankAccountRemove.
#[derive(InputObject)]
pub struct BankAccountRemoveInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: Option<String>,
    /// Which bank account.
    bank_account_id: ID,
}

fn parse<T>(key: Option<&str>, id: &ID, make: impl FnOnce(Uuid) -> T) -> (Option<Key>, T) {
    let key = key.map(Key::given);
    (key, make(ids::parse(Kind::BankAccount, id)))
}

payload!(
    /// Outcome of bankAccountRename.
    BankAccountRenamePayload {
        /// The bank account, null when refused.
        bank_account: BankAccount,
        BankAccountUserError
    }
);

payload!(
    /// Outcome of bankAccountSetDefault.
    BankAccountSetDefaultPayload {
        /// The bank account, null when refused.
        bank_account: BankAccount,
        BankAccountUserError
    }
);

payload!(
    /// Outcome of bankAccountRemove.
    BankAccountRemovePayload {
        /// What was removed, null when refused.
        bank_account_id: ID,
        BankAccountUserError
    }
);

#[derive(Default)]
pub struct BankAccountMutation;

#[Object]
impl BankAccountMutation {
    /// Link a bank account of an approved person; scope `manage`.
    async fn bank_account_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for bankAccountLink.")] input: BankAccountLinkInput,
    ) -> Result<Option<BankAccountLinkPayload>> {
        let (key, new) = input.parse();
        let linked = bank_accounts::link(ctx.app(), ctx.actor(), key, new).await;
        Ok(Some(wire::answered(linked)?.into()))
    }

    /// Call a bank account something else; scope `manage`.
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

    /// Make a bank account its owner's default in the place of any other, or no longer; scope `manage`.
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

    /// Remove a bank account with which no transfer is under way; scope `manage`.
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
