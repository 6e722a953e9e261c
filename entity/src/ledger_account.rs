//! `ledger_account`: one side of every movement. Balances here are sums of `ledger_transfer` rows and are
//! re-derived by the audit.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger_account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// Brokerage account, or the partner itself for house accounts.
    pub owner_id: Uuid,
    /// `USD` in cents, or a symbol in hundred-millionths of a share.
    pub asset: String,
    pub kind: LedgerKind,
    /// Whether the available balance must not become negative.
    pub no_overdraft: bool,
    pub version: i64,
    pub debits: i64,
    pub credits: i64,
    pub held: i64,
}

impl Model {
    /// Returns credits minus debits.
    pub const fn balance(&self) -> i64 {
        self.credits.saturating_sub(self.debits)
    }

    /// Returns the balance minus holds.
    pub const fn available(&self) -> i64 {
        self.balance().saturating_sub(self.held)
    }
}

/// Kind of a ledger account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum LedgerKind {
    /// Settled cash of a user.
    Cash,
    /// Unsettled proceeds of a user's sales.
    Unsettled,
    /// Pending deposits of a user.
    PendingDeposit,
    /// Money set aside for a user's withdrawals.
    PendingWithdrawal,
    /// Money that a user owes because a deposit was returned after it was spent: a negative balance.
    Receivable,
    /// Shares of a user.
    Units,
    /// Bank account held for the benefit of users (FBO).
    BankFbo,
    /// Money in transit by ACH.
    BankAchInTransit,
    /// Money owed by the clearing house.
    ClearingReceivable,
    /// Money owed to the clearing house.
    ClearingPayable,
    /// Shares in custody.
    Custody,
    /// Fees of sales that are owed to the SEC and to FINRA.
    RegulatoryFees,
}

impl ActiveModelBehavior for ActiveModel {}
