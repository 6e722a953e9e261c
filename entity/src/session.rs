//! `session`: from a sign-in to its end, the family of one refresh token and its successors.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "session")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub user_id: Uuid,
    /// The id of the refresh token in use.
    pub refresh_token: String,
    /// The id of the one that takes its place once it is used.
    pub successor_token: Option<String>,
    pub successor_at: Option<DateTimeUtc>,
    /// When the second factor was passed.
    pub two_factor_at: Option<DateTimeUtc>,
    pub began_at: DateTimeUtc,
    pub ends_at: DateTimeUtc,
    /// The refresh token is worth nothing any more; issued access tokens live on.
    pub signed_out_at: Option<DateTimeUtc>,
    /// Nothing of this session is worth anything any more.
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
