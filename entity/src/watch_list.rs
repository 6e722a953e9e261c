//! `watch_list`: imports of lists of people and organizations that must not be served. The latest import of
//! each source is in effect.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "watch_list")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Name of the source; the lists of all sources are in effect together.
    pub source: String,
    /// SHA-256 of the file.
    pub digest: Vec<u8>,
    pub entries: i32,
    /// Number of names, including aliases.
    pub names: i32,
    pub imported_at: DateTimeUtc,
    /// Time when a newer list of the same source replaced this one, or the source was removed.
    pub replaced_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
