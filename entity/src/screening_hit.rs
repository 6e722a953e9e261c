//! `screening_hit`: watch list entries that resemble the applicant of an identity check.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, macros::Positional, Serialize, Deserialize)]
#[sea_orm(table_name = "screening_hit")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub kyc_id: Uuid,
    /// Source of the watch list.
    pub source: String,
    /// Number of the entry in the watch list.
    pub entry: i64,
    pub listed_name: String,
    /// Sanctions programs of the entry, one per line.
    pub programs: String,
    /// Score in hundredths: 100 means the same name and birth date.
    pub score: i32,
    /// JSON: parts of the score.
    pub parts: String,
    pub found_at: DateTimeUtc,
    /// Time when the hit was cleared as a false match.
    pub cleared_at: Option<DateTimeUtc>,
    pub cleared_by: Option<Uuid>,
    /// Exception that clears the hit.
    pub exception_id: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}
