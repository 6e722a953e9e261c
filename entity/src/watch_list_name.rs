//! `watch_list_name`: one name of one entry of a watch list.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "watch_list_name")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub watch_list_id: Uuid,
    /// The list's own number of the entry.
    #[sea_orm(primary_key, auto_increment = false)]
    pub entry: i64,
    /// Which of the entry's names, the first being its own.
    #[sea_orm(primary_key, auto_increment = false)]
    pub place: i32,
    pub name: String,
    pub alias: bool,
    /// Whether the entry is a person.
    pub individual: bool,
    /// Days or years of birth, one a line: `1960-12-12`, `1960-12` or `1960`, and `?` for what cannot be
    /// read.
    pub births: String,
    /// The programs it is listed under, one a line.
    pub programs: String,
}

impl ActiveModelBehavior for ActiveModel {}
