//! `kyc`: one identity check of one person, and what came of it.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "kyc")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    #[sea_orm(unique)]
    pub user_id: Uuid,
    /// What the documented API calls the check by.
    #[sea_orm(unique)]
    pub token: String,
    /// In hundredths: 99 is a score of 0.99.
    pub score: i32,
    pub outcome: Outcome,
    /// One finding a line.
    pub tags: String,
    pub decided_at: DateTimeUtc,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Outcome {
    Approved,
    QuestionsRequired,
    ManualReview,
    Denied,
}

impl ActiveModelBehavior for ActiveModel {}
