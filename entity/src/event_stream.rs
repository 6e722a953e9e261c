//! `event_stream`: number of the last event of each stream with more than one event.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_stream")]
pub struct Model {
    /// Id of the object that the events are about.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Number of the last event within the stream.
    pub version: i32,
}

impl ActiveModelBehavior for ActiveModel {}
