//! GraphQL types, queries and mutations for transfers.

use super::bank_accounts::BankAccount;
use crate::{
    graphql::{
        accounts::Account,
        core::{
            breadth::{ListOf, Maybe, One},
            context::Viewpoint,
            ids::IdOf,
            pages::PageArgs,
            scalars::{Date, DateTime, Money, MoneyInput},
            sorts::sort_by,
        },
    },
    wire::Result,
};
use async_graphql::{Enum, ID, InputObject};
use domain::{funding::transfers::CreateDeposit, kernel::lists::Filter};
use entity::transfer;
use macros::{Leaf, breadth, mutations};

/// ACH transfer between an external bank account and a brokerage account.
#[derive(Clone)]
pub struct Transfer(pub transfer::Model);

/// ACH transfer between an external bank account and a brokerage account.
#[breadth]
impl Transfer {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Brokerage account.
    fn account(&self) -> One<Account> {
        One::of(self.0.account_id)
    }

    /// External bank account, even if it has since been removed. Null if the caller is a signed-in user who
    /// does not own it.
    fn bank_account(&self) -> Maybe<BankAccount> {
        Maybe::of(Some(self.0.bank_account_id))
    }

    /// Direction, seen from the brokerage account.
    fn direction(&self) -> TransferDirection {
        self.0.direction.into()
    }

    /// Amount transferred; always positive.
    fn amount(&self) -> Money {
        self.0.amount.into()
    }

    /// Transfer status.
    fn status(&self) -> TransferStatus {
        self.0.status.into()
    }

    /// Date in New York on which the transfer is expected to settle.
    fn expected_on(&self) -> Date {
        self.0.expected_on.into()
    }

    /// Time when the transfer was requested, by the partner's clock.
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Time when the transfer settled; null until then.
    fn settled_at(&self) -> Option<DateTime> {
        self.0.settled_at.map(DateTime)
    }
}

/// Direction of a transfer, seen from the brokerage account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::transfer::Direction")]
pub enum TransferDirection {
    /// Into the brokerage account.
    Deposit,
    /// Out of the brokerage account.
    Withdrawal,
}

/// Status of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::transfer::Status")]
pub enum TransferStatus {
    /// In progress; the money is not available yet.
    Pending,
    /// Completed; a deposit is available as cash.
    Settled,
}

/// Filter for transfers. A transfer must match all the fields that are given.
#[derive(Clone, Default, InputObject)]
pub struct TransferFilter {
    /// Only transfers with one of these statuses. If omitted or empty, all transfers.
    statuses: Option<Vec<TransferStatus>>,
    /// Only transfers in this direction.
    direction: Option<TransferDirection>,
    /// Only transfers requested at this time or later.
    created_from: Option<DateTime>,
    /// Only transfers requested before this time.
    created_before: Option<DateTime>,
}

impl TransferFilter {
    /// Returns the conditions on the rows.
    pub fn conditions(self) -> Vec<Filter> {
        let statuses = self.statuses.unwrap_or_default().into_iter().map(transfer::Status::from);
        [
            Filter::one_of(transfer::Column::Status, statuses),
            Filter::one_of(transfer::Column::Direction, self.direction.map(transfer::Direction::from)),
            self.created_from.map(|time| Filter::from(transfer::Column::CreatedAt, time.0)),
            self.created_before.map(|time| Filter::before(transfer::Column::CreatedAt, time.0)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

sort_by!(
    /// Sort order of transfers.
    TransferSort, TransferSortField of transfer, default CreatedAt Desc {
        /// Time when the transfer was requested.
        CreatedAt [],
        /// Amount transferred.
        Amount [Amount],
    }
);

#[derive(Default)]
pub struct TransferQuery;

#[breadth]
impl TransferQuery {
    /// Returns a transfer by id, or null if it was not found. Requires scope `read`.
    fn transfer(
        &self,
        view: &Viewpoint,
        #[graphql(desc = "Id of the transfer.")] id: ID,
    ) -> Result<Maybe<Transfer>> {
        Maybe::find(view, &id)
    }

    /// Returns the transfers that the caller can see, newest first by default. Requires scope `read`.
    fn transfers(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(desc = "Filter for the transfers.")] filter: Option<TransferFilter>,
        #[graphql(desc = "Sort order; newest first by default.")] order_by: Option<TransferSort>,
    ) -> Result<Option<ListOf<Transfer>>> {
        let filters = filter.unwrap_or_default().conditions();
        Ok(Some(ListOf::sorted(view, &page, filters, order_by)?))
    }
}

#[mutations]
impl TransferMutation {
    /// Deposits money from a bank account by ACH. It settles on the next banking day. Requires scope
    /// `transfer`.
    #[answers(transfer: Transfer = "The deposit. Null if the request was refused.")]
    fn deposit_create(
        idempotency_key: String,
        /// Id of the brokerage account that receives the money.
        account_id: IdOf<Account>,
        /// Id of the bank account that the money is pulled from. It must belong to an owner of the brokerage
        /// account.
        bank_account_id: IdOf<BankAccount>,
        /// Amount in US dollars and cents, above zero.
        amount: MoneyInput,
    ) -> domain::Result<CreateDeposit> {
        Ok(CreateDeposit {
            account_id: account_id.into(),
            bank_account_id: bank_account_id.into(),
            amount: amount.cents("amount")?,
        })
    }
}
