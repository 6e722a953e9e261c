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
    /// The brokerage account, or the partner itself for the house's own accounts.
    pub owner_id: Uuid,
    /// `USD` in cents, or a symbol in hundred-millionths of a share.
    pub asset: String,
    pub kind: LedgerKind,
    /// Whether credits less debits less holds must stay at or above zero.
    pub no_overdraft: bool,
    pub version: i64,
    pub debits: i64,
    pub credits: i64,
    pub held: i64,
}

impl Model {
    /// Credits less debits.
    pub const fn balance(&self) -> i64 {
        self.credits.saturating_sub(self.debits)
    }

    /// The balance less what is held.
    pub const fn available(&self) -> i64 {
        self.balance().saturating_sub(self.held)
    }
}

/// What an account of the ledger stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum LedgerKind {
    /// A customer's settled money.
    Cash,
    /// A customer's proceeds of sales that have not settled.
    Unsettled,
    /// Money a customer has asked her bank for.
    PendingDeposit,
    /// A customer's shares.
    Units,
    /// Our bank account for the benefit of customers.
    BankFbo,
    /// Money on its way by ACH.
    BankAchInTransit,
    /// What the clearing house owes us.
    ClearingReceivable,
    /// What we owe the clearing house.
    ClearingPayable,
    /// Shares in custody.
    Custody,
}

impl ActiveModelBehavior for ActiveModel {}
