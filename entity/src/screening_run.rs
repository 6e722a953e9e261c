//! `screening_run`: how far existing customers have been screened again after a watch list was imported.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "screening_run")]
pub struct Model {
    /// The list whose import caused it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub watch_list_id: Uuid,
    pub started_at: DateTimeUtc,
    /// Customers there were at the start.
    pub people: i64,
    pub screened: i64,
    /// Customers who could not be screened.
    pub failed: i64,
    /// New open hits.
    pub hits: i64,
    /// The last identity check that was looked at; they are taken in the order of their ids.
    pub last_kyc_id: Option<Uuid>,
    /// The server that works on it, until when the others leave it alone.
    pub leased_by: Option<Uuid>,
    pub leased_until: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
