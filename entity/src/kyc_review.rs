//! `kyc_review`: the times that an identity check waited for a reviewer, each with what ended the wait.

use crate::kyc::Outcome;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "kyc_review")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub kyc_id: Uuid,
    /// User being checked; absent for a check without a user.
    pub user_id: Option<Uuid>,
    pub cause: Cause,
    pub requested_at: DateTimeUtc,
    /// Decision of the reviewer; absent until then, and if the review ended without one.
    pub outcome: Option<Outcome>,
    pub reviewed_by: Option<Uuid>,
    pub reviewed_at: Option<DateTimeUtc>,
    /// Reason of the decision, encrypted.
    pub reason: Option<Vec<u8>>,
    /// Time of the decision, or when the check no longer needed one; absent while the review waits.
    pub ended_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KycReview")
            .field("id", &self.id)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// Why an identity check went to a reviewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    WatchListHit,
    NotScreened,
    Answers,
    Score,
    EarlierCheck,
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
