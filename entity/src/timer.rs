//! `timer`: what is to happen later. A row is deleted by the transaction that carries it out.

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
    /// What it is about.
    pub subject_id: Uuid,
    pub due_at: DateTimeUtc,
    /// Tries that failed.
    pub attempts: i32,
    /// By the system's clock: not tried before, after a failure.
    pub retry_at: Option<DateTimeUtc>,
}

/// Whose time decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Clock {
    Partner,
    System,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum TimerKind {
    /// Take an accepted order to the market.
    OrderRoute,
    /// Money of a deposit has arrived.
    DepositSettle,
    /// A trade is paid for.
    TradeSettle,
    /// A mail or a text message is to be sent.
    MessageSend,
    /// The time to answer an identity check's questions is over.
    KycQuestionsExpire,
}

impl ActiveModelBehavior for ActiveModel {}
