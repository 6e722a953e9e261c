//! `transfer`: ACH transfers between bank accounts and brokerage accounts.

use crate::Money;
use sea_orm::{Condition, entity::prelude::*};
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "transfer")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub account_id: Uuid,
    pub bank_account_id: Uuid,
    pub direction: Direction,
    pub amount: Money,
    pub status: Status,
    /// Date, in New York, on which a deposit settles or the money of a withdrawal is in the bank account.
    pub expected_on: Date,
    pub created_at: DateTimeUtc,
    /// Time when a deposit settled or a withdrawal was completed.
    pub settled_at: Option<DateTimeUtc>,
    /// Part of a deposit that bought shares before it settled, or could.
    #[serde(default)]
    pub instant_amount: Money,
    /// Whether a deposit is not to be invested before it has settled.
    #[serde(default)]
    pub invest_when_settled: bool,
    /// How often the transfer was sent to the bank.
    #[serde(default)]
    pub presentments: i32,
    /// Money of a withdrawal that has been set aside: what is paid.
    #[serde(default)]
    pub set_aside: Money,
    /// Part of it that was taken from unsettled proceeds of the account, other than those of its own sales.
    #[serde(default)]
    pub unsettled_aside: Money,
    /// Time when the last of these proceeds settles.
    #[serde(default)]
    pub unsettled_until: Option<DateTimeUtc>,
    /// Whether a withdrawal of more than 90 % of the balance, or of the value of the free shares, pays what its sales
    /// raise.
    #[serde(default)]
    pub may_be_lower: bool,
    /// Time when the transfer is sent to the bank next, if that is known.
    #[serde(default)]
    pub submits_at: Option<DateTimeUtc>,
    /// Time when the transfer settles or is completed, once it has been sent to the bank.
    #[serde(default)]
    pub settles_at: Option<DateTimeUtc>,
    #[serde(default)]
    pub submitted_at: Option<DateTimeUtc>,
    /// Time of the last return.
    #[serde(default)]
    pub returned_at: Option<DateTimeUtc>,
    /// Time when the transfer was canceled or failed.
    #[serde(default)]
    pub ended_at: Option<DateTimeUtc>,
    /// Reason of the last return.
    #[serde(default)]
    pub return_code: Option<ReturnCode>,
    #[serde(default)]
    pub failure: Option<Failure>,
}

impl Entity {
    /// Condition for transfers that are under way.
    pub fn under_way() -> Condition {
        let open = [Status::Pending, Status::Selling, Status::AwaitingSettlement, Status::Submitted];
        Condition::any().add(Column::Status.is_in(open)).add(
            Condition::all().add(Column::Status.eq(Status::Returned)).add(Column::SubmitsAt.is_not_null()),
        )
    }
}

impl Model {
    /// Whether money may still move before the transfer ends.
    pub const fn is_under_way(&self) -> bool {
        match self.status {
            Status::Pending | Status::Selling | Status::AwaitingSettlement | Status::Submitted => true,
            Status::Returned => self.submits_at.is_some(),
            Status::Settled | Status::Completed | Status::Canceled | Status::Failed => false,
        }
    }

    /// What a withdrawal pays, once it is sent to the bank.
    pub fn paid(&self) -> Option<Money> {
        let is_known = matches!(self.status, Status::Submitted | Status::Completed | Status::Returned);
        (self.direction == Direction::Withdrawal && is_known).then_some(self.set_aside)
    }

    /// Part of a deposit that is available although it has not settled: none once it has been returned.
    pub fn instant_credit(&self) -> Money {
        match self.status {
            Status::Pending | Status::Submitted if self.presentments <= 1 => self.instant_amount,
            _ => Money::ZERO,
        }
    }
}

/// Direction of a transfer, from the brokerage account's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Direction {
    Deposit,
    Withdrawal,
}

/// Transfer status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Pending,
    /// Shares are being sold for a withdrawal.
    Selling,
    /// The sales for a withdrawal have not settled.
    AwaitingSettlement,
    Submitted,
    /// A deposit is cash.
    Settled,
    /// A withdrawal is in the bank account.
    Completed,
    Returned,
    Canceled,
    Failed,
}

impl Status {
    /// Parses the name of a status.
    pub fn parse(name: &str) -> Option<Self> {
        Self::try_from_value(&name.to_owned()).ok()
    }
}

/// Return code of the ACH network (Nacha Operating Rules).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumIter, DeriveActiveEnum, Serialize, Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum ReturnCode {
    #[sea_orm(string_value = "R01")]
    R01,
    #[sea_orm(string_value = "R02")]
    R02,
    #[sea_orm(string_value = "R03")]
    R03,
    #[sea_orm(string_value = "R04")]
    R04,
    #[sea_orm(string_value = "R05")]
    R05,
    #[sea_orm(string_value = "R06")]
    R06,
    #[sea_orm(string_value = "R07")]
    R07,
    #[sea_orm(string_value = "R08")]
    R08,
    #[sea_orm(string_value = "R09")]
    R09,
    #[sea_orm(string_value = "R10")]
    R10,
    #[sea_orm(string_value = "R11")]
    R11,
    #[sea_orm(string_value = "R12")]
    R12,
    #[sea_orm(string_value = "R13")]
    R13,
    #[sea_orm(string_value = "R14")]
    R14,
    #[sea_orm(string_value = "R15")]
    R15,
    #[sea_orm(string_value = "R16")]
    R16,
    #[sea_orm(string_value = "R17")]
    R17,
    #[sea_orm(string_value = "R20")]
    R20,
    #[sea_orm(string_value = "R23")]
    R23,
    #[sea_orm(string_value = "R24")]
    R24,
    #[sea_orm(string_value = "R29")]
    R29,
}

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The bank account was disabled before the transfer was sent.
    BankAccountDisabled,
    /// The account was not active, or its owners not approved, when a withdrawal was to sell shares or to be sent.
    AccountNotActive,
    /// The sales for a withdrawal raised nothing.
    NothingToPay,
    /// A deposit was returned, and the money of the withdrawal was needed for it.
    DepositReturned,
}

impl ActiveModelBehavior for ActiveModel {}
