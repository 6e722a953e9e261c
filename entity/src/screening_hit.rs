//! `screening_hit`: an entry of a watch list that resembles the person of an identity check.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "screening_hit")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    pub kyc_id: Uuid,
    /// Source of the list that the entry is on.
    pub source: String,
    /// The list's own number of the entry.
    pub entry: i64,
    pub listed_name: String,
    /// The programs it is listed under, one a line.
    pub programs: String,
    /// In hundredths: 100 is the same name and the same day of birth.
    pub score: i32,
    /// JSON: how much of the score comes from what.
    pub parts: String,
    pub found_at: DateTimeUtc,
    /// When it was said not to be this person.
    pub cleared_at: Option<DateTimeUtc>,
    pub cleared_by: Option<Uuid>,
    /// The exception by which it is cleared.
    pub exception_id: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}
