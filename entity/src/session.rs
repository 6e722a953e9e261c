//! `session`: sessions, from sign-in to their end. A session has one refresh token and its successors.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "session")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub user_id: Uuid,
    /// Id of the current refresh token.
    pub refresh_token: String,
    /// Id of the refresh token that replaces the current one once it is used.
    pub successor_token: Option<String>,
    pub successor_at: Option<DateTimeUtc>,
    /// Time when the second factor was passed.
    pub two_factor_at: Option<DateTimeUtc>,
    pub began_at: DateTimeUtc,
    pub ends_at: DateTimeUtc,
    /// Time of the sign-out: the refresh token is invalid, issued access tokens stay valid.
    pub signed_out_at: Option<DateTimeUtc>,
    /// Time when the session was ended: all its tokens are invalid.
    pub cut_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
