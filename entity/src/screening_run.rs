//! `screening_run`: progress of screening existing users again after the import of a watch list.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "screening_run")]
pub struct Model {
    /// Watch list that was imported.
    #[sea_orm(primary_key, auto_increment = false)]
    pub watch_list_id: Uuid,
    pub started_at: DateTimeUtc,
    /// Number of users at the start.
    pub people: i64,
    pub screened: i64,
    /// Number of users who could not be screened.
    pub failed: i64,
    /// Number of new open hits.
    pub hits: i64,
    /// Last identity check that was screened; they are screened in the order of their ids.
    pub last_kyc_id: Option<Uuid>,
    /// Server that is working on the run.
    pub leased_by: Option<Uuid>,
    /// Time until which other servers do not take over the run.
    pub leased_until: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
