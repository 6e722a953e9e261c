//! `message`: mail and text messages. Recipient, subject and body are stored encrypted, and empty once the
//! message is sent or given up.

use sea_orm::entity::prelude::*;

#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// Whom it is about, where that is somebody we know.
    pub user_id: Option<Uuid>,
    pub channel: Channel,
    pub purpose: Purpose,
    pub recipient: Vec<u8>,
    /// Blind index, for finding what went to one address; in the outbox only.
    pub recipient_index: Option<Vec<u8>>,
    pub subject: Vec<u8>,
    pub body: Vec<u8>,
    pub status: Status,
    /// Tries to send it, failed or not.
    pub attempts: i32,
    /// By the system's clock: of no use to anyone after.
    pub send_by: Option<DateTimeUtc>,
    /// By the partner's clock.
    pub created_at: DateTimeUtc,
    /// By the system's clock.
    pub sent_at: Option<DateTimeUtc>,
    /// By the system's clock: removed after.
    pub kept_until: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

/// How it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Channel {
    Mail,
    Sms,
}

/// What it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Purpose {
    /// A one-time passcode.
    Passcode,
    /// A way back to an account whose password is lost.
    PasswordRecovery,
    /// An invitation to sign up.
    Invitation,
    /// What a person has entered, for an advisor.
    AdvisorData,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Status {
    Pending,
    Sent,
    /// A sandbox's: it is read in the outbox and goes nowhere.
    Outbox,
    Failed,
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
