//! `second_factor`: second factors of users.

use sea_orm::entity::prelude::*;

#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "second_factor")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    pub partner_id: Uuid,
    /// Verified phone number, encrypted.
    pub phone: Option<Vec<u8>>,
    pub phone_index: Option<Vec<u8>>,
    pub phone_verified_at: Option<DateTimeUtc>,
    /// Secret shared with an authenticator app, encrypted.
    pub totp: Option<Vec<u8>>,
    /// Absent until a code from the app has confirmed the secret.
    pub totp_confirmed_at: Option<DateTimeUtc>,
    /// Last time step with an accepted code; codes of this and earlier steps are refused.
    pub totp_step: i64,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactor").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
