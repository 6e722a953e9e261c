//! `kyc`: one identity check of one person, and what came of it. Who she says she is, is stored encrypted.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "kyc")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// Whom it moves; none for a check that was asked for by itself.
    pub user_id: Option<Uuid>,
    /// What the documented API calls the check by.
    #[sea_orm(unique)]
    pub token: String,
    /// In hundredths: 99 is a score of 0.99.
    pub score: i32,
    pub outcome: Outcome,
    /// One finding a line.
    pub tags: String,
    /// When the present outcome was reached.
    pub decided_at: DateTimeUtc,
    pub created_at: DateTimeUtc,
    /// Whom it is about, as she was described; none for checks from before that was kept.
    pub applicant: Option<Vec<u8>>,
    pub ssn_index: Option<Vec<u8>>,
    /// JSON: each check, its part of the score, its rule. Nothing of the person.
    pub parts: String,
    /// The questions asked, with their right answers.
    pub questions: Option<Vec<u8>>,
    pub questions_expire_at: Option<DateTimeUtc>,
    pub answered_at: Option<DateTimeUtc>,
    pub right_answers: Option<i32>,
    pub reviewed_by: Option<Uuid>,
    pub reviewed_at: Option<DateTimeUtc>,
    pub review_reason: Option<Vec<u8>>,
    /// When a later check of the same person took its place.
    pub superseded_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kyc").field("id", &self.id).field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Approved,
    QuestionsRequired,
    ManualReview,
    Denied,
}

impl Outcome {
    /// The outcome with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::try_from_value(&name.to_owned()).ok()
    }
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
