//! `message`: e-mail and text messages. Recipient, subject and body are stored encrypted, and are empty once
//! the message is sent or has failed.

use sea_orm::entity::prelude::*;

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, macros::Positional)]
#[sea_orm(table_name = "message")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// User the message is about, if known.
    pub user_id: Option<Uuid>,
    pub channel: Channel,
    pub purpose: Purpose,
    pub recipient: Vec<u8>,
    /// Blind index for finding messages to one address; only in the outbox.
    pub recipient_index: Option<Vec<u8>>,
    pub subject: Vec<u8>,
    pub body: Vec<u8>,
    pub status: Status,
    /// Number of attempts to send the message.
    pub attempts: i32,
    /// Time by the system clock after which the message is useless and is not sent any more.
    pub send_by: Option<DateTimeUtc>,
    /// Time by the partner's clock.
    pub created_at: DateTimeUtc,
    /// Time by the system clock.
    pub sent_at: Option<DateTimeUtc>,
    /// Time by the system clock after which the row is deleted.
    pub kept_until: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

/// Channel of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Channel {
    Mail,
    Sms,
}

/// Purpose of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Purpose {
    /// A one-time passcode.
    Passcode,
    /// A link to reset a lost password.
    PasswordRecovery,
    /// An invitation to sign up.
    Invitation,
    /// A user's data, for advisors.
    AdvisorData,
}

/// Status of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Status {
    Pending,
    Sent,
    /// Sandbox message: it can be read in the outbox and is never sent.
    Outbox,
    Failed,
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
