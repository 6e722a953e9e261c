//! `screening_exception`: records, valid until a date, that a user is not a certain watch list entry.

use sea_orm::entity::prelude::*;

#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "screening_exception")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// Blind index of the user's name, birth date and social security number.
    pub subject: Vec<u8>,
    /// Source of the watch list.
    pub source: String,
    /// Number of the entry in the watch list.
    pub entry: i64,
    pub reason: Vec<u8>,
    /// Last day on which the exception is valid.
    pub until: Date,
    pub made_by: Option<Uuid>,
    pub made_at: DateTimeUtc,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScreeningException").field("id", &self.id).finish_non_exhaustive()
    }
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
