//! `watch_list`: one import of a list of people and organisations that must not be served. The newest of each
//! source counts.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "watch_list")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Name of the source; lists of different sources count side by side.
    pub source: String,
    /// SHA-256 of the file.
    pub digest: Vec<u8>,
    pub entries: i32,
    /// Names of the entries, aliases included.
    pub names: i32,
    pub imported_at: DateTimeUtc,
    /// When a newer list of the same source took its place, or the source was removed.
    pub replaced_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
