//! `data_key`: the keys that encrypt, sign and index, each wrapped by the encryption key.

use sea_orm::entity::prelude::*;

#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "data_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose data the key encrypts; absent for the house's own keys.
    pub partner_id: Option<Uuid>,
    pub purpose: Purpose,
    /// Counts the versions of a key, from 1.
    pub number: i32,
    /// The key, encrypted.
    pub wrapped: Vec<u8>,
    /// The check value of the encryption key that wraps it.
    pub kek: String,
    pub created_at: DateTimeUtc,
    /// Since when nothing is encrypted with it; it still opens what was.
    pub retired_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKey")
            .field("id", &self.id)
            .field("purpose", &self.purpose)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Purpose {
    /// Encrypts a partner's data; the house's own opens what was written before partners had keys.
    Data,
    /// Finds equal values without opening them.
    Index,
    /// Verifies API keys.
    Pepper,
    /// Tells repeated requests from others.
    Fingerprint,
    /// Signs tokens.
    Tokens,
    /// Verifies one-time passcodes.
    Passcodes,
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
