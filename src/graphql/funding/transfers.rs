//! GraphQL types, queries and mutations for transfers.

use super::bank_accounts::BankAccount;
use crate::{
    graphql::{
        accounts::Account,
        core::{
            breadth::{ListOf, Lookup, Maybe, One, lookup},
            context::Viewpoint,
            ids::IdOf,
            loaders::TimelineOf,
            pages::PageArgs,
            scalars::{Date, DateTime, Money, MoneyInput},
            sorts::sort_by,
        },
    },
    wire::Result,
};
use async_graphql::{Enum, ID, InputObject, SimpleObject};
use domain::{
    Scope,
    funding::{
        deposits::CreateDeposit,
        return_codes,
        timeline::Step,
        transfers::{self, CancelTransfer},
        withdrawals::CreateWithdrawal,
    },
    kernel::{ids, lists::Filter},
};
use entity::{Kind, transfer};
use macros::{Fields, Leaf, breadth, mutations};

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

    /// Date in New York on which a deposit is now expected to settle, or a withdrawal to be in the bank account.
    fn expected_on(&self) -> Date {
        self.0.expected_on.into()
    }

    /// Time when the transfer was requested, by the partner's clock.
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Time when a deposit settled or a withdrawal was completed; null until then. A deposit that was returned keeps it
    /// until it is sent to the bank again.
    fn settled_at(&self) -> Option<DateTime> {
        self.0.settled_at.map(DateTime)
    }

    /// Time when the transfer was last sent to the bank; null until then.
    fn submitted_at(&self) -> Option<DateTime> {
        self.0.submitted_at.map(DateTime)
    }

    /// Time when the transfer was canceled; null unless it was.
    fn canceled_at(&self) -> Option<DateTime> {
        self.0.ended_at.filter(|_| self.0.status == transfer::Status::Canceled).map(DateTime)
    }

    /// Time when the transfer failed; null unless it did.
    fn failed_at(&self) -> Option<DateTime> {
        self.0.ended_at.filter(|_| self.0.status == transfer::Status::Failed).map(DateTime)
    }

    /// Why the transfer failed; null unless it did.
    fn failure(&self) -> Option<TransferFailure> {
        self.0.failure.map(TransferFailure::from)
    }

    /// Last return by the bank. Null if there was none, and after a deposit was presented again.
    fn last_return(&self) -> Option<TransferReturn> {
        TransferReturn::of(&self.0)
    }

    /// Part of a deposit that could buy shares before it had settled.
    fn instant_amount(&self) -> Money {
        self.0.instant_amount.into()
    }

    /// Whether a deposit is not to be invested before it has settled.
    fn invest_when_settled(&self) -> bool {
        self.0.invest_when_settled
    }

    /// Number of times that the transfer was sent to the bank. A deposit that was returned for lack of funds is
    /// sent again, at most twice.
    fn presentments(&self) -> i32 {
        self.0.presentments
    }

    /// What a withdrawal pays, once it is sent to the bank; null until then, and for a deposit.
    fn paid_amount(&self) -> Option<Money> {
        self.0.paid().map(Money::from)
    }

    /// Whether a withdrawal was for more than 90 % of what was left of the account's total balance, or sells more
    /// than 90 % of the value of the shares that no open order holds. It then pays what the sales raise, which may be
    /// less than the amount.
    fn may_be_lower(&self) -> bool {
        self.0.may_be_lower
    }

    /// Whether the caller can cancel the transfer now. Also true for a deposit whose money was spent, which is refused
    /// then.
    fn viewer_can_cancel(&self, view: &Viewpoint) -> bool {
        transfers::can_cancel(&self.0) && view.actor().may(Scope::Transfer)
    }

    /// States of the transfer in order: those that it reached, then those that are expected.
    fn timeline(&self) -> Lookup<TimelineOf, Option<Vec<TransferStep>>> {
        lookup(Some(TimelineOf(self.0.id)), |_, steps| {
            Ok(steps.map(|steps| steps.into_iter().map(TransferStep::from).collect()))
        })
    }
}

/// State of a transfer that it reached, or is expected to reach.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct TransferStep {
    /// Status.
    status: TransferStatus,
    /// Date in New York on which the status was reached or is expected. Null while it is not known.
    on: Option<Date>,
    /// Time when the status was reached. Null while it is expected.
    reached_at: Option<DateTime>,
    /// Return code. Null unless the bank returned the transfer in this step.
    return_code: Option<ReturnCode>,
    /// Why the transfer has this status, for people.
    reason: String,
}

impl From<Step> for TransferStep {
    fn from(step: Step) -> Self {
        Self {
            status: step.status.into(),
            on: step.on.map(Date::from),
            reached_at: step.at.map(DateTime::from),
            return_code: step.return_code.map(ReturnCode::from),
            reason: step.reason,
        }
    }
}

/// Return of a transfer by the bank.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct TransferReturn {
    /// Return code.
    code: ReturnCode,
    /// What the code means.
    reason: String,
    /// Time of the return, by the partner's clock.
    returned_at: DateTime,
    /// Whether a person must look into it, for example because the account holder has died.
    needs_review: bool,
    /// Date in New York at whose end the deposit is sent to the bank again. Null if it is not.
    presented_again_on: Option<Date>,
}

impl TransferReturn {
    fn of(transfer: &transfer::Model) -> Option<Self> {
        let (code, at) = transfer.return_code.zip(transfer.returned_at)?;
        let again = transfer.submits_at.map(domain::kernel::calendar::new_york_date);
        Some(Self {
            code: code.into(),
            reason: return_codes::meaning(code).to_owned(),
            returned_at: at.into(),
            needs_review: return_codes::effects(code).needs_review,
            presented_again_on: again.map(Date::from),
        })
    }
}

/// Return code of the ACH network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::transfer::ReturnCode")]
pub enum ReturnCode {
    /// Insufficient funds. A deposit is sent again, at most twice.
    #[graphql(name = "R01")]
    R01,
    /// Account closed. Disables the bank account.
    #[graphql(name = "R02")]
    R02,
    /// No account, or unable to locate the account. Disables the bank account.
    #[graphql(name = "R03")]
    R03,
    /// Invalid account number. Disables the bank account.
    #[graphql(name = "R04")]
    R04,
    /// Unauthorized debit to a consumer account with a corporate code. Disables the bank account and freezes the
    /// account.
    #[graphql(name = "R05")]
    R05,
    /// Returned at the request of the originating bank.
    #[graphql(name = "R06")]
    R06,
    /// Authorization revoked by the customer. Disables the bank account.
    #[graphql(name = "R07")]
    R07,
    /// Payment stopped.
    #[graphql(name = "R08")]
    R08,
    /// Uncollected funds. A deposit is sent again, at most twice.
    #[graphql(name = "R09")]
    R09,
    /// The customer does not know or did not authorize the originator. Disables the bank account and freezes the
    /// account.
    #[graphql(name = "R10")]
    R10,
    /// Not in accordance with the terms of the authorization.
    #[graphql(name = "R11")]
    R11,
    /// Account sold to another financial institution.
    #[graphql(name = "R12")]
    R12,
    /// The receiving bank is not qualified to participate.
    #[graphql(name = "R13")]
    R13,
    /// Representative payee deceased. Freezes the account.
    #[graphql(name = "R14")]
    R14,
    /// Beneficiary or account holder deceased. Freezes the account.
    #[graphql(name = "R15")]
    R15,
    /// Account frozen, or returned as sanctions require.
    #[graphql(name = "R16")]
    R16,
    /// Questionable entry.
    #[graphql(name = "R17")]
    R17,
    /// Not a transaction account. Disables the bank account.
    #[graphql(name = "R20")]
    R20,
    /// Credit refused by the receiver. Withdrawals only.
    #[graphql(name = "R23")]
    R23,
    /// Duplicate entry.
    #[graphql(name = "R24")]
    R24,
    /// Corporate customer did not authorize the debit. Disables the bank account.
    #[graphql(name = "R29")]
    R29,
}

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::transfer::Failure")]
pub enum TransferFailure {
    /// The bank account was disabled before the transfer was sent.
    BankAccountDisabled,
    /// The account was not active, or its owners not approved, when a withdrawal was to sell shares or to be sent.
    AccountNotActive,
    /// The sales for a withdrawal raised nothing.
    NothingToPay,
    /// A deposit was returned, and the money of the withdrawal was needed for it.
    DepositReturned,
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
    /// Requested; not sent to the bank yet.
    Pending,
    /// Shares are being sold for a withdrawal.
    Selling,
    /// The money of a withdrawal is set aside; its sales have not settled.
    AwaitingSettlement,
    /// Sent to the bank.
    Submitted,
    /// A deposit is available as cash. Its bank may still return it.
    Settled,
    /// A withdrawal is in the bank account. The bank may still return it.
    Completed,
    /// Returned by the bank.
    Returned,
    /// Canceled before it was sent to the bank.
    Canceled,
    /// Failed before it was sent to the bank.
    Failed,
}

/// Filter for transfers. A transfer must match all the fields that are given.
#[derive(Clone, Default, InputObject)]
pub struct TransferFilter {
    /// Only transfers with one of these statuses. If omitted or empty, all transfers.
    statuses: Option<Vec<TransferStatus>>,
    /// Only transfers in this direction.
    direction: Option<TransferDirection>,
    /// Only transfers of this brokerage account.
    account_id: Option<ID>,
    /// Only transfers from or to this bank account.
    bank_account_id: Option<ID>,
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
            self.account_id.map(|id| Filter::is(transfer::Column::AccountId, ids::parse(Kind::Account, &id))),
            self.bank_account_id
                .map(|id| Filter::is(transfer::Column::BankAccountId, ids::parse(Kind::BankAccount, &id))),
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
    /// Deposits money from a bank account by ACH. It is sent to the bank at the end of the day in New York, and
    /// settles on the next banking day. Requires scope `transfer`.
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
        /// Whether the money is not to be invested before it has settled. If `false`, a part of it can buy shares
        /// at once, as far as the partner's settings allow.
        #[graphql(default = false)]
        invest_when_settled: bool,
    ) -> domain::Result<CreateDeposit> {
        Ok(CreateDeposit {
            account_id: account_id.into(),
            bank_account_id: bank_account_id.into(),
            amount: amount.cents("amount")?,
            invest_when_settled,
        })
    }

    /// Withdraws money to a bank account by ACH: from cash, then by selling shares. From cash it arrives three
    /// banking days later; with sales, two banking days after they settle. Requires scope `transfer`.
    #[answers(transfer: Transfer = "The withdrawal. Null if the request was refused.")]
    fn withdrawal_create(
        idempotency_key: String,
        /// Id of the brokerage account that pays the money.
        account_id: IdOf<Account>,
        /// Id of the bank account that receives the money. It must belong to an owner of the brokerage account.
        bank_account_id: IdOf<BankAccount>,
        /// Amount in US dollars and cents, above zero.
        amount: MoneyInput,
    ) -> domain::Result<CreateWithdrawal> {
        Ok(CreateWithdrawal {
            account_id: account_id.into(),
            bank_account_id: bank_account_id.into(),
            amount: amount.cents("amount")?,
        })
    }

    /// Cancels a deposit or withdrawal that was not sent to the bank. Requires scope `transfer`.
    #[answers(transfer: Transfer = "The canceled transfer. Null if the request was refused.")]
    fn transfer_cancel(idempotency_key: String, transfer_id: IdOf<Transfer>) -> CancelTransfer;
}
