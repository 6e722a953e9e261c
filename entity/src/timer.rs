//! `timer`: scheduled actions. A row is deleted in the transaction that performs the action.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "timer")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub clock: Clock,
    pub kind: TimerKind,
    /// Id of the object the action is about.
    pub subject_id: Uuid,
    pub due_at: DateTimeUtc,
    /// Number of failed attempts.
    pub attempts: i32,
    /// Time by the system clock of the next attempt after a failure.
    pub retry_at: Option<DateTimeUtc>,
}

/// Clock that determines when a timer is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Clock {
    Partner,
    System,
}

/// Action of a timer. The type that handles it, beside its feature, says what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum TimerKind {
    OrderRoute,
    OrdersMatch,
    OrderExpire,
    TransferSubmit,
    DepositSettle,
    WithdrawalSell,
    WithdrawalComplete,
    TransferReturn,
    AccountUnfreeze,
    TradeSettle,
    CorporateActionProcess,
    EntitlementApply,
    DividendPay,
    DividendReinvest,
    StatementIssue,
    MessageSend,
    KycQuestionsExpire,
}

impl ActiveModelBehavior for ActiveModel {}
