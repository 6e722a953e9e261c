//! The GraphQL face of bank accounts outside.

use super::{
    context::RequestContext,
    errors::{GeneralUserError, payload},
    page::Item,
    scalars::DateTime,
    users::User,
};
use crate::{
    domain::{
        self,
        bank_accounts::{self, NewBankAccount},
        command,
        idempotency::Key,
        ids,
    },
    wire::{self, Result},
};
use async_graphql::{Context, ID, InputObject, Object};
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

    /// Whose it is.
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
    /// Whose it is.
    user_id: ID,
    /// Account number, 4 to 17 letters and digits; never sent back in full.
    number: String,
    /// Routing number, nine digits.
    routing_number: String,
    /// What its owner calls it.
    nickname: String,
}

impl BankAccountLinkInput {
    fn parse(self) -> domain::Result<(Option<Key>, NewBankAccount)> {
        let key = self.idempotency_key.as_deref().map(|key| Key::parse("idempotencyKey", key)).transpose()?;
        let new = NewBankAccount {
            user_id: ids::parse(Kind::User, &self.user_id),
            number: self.number,
            routing_number: self.routing_number,
            nickname: self.nickname,
        };
        Ok((key, new))
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

#[derive(Default)]
pub struct BankAccountMutation;

#[Object]
impl BankAccountMutation {
    /// Link a bank account of an approved person; scope `manage`.
    async fn bank_account_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose, and which.")] input: BankAccountLinkInput,
    ) -> Result<Option<BankAccountLinkPayload>> {
        let linked = match input.parse() {
            Ok((key, new)) => bank_accounts::link(ctx.app(), ctx.actor(), key, new).await,
            Err(error) => Err(command::unreadable::<NewBankAccount>(ctx.actor(), error)),
        };
        Ok(Some(wire::answered(linked)?.into()))
    }
}
