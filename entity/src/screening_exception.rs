//! `screening_exception`: until a day, one person is not one entry of a watch list.

use sea_orm::entity::prelude::*;

#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "screening_exception")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub partner_id: Uuid,
    /// Blind index of the person's name and day of birth.
    pub subject: Vec<u8>,
    /// Source of the list that the entry is on.
    pub source: String,
    /// The list's own number of the entry.
    pub entry: i64,
    pub reason: Vec<u8>,
    /// The last day on which it holds.
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
