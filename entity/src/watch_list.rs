//! `watch_list`: one import of a list of people and organisations with whom nobody may do business. The newest one counts.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "watch_list")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// What its importer calls it.
    pub source: String,
    /// SHA-256 of the file.
    pub digest: Vec<u8>,
    pub entries: i32,
    /// Names of the entries, aliases included.
    pub names: i32,
    pub imported_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
