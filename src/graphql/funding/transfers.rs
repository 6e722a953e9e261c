//! The GraphQL face of money movements.

use super::bank_accounts::BankAccount;
use crate::{
    graphql::{
        accounts::Account,
        core::{
            context::RequestContext,
            errors::{TransferUserError, payload},
            pages::Item,
            scalars::{Date, DateTime, Money, MoneyInput},
        },
    },
    wire::{self, Result},
};
use async_graphql::{Context, Enum, ID, InputObject, Object};
use domain::{
    funding::transfers::{self, CreateDeposit},
    kernel::{command, idempotency::Key, ids},
};
use entity::{Kind, account, bank_account, transfer};
use uuid::Uuid;

/// Money moved by ACH.
pub struct Transfer(pub transfer::Model);

/// Money moved by ACH.
#[Object]
impl Transfer {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// The brokerage account.
    async fn account(&self, ctx: &Context<'_>) -> Result<Account> {
        Ok(Account(ctx.loaders().get::<account::Entity>(self.0.account_id).await?))
    }

    /// The other side, be it removed since; null for a person who has signed in and whose it is not.
    async fn bank_account(&self, ctx: &Context<'_>) -> Result<Option<BankAccount>> {
        Ok(ctx.loaders().find_own::<bank_account::Entity>(self.0.bank_account_id).await?.map(BankAccount))
    }

    /// Which way.
    async fn direction(&self) -> TransferDirection {
        self.0.direction.into()
    }

    /// How much.
    async fn amount(&self) -> Money {
        self.0.amount.into()
    }

    /// Where it stands.
    async fn status(&self) -> TransferStatus {
        self.0.status.into()
    }

    /// The New York day on which the money is expected.
    async fn expected_on(&self) -> Date {
        self.0.expected_on.into()
    }

    /// When it was asked for, by the partner's clock.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it settled; null before.
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

/// Direction seen from the brokerage account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::transfer::Direction")]
pub enum TransferDirection {
    /// Into the account.
    Deposit,
    /// Out of the account.
    Withdrawal,
}

/// Life cycle of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::transfer::Status")]
pub enum TransferStatus {
    /// On its way.
    Pending,
    /// Arrived.
    Settled,
}

/// Input of depositCreate.
#[derive(InputObject)]
pub struct DepositCreateInput {
    /// Made by the client; a retry repeats it.
    idempotency_key: String,
    /// Which account receives it.
    account_id: ID,
    /// Which bank account it is pulled from; of a person who owns the account.
    bank_account_id: ID,
    /// How much, above zero, to the cent.
    amount: MoneyInput,
}

impl DepositCreateInput {
    fn parse(self) -> domain::Result<(Key, CreateDeposit)> {
        let key = Key::given(&self.idempotency_key);
        let amount = key.check_with(self.amount.cents("amount"))?;
        let new = CreateDeposit {
            account_id: ids::parse(Kind::Account, &self.account_id),
            bank_account_id: ids::parse(Kind::BankAccount, &self.bank_account_id),
            amount,
        };
        Ok((key, new))
    }
}

payload!(
    /// Outcome of depositCreate.
    DepositCreatePayload {
        /// The deposit, null when refused.
        transfer: Transfer,
        TransferUserError
    }
);

#[derive(Default)]
pub struct TransferQuery;

#[Object]
impl TransferQuery {
    /// A transfer by id; null when there is none or it is not yours; scope `read`.
    async fn transfer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Opaque id.")] id: ID,
    ) -> Result<Option<Transfer>> {
        let id = ids::parse(Kind::Transfer, &id);
        Ok(transfers::find(&*ctx.loaders().connection().await?, ctx.actor(), id).await?.map(Transfer))
    }
}

#[derive(Default)]
pub struct TransferMutation;

#[Object]
impl TransferMutation {
    /// Pull money from a bank account by ACH, settled on the next banking day; scope `transfer`.
    async fn deposit_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Input for depositCreate.")] input: DepositCreateInput,
    ) -> Result<Option<DepositCreatePayload>> {
        let deposited = match input.parse() {
            Ok((key, new)) => transfers::deposit(ctx.app(), ctx.actor(), Some(key), new).await,
            Err(error) => Err(command::unreadable::<CreateDeposit>(ctx.actor(), error)),
        };
        Ok(Some(wire::answered(deposited)?.into()))
    }
}
