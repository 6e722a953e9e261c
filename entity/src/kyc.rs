//! `kyc`: identity checks and their outcomes. The applicant's data is stored encrypted.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "kyc")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// User with the status that the check decides; absent for a standalone check.
    pub user_id: Option<Uuid>,
    /// Token that identifies the check in the REST API.
    #[sea_orm(unique)]
    pub token: String,
    /// Score in hundredths: 99 is 0.99.
    pub score: i32,
    pub outcome: Outcome,
    /// Findings, one per line.
    pub tags: String,
    /// Time of the current outcome.
    pub decided_at: DateTimeUtc,
    pub created_at: DateTimeUtc,
    /// Applicant's data as submitted, encrypted; absent for old checks that did not store it.
    pub applicant: Option<Vec<u8>>,
    pub ssn_index: Option<Vec<u8>>,
    /// JSON: each check with its part of the score and its rule. Contains no personal data.
    pub parts: String,
    /// Questions with their correct answers, encrypted.
    pub questions: Option<Vec<u8>>,
    pub questions_expire_at: Option<DateTimeUtc>,
    pub answered_at: Option<DateTimeUtc>,
    pub right_answers: Option<i32>,
    /// Time of a reviewer's last decision.
    pub reviewed_at: Option<DateTimeUtc>,
    /// Time when a later check of the same user replaced this one.
    pub superseded_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kyc").field("id", &self.id).field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

/// Outcome of an identity check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Approved,
    QuestionsRequired,
    ManualReview,
    Denied,
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
