//! `passcode`: one-time passcodes that have been sent. The code itself is not stored.

use sea_orm::entity::prelude::*;

#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "passcode")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub user_id: Uuid,
    /// Token by which the client identifies the passcode.
    #[sea_orm(unique)]
    pub hash_code: String,
    /// Phone number it was sent to, encrypted.
    pub phone: Vec<u8>,
    pub phone_index: Vec<u8>,
    /// HMAC of the code.
    pub mac: Vec<u8>,
    pub attempts: i32,
    pub sent_at: DateTimeUtc,
    pub expires_at: DateTimeUtc,
    /// Time when the passcode was used or replaced by a newer one.
    pub used_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passcode").field("id", &self.id).finish_non_exhaustive()
    }
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
