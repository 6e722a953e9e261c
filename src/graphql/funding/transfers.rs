//! GraphQL types, queries and mutations for transfers.

use super::bank_accounts::BankAccount;
use crate::{
    graphql::{
        accounts::Account,
        core::{
            context::RequestContext,
            mutations::{Input, mutations, payload},
            pages::Item,
            scalars::{Date, DateTime, Money, MoneyInput},
        },
    },
    wire::Result,
};
use async_graphql::{Context, Enum, ID, InputObject, Object};
use domain::{
    funding::transfers::{self, CreateDeposit},
    kernel::ids,
};
use entity::{Kind, account, bank_account, transfer};
use uuid::Uuid;

/// ACH transfer between an external bank account and a brokerage account.
pub struct Transfer(pub transfer::Model);

/// ACH transfer between an external bank account and a brokerage account.
#[Object]
impl Transfer {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Brokerage account.
    async fn account(&self, ctx: &Context<'_>) -> Result<Account> {
        Ok(Account(ctx.loaders().get::<account::Entity>(self.0.account_id).await?))
    }

    /// External bank account, even if it has since been removed. Null if the caller is a signed-in user who
    /// does not own it.
    async fn bank_account(&self, ctx: &Context<'_>) -> Result<Option<BankAccount>> {
        Ok(ctx.loaders().find::<bank_account::Entity>(self.0.bank_account_id).await?.map(BankAccount))
    }

    /// Direction, seen from the brokerage account.
    async fn direction(&self) -> TransferDirection {
        self.0.direction.into()
    }

    /// Amount transferred; always positive.
    async fn amount(&self) -> Money {
        self.0.amount.into()
    }

    /// Transfer status.
    async fn status(&self) -> TransferStatus {
        self.0.status.into()
    }

    /// Date in New York on which the transfer is expected to settle.
    async fn expected_on(&self) -> Date {
        self.0.expected_on.into()
    }

    /// Time when the transfer was requested, by the partner's clock.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Time when the transfer settled; null until then.
    async fn settled_at(&self) -> Option<DateTime> {
        self.0.settled_at.map(DateTime)
    }
}

impl Item for Transfer {
    const KIND: Kind = Kind::Transfer;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}

impl From<transfer::Model> for Transfer {
    fn from(row: transfer::Model) -> Self {
        Self(row)
    }
}

/// Direction of a transfer, seen from the brokerage account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::transfer::Direction")]
pub enum TransferDirection {
    /// Into the brokerage account.
    Deposit,
    /// Out of the brokerage account.
    Withdrawal,
}

/// Status of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::transfer::Status")]
pub enum TransferStatus {
    /// In progress; the money is not available yet.
    Pending,
    /// Completed; a deposit is available as cash.
    Settled,
}

/// Input for depositCreate.
#[derive(InputObject)]
pub struct DepositCreateInput {
    /// Key chosen by the client. A retry with the same key and input returns the original result.
    idempotency_key: String,
    /// Id of the brokerage account that receives the money.
    account_id: ID,
    /// Id of the bank account that the money is pulled from. It must belong to an owner of the brokerage
    /// account.
    bank_account_id: ID,
    /// Amount in US dollars and cents, above zero.
    amount: MoneyInput,
}

impl Input for DepositCreateInput {
    type Command = CreateDeposit;

    fn key(&self) -> Option<&str> {
        Some(&self.idempotency_key)
    }

    fn parse(self) -> domain::Result<CreateDeposit> {
        Ok(CreateDeposit {
            account_id: ids::parse(Kind::Account, &self.account_id),
            bank_account_id: ids::parse(Kind::BankAccount, &self.bank_account_id),
            amount: self.amount.cents("amount")?,
        })
    }
}

payload!(
    /// Result of depositCreate.
    DepositCreatePayload {
        /// The deposit. Null if the request was refused.
        transfer: Transfer
    }
);

#[derive(Default)]
pub struct TransferQuery;

#[Object]
impl TransferQuery {
    /// Returns a transfer by id, or null if it was not found. Requires scope `read`.
    async fn transfer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the transfer.")] id: ID,
    ) -> Result<Option<Transfer>> {
        let id = ids::parse(Kind::Transfer, &id);
        Ok(transfers::find(&*ctx.loaders().connection().await?, ctx.actor(), id).await?.map(Transfer))
    }
}

mutations!(TransferMutation {
    /// Deposits money from a bank account by ACH. It settles on the next banking day. Requires scope
    /// `transfer`.
    deposit_create(DepositCreateInput: "Input for depositCreate.") -> DepositCreatePayload,
});
