//! `watch_list_name`: names of watch list entries.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "watch_list_name")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub watch_list_id: Uuid,
    /// Number of the entry in the watch list.
    #[sea_orm(primary_key, auto_increment = false)]
    pub entry: i64,
    /// Number of the name within the entry; the first is the primary name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub place: i32,
    pub name: String,
    pub alias: bool,
    /// Whether the entry is a person.
    pub individual: bool,
    /// Birth dates, one per line: `1960-12-12`, `1960-12` or `1960`, or `?` if unreadable.
    pub births: String,
    /// Sanctions programs of the entry, one per line.
    pub programs: String,
}

impl ActiveModelBehavior for ActiveModel {}
